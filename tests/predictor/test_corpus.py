import json

import numpy as np
import pytest

from hwnas.errors import PredictorError
from hwnas.predictor import TrainingSpace, gather
from hwnas.space import get_space

CELLS = TrainingSpace.named("nasbench201")
DIGITS = TrainingSpace.named("digits")
CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|{}~2|"
ONE, TWO = CELL.format("nor_conv_1x1"), CELL.format("avg_pool_3x3")


@pytest.fixture
def write(tmp_path):
    def write(*lines, name="table.csv"):
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def records(n, *, device="host", start=0, **changes):
    space = get_space("digits")
    archs = space.sample(n + start, np.random.default_rng(0))[start:]
    return [
        {
            "space": "digits",
            "space_version": "1",
            "architecture": json.dumps(dict(arch.values)),
            "architecture_id": arch.id,
            "network_hash": arch.id,
            "device": device,
            "device_hash": "d" * 64,
            "protocol_hash": "p" * 64,
            "p99_ms": 1.0 + i,
            "p50_ms": 0.5 + i,
            "macs": 1,
            "params": 1,
            **changes,
        }
        for i, arch in enumerate(archs)
    ]


def test_measurements_and_tables_make_one_table(write):
    table = write("architecture,latency_ms.pixel,latency_ms.pi", f"{ONE},1.5,20", f"{TWO},,30")
    other = write("architecture,latency_ms.fpga", f"{TWO},7", name="other.csv")
    corpus = gather(CELLS, tables=[table, other])
    assert corpus.table.devices == ("pixel", "pi", "fpga")
    np.testing.assert_array_equal(corpus.table.latencies_ms, [[1.5, 20, np.nan], [np.nan, 30, 7]])
    assert corpus.device("pi")[0] == list(corpus.table.architectures)
    assert corpus.sources == (str(table), str(other))
    measured = gather(DIGITS, records=records(5), metric="p50_ms")
    np.testing.assert_array_equal(measured.table.latencies_ms[:, 0], 0.5 + np.arange(5))
    assert set(measured.table.architectures) == set(get_space("digits").sample(5, np.random.default_rng(0)))


def test_parameters_in_columns_and_as_json_are_the_same_architectures(write):
    archs = get_space("digits").sample(6, np.random.default_rng(2))
    names = [parameter.name for parameter in get_space("digits").parameters]
    lines = [",".join([*names, "accuracy", "latency_ms.x"])]
    lines += [",".join([*(str(arch.values.get(name, "")) for name in names), "0.9", "2"]) for arch in archs]
    by_columns = gather(DIGITS, tables=[write(*lines)])
    quoted = ['"' + json.dumps(dict(arch.values)).replace('"', '""') + '",2' for arch in archs]
    by_json = gather(DIGITS, tables=[write("architecture,latency_ms.x", *quoted, name="json.csv")])
    assert by_columns.table.architectures == by_json.table.architectures == tuple(archs)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["0"], "line 2, latency_ms.x: 0 ms is not a positive number"),
        (["-2"], "line 2, latency_ms.x: -2 ms is not"),
        (["inf"], "line 2, latency_ms.x: inf ms is not"),
        (["fast"], r"line 2, latency_ms.x: 'fast' is not a number"),
    ],
)
def test_impossible_latencies_name_the_place(write, cells, words):
    with pytest.raises(PredictorError, match=words):
        gather(CELLS, tables=[write("architecture,latency_ms.x", *(f"{ONE},{cell}" for cell in cells))])


def test_nan_is_a_missing_cell(write):
    corpus = gather(CELLS, tables=[write("architecture,latency_ms.x", f"{ONE},nan", f"{TWO},3")])
    assert len(corpus.table) == 1
    assert corpus.table.latencies_ms.tolist() == [[3.0]]


def test_what_is_there_twice_is_an_error_or_the_median(write):
    rows = write("architecture,latency_ms.x", f"{ONE},1", f"{ONE},2", f"{ONE},9")
    with pytest.raises(PredictorError, match="more than once"):
        gather(CELLS, tables=[rows])
    assert gather(CELLS, tables=[rows], duplicates="median").table.latencies_ms.tolist() == [[2.0]]
    columns = write("architecture,latency_ms.x,latency_ms.x", f"{ONE},1,3", name="columns.csv")
    with pytest.raises(PredictorError, match="device 'x' is in the table more than once"):
        gather(CELLS, tables=[columns])
    assert gather(CELLS, tables=[columns], duplicates="median").table.latencies_ms.tolist() == [[2.0]]
    one = write("architecture,latency_ms.x", f"{ONE},1", name="one.csv")
    with pytest.raises(PredictorError, match="there more than once"):
        gather(CELLS, tables=[one, one])


def test_an_unknown_operation_names_the_row(write):
    table = write("architecture,latency_ms.x", f"{ONE},1", f"{CELL.format('nor_conv_9x9')},2")
    with pytest.raises(PredictorError, match=r"table.csv: architecture 2: .*no operation 'nor_conv_9x9'"):
        gather(CELLS, tables=[table])
    with pytest.raises(PredictorError, match="is no architecture of 'digits'"):
        gather(DIGITS, tables=[table])


def test_a_device_measured_under_two_conditions_counts_with_the_fuller_one():
    new = records(4, start=3, device_hash="e" * 64)
    corpus = gather(DIGITS, records=[*records(3), *new])
    assert corpus.table.devices == ("host",)
    assert len(corpus.table) == 4
    assert "measured under 2 conditions" in corpus.notes[0]
    twice = gather(DIGITS, records=[*records(3), *records(3, p99_ms=5.0)])
    np.testing.assert_array_equal(twice.table.latencies_ms[:, 0], [3.0, 3.5, 4.0])


def test_the_errors_of_measurements_come_along():
    interval = {"p99_low_ms": 0.9, "p99_high_ms": 1.1, "p99_undisturbed_ms": 1.0, "verdict": "ok"}
    sure = records(3, p99_ms=1.0, **interval)
    vague = records(2, start=3, p99_ms=1.0, **{**interval, "p99_high_ms": np.inf, "verdict": "noisy"})
    corpus = gather(DIGITS, records=[*sure, *vague, *records(1, start=5)])
    archs, _ = corpus.device("host")
    errors = corpus.errors_of(archs, "host")
    assert 0.04 < errors[0] < 0.1
    assert errors[3] > 0.25
    assert errors[5] == 0.0
    assert gather(DIGITS, records=records(2)).errors_of(archs, "host") is None


def test_measurements_that_are_of_no_use_are_left_out_and_counted():
    given = [*records(2), *records(3, start=2, architecture=None), *records(1, start=5, space_version="9")]
    corpus = gather(DIGITS, records=[*given, *records(1, space="other")])
    assert len(corpus.table) == 2
    assert corpus.notes[0].startswith("3 measurements do not tell")
    assert corpus.notes[1].startswith("1 measurements of another version")


def test_a_device_with_too_few_measurements_teaches_nothing():
    corpus = gather(DIGITS, records=[*records(25), *records(7, device="slow")])
    chosen = corpus.for_training()
    assert chosen.table.devices == ("host",)
    assert "slow (7)" in chosen.notes[-1]
    with pytest.raises(PredictorError, match="'slow' has 7 measured networks"):
        corpus.for_training(["slow"])
    with pytest.raises(PredictorError, match=r"measured on 'hots' \(did you mean 'host'\?\)"):
        corpus.for_training(["hots"])
    with pytest.raises(PredictorError, match="no device has 20"):
        gather(DIGITS, records=records(7)).for_training()
