import csv
import dataclasses
import gzip
import json
import math
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwnas.device import Conditions
from hwnas.errors import MeasurementError
from hwnas.measurement import (
    MeasurementStore,
    card_path,
    export_measurements,
    import_measurements,
    measurement_records,
    record_sigma_log,
    summarize,
)
from hwnas.measurement._columns import COLUMNS, SERIES, as_text, parse
from hwnas.store import Store
from hwnas.workspace import Workspace

from .test_records import assert_same

STATE = Conditions(governor="performance", temperature_c={"a": 40.5})
ARCHITECTURE = {"space": "digits", "version": "1", "values": {"depth": 2, "lr": 0.1, "block": "mbconv"}}


@pytest.fixture
def other(tmp_path):
    """The store of another workspace."""
    opened = Store.open(Workspace.create(tmp_path / "elsewhere").store_url)
    yield opened
    opened.close()


@pytest.fixture
def measured(traces, make_trace, make_block):
    """Three measurements: a plain one; one with everything; and one whose p99 has no upper end."""
    blocks = [
        make_block([5, 6, 7], switches=[0, 1, 0], cpu_ns=[5, 5, 5], before=[1, 2], after=[], conditions=STATE),
        dataclasses.replace(make_block([9], process=1), kept=False, energy_mj=1.0),
        dataclasses.replace(make_block([8, 8], process=1, before=[], after=[3]), energy_mj=2.5),
    ]
    full = make_trace(blocks, before=STATE, after=STATE, peak_memory_bytes=10, baseline_memory_bytes=5, name='net, "1"')
    network = dataclasses.replace(full.network, architecture_id="i", space="digits", architecture=ARCHITECTURE)
    return [
        traces.add(item) for item in (make_trace(), dataclasses.replace(full, network=network), make_trace([blocks[2]]))
    ]


def test_an_estimate_stays_marked(store, other, traces, make_trace, make_block, tmp_path):
    state = dataclasses.replace(STATE, extra={"estimated_from": "maxima"})
    made = traces.add(make_trace([make_block([5, 6, 7], conditions=state), make_block([5, 6, 7], conditions=STATE)]))
    assert made.estimated_from == "maxima"
    for name in ("out.parquet", "out.csv"):
        export_measurements(store, tmp_path / name)
        import_measurements(other, tmp_path / name)
        assert [item.estimated_from for item in MeasurementStore(other).list()] == ["maxima"]


@pytest.mark.parametrize("metric", ["p50_ms", "p90_ms", "p99_ms"])
def test_a_row_has_the_standard_error_of_its_measurement(store, measured, metric):
    rows = list(measurement_records(store))
    assert [record_sigma_log(row, metric) for row in rows] == [item.sigma_log_of(metric) for item in measured]
    rows[0][metric.replace("_ms", "_high_ms")] = None
    assert record_sigma_log(rows[0], metric) is None


def without_id(measurement, **more):
    return dataclasses.replace(measurement, id=None, **more)


@pytest.mark.parametrize("name", ["out.parquet", "out.csv", "out.csv.gz"])
def test_measurements_come_back_as_they_were(store, other, measured, tmp_path, name):
    assert export_measurements(store, tmp_path / name) == 3
    came = import_measurements(other, tmp_path / name)
    assert (came.new, came.known, came.foreign, came.left_out) == (3, 0, 3, ())
    again = MeasurementStore(other).list()
    assert [without_id(item) for item in again] == [without_id(item, imported_from=store.id) for item in measured]
    assert measured[1].peak_memory_bytes == 10
    assert math.isinf(measured[2].p99.high_ms)


def test_what_came_from_a_file_counts_as_known(store, other, measured, tmp_path):
    export_measurements(store, tmp_path / "out.csv")
    import_measurements(other, tmp_path / "out.csv")
    key = {"device_hash": measured[0].device_hash, "protocol_hash": measured[0].protocol_hash}
    found = MeasurementStore(other).find([measured[0].network_hash], **key)
    assert found[measured[0].network_hash].p99 == measured[2].p99  # the newest of one network
    assert MeasurementStore(other).find([measured[0].network_hash], **{**key, "device_hash": "0" * 64}) == {}


def test_two_processes_import_one_file_at_once(store, other, measured, tmp_path):
    export_measurements(store, tmp_path / "out.parquet", samples=True)
    code = """
        import sys
        from pathlib import Path
        from hwnas.measurement import import_measurements
        from hwnas.store import Store
        import_measurements(Store.open(sys.argv[1]), Path(sys.argv[2]))
    """
    command = [sys.executable, "-c", textwrap.dedent(code), other.url, str(tmp_path / "out.parquet")]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in processes:
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, stderr
    assert len(MeasurementStore(other).list()) == 3


def test_whole_traces_come_back_bit_by_bit(store, other, measured, traces, tmp_path):
    export_measurements(store, tmp_path / "out.parquet", samples=True)
    import_measurements(other, tmp_path / "out.parquet")
    for before, after in zip(measured, MeasurementStore(other).list(), strict=True):
        one, two = traces.trace(before.id), MeasurementStore(other).trace(after.id)
        assert_same(one, two)
        assert one.hash == two.hash


def test_a_file_of_ones_own_is_known_and_not_doubled(store, measured, tmp_path):
    export_measurements(store, tmp_path / "out.parquet", samples=True)
    came = import_measurements(store, tmp_path / "out.parquet")
    assert (came.new, came.known, came.foreign) == (0, 3, 0)
    assert MeasurementStore(store).list() == measured


def test_what_was_removed_comes_back_as_ones_own(store, traces, measured, tmp_path):
    export_measurements(store, tmp_path / "out.parquet", samples=True)
    traces.remove(measured[0].id)
    assert import_measurements(store, tmp_path / "out.parquet").new == 1
    assert traces.list()[-1] == dataclasses.replace(measured[0], id=traces.list()[-1].id)
    assert all(item.imported_from is None for item in traces.list())


def test_where_it_was_measured_survives_a_second_hand(store, other, measured, tmp_path):
    export_measurements(store, tmp_path / "one.parquet")
    import_measurements(other, tmp_path / "one.parquet")
    export_measurements(other, tmp_path / "two.csv")
    came = import_measurements(store, tmp_path / "two.csv")
    assert (came.known, came.foreign) == (3, 0)
    assert {cells["store"] for cells in pq.read_table(tmp_path / "one.parquet").to_pylist()} == {store.id}


def test_samples_that_come_later_complete_what_came_without(store, other, measured, tmp_path):
    export_measurements(store, tmp_path / "light.csv")
    export_measurements(store, tmp_path / "whole.parquet", samples=True)
    import_measurements(other, tmp_path / "light.csv")
    found = MeasurementStore(other)
    with pytest.raises(MeasurementError, match="imported without its samples"):
        found.trace(found.list()[0].id)
    assert import_measurements(other, tmp_path / "whole.parquet").completed == 3
    assert found.trace(found.list()[0].id).samples_ns.size == 1000
    assert import_measurements(other, tmp_path / "light.csv").known == 3


def test_what_is_measured_again_is_another_measurement(store, other, traces, make_trace, tmp_path):
    for second in (1, 2):
        traces.add(make_trace(created_at=datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC)))
    export_measurements(store, tmp_path / "out.csv")
    assert import_measurements(other, tmp_path / "out.csv").new == 2


def test_measurements_are_picked(store, traces, make_trace, tmp_path):
    quiet = traces.add(make_trace(name="quiet", network_hash="b" * 64))
    traces.add(make_trace(name="loud", steady=False))
    for picked in ({"network": "quiet"}, {"network": "b" * 8}, {"verdicts": [str(quiet.verdict)]}):
        assert export_measurements(store, tmp_path / "out.parquet", **picked) == 1
        assert pq.read_table(tmp_path / "out.parquet")["network_name"].to_pylist() == ["quiet"]
    for nothing in ({"device": "other"}, {"space": "digits"}, {"network": "bb"}):
        with pytest.raises(MeasurementError, match="nothing to export"):
            export_measurements(store, tmp_path / "out.parquet", **nothing)
    with pytest.raises(MeasurementError, match="no verdict 'okay'"):
        export_measurements(store, tmp_path / "out.parquet", verdicts=["okay"])


def test_samples_that_count_lie_apart_from_disturbed_ones(store, measured, tmp_path):
    export_measurements(store, tmp_path / "out.parquet", samples=True)
    row = pq.read_table(tmp_path / "out.parquet").to_pylist()[1]
    assert (row["samples_ns"], row["disturbed_samples_ns"]) == ([5, 6, 7, 8, 8], [9])
    assert (row["n"], row["blocks_kept"], row["blocks_repeated"]) == (5, 2, 1)
    assert row["architecture"] == '{"depth":2,"lr":0.1,"block":"mbconv"}'


def test_samples_do_not_go_into_csv(store, measured, tmp_path):
    with pytest.raises(MeasurementError, match="Parquet alone"):
        export_measurements(store, tmp_path / "out.csv", samples=True)
    with pytest.raises(MeasurementError, match="what kind of file"):
        export_measurements(store, tmp_path / "out.json")
    with pytest.raises(MeasurementError, match="cannot be written"):
        export_measurements(store, tmp_path / "none" / "out.csv")
    assert not list(tmp_path.glob("*out*"))


def edited(path, column, value, row=0):
    """Put another value into a cell, or change what is in it: `value` may be a function."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[row][column] = value(rows[row][column]) if callable(value) else value
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def but(**changed):
    """Change fields of a cell of JSON."""
    return lambda cell: json.dumps(json.loads(cell) | changed)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("p99_ms", "fast", "line 2, p99_ms: 'fast' is no number"),
        ("p99_ms", "nan", "line 2, p99_ms: 'nan' is no number"),
        ("p99_ms", "0", "line 2: an estimate of 0.0 ms"),
        ("p99_ms", "-1", "line 2: an estimate of -1.0 ms"),
        ("p99_ms", "", "line 2, p99_ms is empty"),
        ("n", "-5", "'-5' is no whole number"),
        ("n", "1e3", "'1e3' is no whole number"),
        ("macs", str(2**63), "line 2, macs: '9223372036854775808' is no whole number"),
        ("network_hash", "abc", "'abc' is no sha256"),
        ("created_at", "yesterday", "'yesterday' is no moment"),
        ("created_at", "2026-01-01 10:00:00", "is no moment with its time zone"),
        ("verdict", "fine", "'fine' is not a valid Verdict"),
        ("profile", "{", "is no JSON"),
        ("profile", '{"name": "x", "thread": 2}', "does not fit together"),
        ("profile", "3", "profile: '3' is no JSON"),
        ("profile", but(transport=1), "line 2: transport is 'host', and profile says 1"),
        ("profile", but(protocol=[1]), "line 2: it does not fit together"),
        ("protocol", '{"samples": -1}', "samples is -1"),
        ("versions", "null", "line 2, versions: 'null' is no JSON"),
        ("versions", "[1]", "line 2: versions is no JSON object"),
        ("facts", but(model="\ud800"), "line 2, facts: .* is no JSON"),
        ("steady", "maybe", "'maybe' is no true or false"),
        ("format_version", "99", "format_version is 99, known is 1"),
    ],
)
def test_a_wrong_cell_is_named_and_nothing_is_imported(store, other, measured, tmp_path, column, value, words):
    path = tmp_path / "out.csv"
    export_measurements(store, path)
    edited(path, column, value)
    with pytest.raises(MeasurementError, match=words) as error:
        import_measurements(other, path)
    assert str(path) in error.value.message
    assert error.value.hint
    assert MeasurementStore(other).list() == []


@pytest.mark.parametrize(
    ("name", "card"),
    [
        ("run.parquet", "run.json"),
        ("run.1.csv", "run.1.json"),
        ("run.1.CSV.GZ", "run.1.json"),
        ("v0.2.run.parquet", "v0.2.run.json"),
    ],
)
def test_a_card_is_called_as_its_file(name, card):
    assert card_path(Path("folder") / name) == Path("folder") / card


def test_a_figure_that_was_changed_by_hand_is_no_other_measurement(store, measured, tmp_path):
    path = tmp_path / "out.csv"
    export_measurements(store, path)
    edited(path, "p50_ms", repr(measured[0].p50_ms * (1 + 1e-9)))
    with pytest.raises(MeasurementError, match=r"line 2: measurement 1 of the store is the same one.*another summary"):
        import_measurements(store, path)


def test_damaged_files_are_one_error(store, other, measured, tmp_path):
    export_measurements(store, tmp_path / "a.parquet", samples=True)
    export_measurements(store, tmp_path / "a.csv")
    export_measurements(store, tmp_path / "a.csv.gz")
    text, binary, packed = ((tmp_path / f"a.{end}").read_bytes() for end in ("csv", "parquet", "csv.gz"))
    damaged = {
        "cut.parquet": binary[: len(binary) // 2],
        "text.parquet": b"network,p99\n",
        "empty.parquet": b"",
        "holed.parquet": binary[:200] + b"\0" * 400 + binary[600:],
        "cut.csv": text[:-30],
        "empty.csv": b"",
        "binary.csv": bytes(range(256)),
        "cut.csv.gz": packed[: len(packed) // 2],
        "text.csv.gz": text,
        "column.csv": text.replace(b"p90_ms", b"q90_ms", 1),
        "twice.csv": text.replace(b"p90_ms", b"p50_ms", 1),
    }
    for name, data in damaged.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(MeasurementError) as error:
            import_measurements(other, tmp_path / name)
        assert name in error.value.message, name
        assert error.value.hint
    assert MeasurementStore(other).list() == []
    with pytest.raises(MeasurementError, match="no such file"):
        import_measurements(other, tmp_path / "none.csv")


def test_columns_of_others_are_left_out_and_said(store, other, measured, tmp_path):
    path = tmp_path / "out.csv"
    export_measurements(store, path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([f"{lines[0]},mine", *(f"{line},1" for line in lines[1:])]) + "\n")
    assert import_measurements(other, path).left_out == ("mine",)


def test_a_file_of_an_older_version_lacks_what_came_later(store, other, measured, tmp_path):
    export_measurements(store, tmp_path / "out.parquet")
    later = ["estimated_from", "energy_mj"]
    pq.write_table(pq.read_table(tmp_path / "out.parquet").drop_columns(later), tmp_path / "old.parquet")
    assert import_measurements(other, tmp_path / "old.parquet").new == len(measured)
    found = MeasurementStore(other).list()
    assert [item.p99 for item in found] == [item.p99 for item in measured]
    assert {(item.estimated_from, item.energy_mj) for item in found} == {(None, None)}


def test_series_that_do_not_fit_are_refused(store, other, measured, tmp_path):
    export_measurements(store, tmp_path / "out.parquet", samples=True)
    table = pq.read_table(tmp_path / "out.parquet")
    rows = table.to_pylist()
    rows[0]["samples_ns"] = rows[0]["samples_ns"][:-1]
    pq.write_table(type(table).from_pylist(rows, table.schema), tmp_path / "out.parquet")
    with pytest.raises(MeasurementError, match="row 1: samples_ns has 999 numbers, and blocks tells of 1000"):
        import_measurements(other, tmp_path / "out.parquet")


VALUES = {
    "integer": st.integers(0, 2**62),
    "number": st.floats(allow_nan=False),
    "flag": st.booleans(),
    "moment": st.datetimes(timezones=st.just(UTC)),
    "texts": st.lists(st.text()),
    "text": st.text().filter(str.strip),
}


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(COLUMNS + SERIES)
    .filter(lambda column: column.kind in VALUES)
    .flatmap(lambda column: st.tuples(st.just(column), VALUES[column.kind]))
)
def test_a_cell_comes_back_from_text(given_cell):
    column, value = given_cell
    assert parse(column, as_text(column, value)) == value


def test_an_export_of_an_older_estimator_keeps_its_figures(store, other, measured, tmp_path, monkeypatch):
    """Without samples there is nothing to derive them anew from."""
    export_measurements(store, tmp_path / "out.csv")
    import_measurements(other, tmp_path / "out.csv")
    monkeypatch.setattr("hwnas.measurement._records.ESTIMATOR_VERSION", 2)
    found = MeasurementStore(other).list()
    assert [item.p99 for item in found] == [item.p99 for item in measured]


def test_a_packed_csv_is_the_csv(store, measured, tmp_path):
    export_measurements(store, tmp_path / "out.csv")
    export_measurements(store, tmp_path / "out.csv.gz")
    assert gzip.decompress((tmp_path / "out.csv.gz").read_bytes()) == (tmp_path / "out.csv").read_bytes()


def test_figures_are_those_of_the_samples(store, measured, traces, tmp_path):
    export_measurements(store, tmp_path / "out.parquet")
    row = pq.read_table(tmp_path / "out.parquet").to_pylist()[0]
    derived = summarize(traces.trace(measured[0].id))
    assert [row["p99_ms"], row["p99_low_ms"], row["p99_high_ms"]] == [
        derived.p99.value_ms,
        derived.p99.low_ms,
        derived.p99.high_ms,
    ]
    assert np.isclose(row["p50_ms"], 1.0, rtol=0.1)
