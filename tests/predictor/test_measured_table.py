import json

import numpy as np
import pytest

from hwnas.errors import PredictorError
from hwnas.predictor import LatencyTable
from hwnas.space import Architecture


@pytest.fixture
def measured():
    def make(values, device, p99_ms, *, device_hash="d" * 64, protocol_hash="e" * 64, **more):
        known = values is not None
        return {
            "architecture": json.dumps(values) if known else None,
            "space": "toy" if known else None,
            "space_version": "1" if known else None,
            "network_hash": more.pop("network_hash", "a" * 64),
            "device": device,
            "device_hash": device_hash,
            "protocol_hash": protocol_hash,
            "p99_ms": p99_ms,
            "p50_ms": p99_ms / 2,
            "macs": 10,
            "params": None,
        } | more

    return make


def test_an_architecture_is_a_row_and_a_device_a_column(measured):
    """The network's file may differ from device to device."""
    records = [
        measured({"depth": 1}, "pi", 1.0),
        measured({"depth": 2}, "pi", 2.0),
        measured({"depth": 1}, "phone", 3.0, network_hash="b" * 64),
    ]
    table = LatencyTable.of_measurements(records)
    assert table.architectures == (Architecture("toy", "1", {"depth": 1}), Architecture("toy", "1", {"depth": 2}))
    assert table.devices == ("pi", "phone")
    np.testing.assert_array_equal(table.latencies_ms, [[1, 3], [2, np.nan]])
    assert list(table.facts) == ["macs"]
    assert LatencyTable.of_measurements(records, metric="p50_ms").column("pi").tolist() == [0.5, 1.0]


def test_measurements_under_different_conditions_are_not_merged(measured):
    records = [
        measured({"depth": 1}, "pi", 1.0),
        measured({"depth": 1}, "pi", 9.0, device_hash="f" * 64),
        measured({"depth": 1}, "pi", 5.0, protocol_hash="c" * 64),
        measured({"depth": 1}, "pi", 3.0),
    ]
    table = LatencyTable.of_measurements(records)
    assert table.devices == ("pi#dddddddd-eeeeeeee", "pi#ffffffff-eeeeeeee", "pi#dddddddd-cccccccc")
    assert table.latencies_ms.tolist() == [[2.0, 9.0, 5.0]]  # the median of two under the same conditions


def test_a_file_of_ones_own_stands_for_itself(measured):
    table = LatencyTable.of_measurements([measured(None, "pi", 1.0), measured(None, "pi", 2.0, network_hash="b" * 64)])
    assert table.architectures == ("a" * 64, "b" * 64)


def test_nothing_measured_is_no_table():
    with pytest.raises(PredictorError, match="no measurements"):
        LatencyTable.of_measurements([])


def test_a_table_of_architectures_is_no_text(measured, tmp_path):
    table = LatencyTable.of_measurements([measured({"depth": 1}, "pi", 1.0)])
    with pytest.raises(PredictorError, match="no text"):
        table.write(tmp_path / "x.parquet")


def test_parquet_holds_what_the_csv_holds(tmp_path):
    (tmp_path / "t.csv").write_text("block0,block1,latency_ms.x,latency_ms.y\nk3,skip,1.25,\nk3,k5,0.1,7\n")
    table = LatencyTable.read(tmp_path / "t.csv")
    table.write(tmp_path / "t.parquet")
    again = LatencyTable.read(tmp_path / "t.parquet")
    assert (again.architectures, again.devices, again.columns) == (table.architectures, table.devices, table.columns)
    np.testing.assert_array_equal(again.latencies_ms, table.latencies_ms)
    with pytest.raises(PredictorError, match="cannot be written"):
        table.write(tmp_path / "none" / "t.parquet")
