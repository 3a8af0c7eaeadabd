import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.errors import PredictorError
from hwnas.predictor import LatencyTable


@pytest.fixture
def write(tmp_path):
    def write(text, name="table.csv"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return write


GOOD = "index,architecture,macs,latency_ms.pixel,latency_ms.pi\n0,a,10,1.5,20\n1,b,20,,30\n2,c,30,2.5,NA\n"


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz"])
def test_a_csv_is_read_with_its_missing_cells(write, name):
    table = LatencyTable.read(write(GOOD, name))
    assert table.architectures == ("a", "b", "c")
    assert table.devices == ("pixel", "pi")
    np.testing.assert_array_equal(table.latencies_ms, [[1.5, 20], [np.nan, 30], [2.5, np.nan]])
    np.testing.assert_array_equal(table.facts["macs"], [10, 20, 30])


def test_several_columns_make_one_architecture(write):
    text = "index,block0,block1,latency_ms.x\n0,k3,skip,1\n1,k3,k5,2\n"
    assert LatencyTable.read(write(text)).architectures == (("k3", "skip"), ("k3", "k5"))
    chosen = LatencyTable.read(write(text), architecture=["block1"])
    assert chosen.architectures == ("skip", "k5")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("1.5", "0"), "line 2, latency_ms.pixel: 0 ms is not a positive number"),
        (GOOD.replace("1.5", "-3"), "line 2, latency_ms.pixel: -3 ms is not a positive number"),
        (GOOD.replace("1.5", "inf"), "line 2, latency_ms.pixel: inf ms is not a positive number"),
        (GOOD.replace("1.5", "fast"), "line 2, latency_ms.pixel: 'fast' is not a number"),
        (GOOD.replace("2,c", "2,a"), "architecture 'a' is in the table more than once"),
        (GOOD.replace("latency_ms.pi\n", "latency_ms.pixel\n"), "device 'pixel' is in the table more than once"),
        (GOOD.replace("latency_ms", "latency"), "no column of latencies"),
        (GOOD.replace("2,c,30,2.5,NA", "2,c,30"), "line 4 has 3 cells, the first line 5"),
        ("index,latency_ms.x\n0,1\n", "no column of architectures"),
        ("", "no rows"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(write, text, words):
    path = write(text)
    with pytest.raises(PredictorError, match=words) as error:
        LatencyTable.read(path)
    assert str(path) in error.value.message
    assert error.value.hint


def test_a_file_that_is_missing_or_no_text_is_one_error(tmp_path):
    with pytest.raises(PredictorError, match="no such file"):
        LatencyTable.read(tmp_path / "none.csv")
    for name in ("bad.csv", "bad.csv.gz"):
        (tmp_path / name).write_bytes(b"\xff\xfe\x00\x81")
        with pytest.raises(PredictorError, match="cannot be read"):
            LatencyTable.read(tmp_path / name)


def test_two_measurements_are_merged_by_their_median_on_request(write):
    text = "architecture,latency_ms.x,latency_ms.x,latency_ms.y\na,1,3,5\nb,2,,\na,8,,7\n"
    table = LatencyTable.read(write(text), duplicates="median")
    assert (table.architectures, table.devices) == (("a", "b"), ("x", "y"))
    np.testing.assert_array_equal(table.latencies_ms, [[3, 6], [2, np.nan]])
    with pytest.raises(PredictorError, match="not a positive number"):  # a median must not hide it
        LatencyTable.read(write(text.replace("a,8", "a,0")), duplicates="median")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.1, 100)), min_size=1, max_size=12))
def test_merging_takes_the_median_of_each_architecture(rows):
    names, values = [name for name, _ in rows], np.array([[value] for _, value in rows])
    table = LatencyTable.merged(names, ["x"], values, duplicates="median")
    for name, value in zip(table.architectures, table.latencies_ms[:, 0], strict=True):
        assert value == np.median([v for n, v in rows if n == name])


def test_twins_are_devices_that_may_be_one_run(table):
    assert table.twins() == []
    copy = table.latencies_ms[:, [0]] * 1.3
    doubled = LatencyTable(table.architectures, (*table.devices, "again"), np.hstack([table.latencies_ms, copy]))
    assert doubled.twins() == [("a", "again")]


def test_a_device_or_row_is_selected_by_name(table):
    part = table.select(rows=np.array([5, 3]), devices=["c", "a"])
    np.testing.assert_array_equal(part.latencies_ms, table.latencies_ms[[5, 3]][:, [2, 0]])
    with pytest.raises(PredictorError, match="no device 'pixle'"):
        table.column("pixle")
