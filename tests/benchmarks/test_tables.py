"""Our own latency tables: columns by machine, resumed, written, and described."""

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hwnas.device.testing import FakeDevice, fake_device
from hwnas.errors import NetworkCrashedError
from hwnas.space import get_space

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def tables(monkeypatch):
    """The programs as they import each other when they are run."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    names = ("_table_targets", "table_files", "_table_column", "tables")
    found = SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    yield found
    for name in names:
        sys.modules.pop(name)


@pytest.fixture
def machine(tables, monkeypatch):
    """A machine whose targets take as long as a network's size says; `.speed` is a factor, `.broken` networks fail."""
    here = SimpleNamespace(speed=1.0, broken=())

    def latency(network, n):
        return (here.speed * (1e5 + 0.3 * network.macs) * (1 + 0.01 * np.sin(np.arange(n)))).astype(np.int64)

    def error(action, network):
        return NetworkCrashedError("segmentation fault", "fix it") if network.name in here.broken else None

    def connect(profile):
        protocol = {"processes": 1, "reference": 0, "warmup_s": 0.01}
        return fake_device(FakeDevice(latency, error), replace(profile, protocol=protocol))

    monkeypatch.setattr(tables._table_column, "connect", connect)
    return here


@pytest.fixture
def run(tables, machine, tmp_path, monkeypatch, capsys):
    """Run the program as a user does, on a few networks; returns what it printed."""
    (tmp_path / "turns").mkdir(mode=0o700)
    monkeypatch.setenv("HWNAS_LOCKS", str(tmp_path / "turns"))  # waits for no other test

    def run(*arguments, networks=8, space="digits"):
        given = ["tables.py", "--space", space, "--targets", "ort1", "--networks", str(networks), "--again", "2"]
        folders = ["--workspace", str(tmp_path / "workspace"), "--out", str(tmp_path / "out"), "--samples", "20"]
        monkeypatch.setattr(sys, "argv", [*given, *folders, *arguments])
        tables.tables.main()
        return capsys.readouterr().out

    return run


def rows(tables, folder, name):
    return tables.table_files.read(folder / f"{name}.parquet")


def test_a_machine_is_called_by_its_processor_and_a_column_by_both(tables, tmp_path):
    targets = tables._table_targets
    path = tmp_path / "cpuinfo"
    path.write_text("model name\t: Intel(R) Xeon(R) CPU @ 2.20GHz\ncpu family\t: 6\nmodel\t\t: 85\n" * 2)
    name = targets.machine_name(path)
    assert name.startswith("intel-xeon-6-85-")
    assert name.endswith("c")
    profile = targets.column(f"ort-int8.{name}")
    assert profile.name == f"ort-int8.{name}"
    assert profile.options["precision"] == "int8"
    assert targets.parts(profile.name) == ("ort-int8", name)
    assert targets.in_order(["ncnn.b", "ort1.b", "ort1.a"]) == ["ort1.a", "ort1.b", "ncnn.b"]


def test_a_column_is_measured_once_written_with_its_card_and_gone_on_with(tables, run, tmp_path):
    out = tmp_path / "out"
    assert "0 measurements left" in run("--machine", "here")
    first = rows(tables, out, "digits")
    assert {item["device"] for item in first} == {"ort1.here"}
    assert len(first) == len({item["architecture_id"] for item in first}) == 8
    assert len(rows(tables, out, "digits-again")) == 2
    assert not (out / "digits-partial.parquet").exists()
    card = json.loads((out / "digits.json").read_text())
    assert list(card["machines"]) == ["here"]
    assert card["targets"]["ort1.here"]["networks"] == 8
    assert "`ort1.here`" in (out / "digits.md").read_text()

    assert "0 measurements left on 0 targets" in run("--machine", "there")  # complete elsewhere
    assert "8 measurements left on 1 targets" in run("--machine", "there", "--here", "--plan", "--again", "0")
    assert rows(tables, out, "digits") == first

    (tmp_path / "workspace" / "hwnas.sqlite").unlink()  # another day: only the files are there
    assert "8 measurements taken from digits.parquet" in run("--machine", "here", networks=10)
    more = rows(tables, out, "digits")
    assert len(more) == 10
    kept = {item["architecture_id"]: item["p99_ms"] for item in more}
    assert all(kept[item["architecture_id"]] == item["p99_ms"] for item in first)


def test_another_machine_does_not_go_on_with_a_column(tables, run, machine, tmp_path):
    run("--machine", "here")
    machine.speed = 1.1
    said = run("--machine", "here", networks=10)
    assert "ort1.here is not gone on with: the medians of 8 of its networks moved by +10.0%" in said
    out = tmp_path / "out"
    assert not (out / "digits.parquet").exists()  # of ten networks, eight are no complete column
    assert len(rows(tables, out, "digits-partial")) == 8 + 2
    assert "to be measured here" in run("--machine", "here", "--plan", networks=10)


def test_networks_that_fail_stay_out_and_are_tried_again(tables, run, machine, tmp_path):
    archs = tables.tables.networks(get_space("digits"), 8)
    machine.broken = {f"digits-{archs[3].id[:8]}"}
    said = run()
    assert f"digits-{archs[3].id[:8]} on ort1." in said
    assert "failed: segmentation fault" in said
    out = tmp_path / "out"
    assert len({item["architecture_id"] for item in rows(tables, out, "digits-partial")}) == 7
    machine.broken = ()
    run()
    assert len(rows(tables, out, "digits")) == 8


def test_operations_are_measured_where_they_are_few(tables, run, machine, tmp_path, monkeypatch):
    run("--machine", "here", networks=4, space="nasbench201")
    out = tmp_path / "out"
    alone = rows(tables, out, "nasbench201-operations")
    assert {item["device"] for item in alone} == {"ort1.here"}
    assert 20 < len(alone) == len({item["network_name"] for item in alone}) < 60
    (tmp_path / "workspace" / "hwnas.sqlite").unlink()
    machine.speed = 7.0  # what is there is not measured again
    run("--machine", "here", networks=4, space="nasbench201")
    assert rows(tables, out, "nasbench201-operations") == alone
    own = importlib.import_module("own_tables")
    monkeypatch.setitem(sys.modules, "own_tables", own)
    found = own.load(out, "nasbench201", "p99")
    assert found.sums_ms["ort1.here"].shape == (4,)
    np.testing.assert_allclose(found.sums_ms["ort1.here"], found.table.column("ort1.here"), rtol=0.1)
    assert not (out / "digits-operations.parquet").exists()
