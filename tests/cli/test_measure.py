import signal
import subprocess
import sys
import threading
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from hwnas.cli._measure import share
from hwnas.cli._measuring import Request, _Told
from hwnas.device import DeviceProfile, transport_kind
from hwnas.device.testing import FakeDevice, fake_device
from hwnas.errors import ConfigError, StoppedError
from hwnas.locks import DeviceLock
from hwnas.measurement import MeasurementProtocol, MeasurementStore, check_stability

from .conftest import QUICK, wait_until


@pytest.fixture
def unsupported(tmp_path):
    """A well-formed network with an operation that no runtime has."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Frobnicate", ["x"], ["y"], domain="example")], "odd", [x], [y])
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("example", 1)]
    path = tmp_path / "odd.onnx"
    onnx.save(helper.make_model(graph, opset_imports=domains, ir_version=8), path)
    return path


@pytest.fixture
def host(hwnas):
    hwnas("device", "add", "host")


def test_a_file_is_measured_and_stored(hwnas, host, network):
    said = hwnas("measure", "host", network, *QUICK, "--json")
    assert said.code == 0
    (found,) = said.data["measurements"]
    assert found["network_name"] == "net"
    assert found["n"] >= 100
    assert 0 < found["p50_low_ms"] <= found["p50_ms"] <= found["p99_ms"]
    assert found["verdict"] in ("ok", "charging", "noisy", "drifting", "preempted", "throttled")
    (listed,) = hwnas("measurements", "list", "--json").data
    assert listed == found


def test_what_is_known_costs_nothing_unless_again(hwnas, host, network):
    def measured(*more):
        return hwnas("measure", "host", network, *QUICK, *more, "--json").data["measurements"][0]["id"]

    assert measured() == measured() == 1
    assert measured("--again") == 2


def test_networks_of_a_space(hwnas, host):
    said = hwnas("measure", "host", "--space", "digits", "--count", "2", "--seed", "3", *QUICK, "--json")
    found = said.data["measurements"]
    assert len({item["architecture_id"] for item in found}) == 2
    assert {item["space"] for item in found} == {"digits"}
    assert all(item["macs"] > 0 and item["params"] > 0 for item in found)
    assert len(hwnas("measurements", "list", "--space", "digits", "--json").data) == 2
    assert hwnas("measurements", "list", "--space", "other", "--json").data == []


@pytest.fixture
def measuring(environment):
    """Another process that has this machine's turn to measure."""
    code = """if True:
        import time
        from hwnas.locks import MachineTurns
        with MachineTurns().measuring():
            print("held", flush=True)
            time.sleep(30)
    """
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_writing_a_spaces_networks_waits_for_its_turn_and_can_be_stopped_meanwhile(measuring, store, capfd):
    protocols, stop, stopped_s = {"host": MeasurementProtocol()}, threading.Event(), []
    request = Request((), "digits", count=2, seed=0, protocols=protocols, again=False, wait_s=0.0)

    def listen(event):
        _Told("", None, lines=True).hear(event)
        stopped_s.append(time.monotonic())
        stop.set()

    with pytest.raises(StoppedError):
        request.on(DeviceProfile("host"), MeasurementStore(store), listen=listen, stop=stop)
    assert len(stopped_s) == 1
    assert time.monotonic() - stopped_s[0] < 5.0
    assert f"waiting for a measurement pid {measuring.pid}" in " ".join(capfd.readouterr().err.split())


def test_a_table_for_people(hwnas, host, network):
    said = hwnas("measure", "host", network, *QUICK)
    assert said.code == 0
    head, _, row = said.out.splitlines()
    assert head.split()[:3] == ["id", "network", "device"]
    assert row.split()[:3] == ["1", "net", "host"]
    assert "1 of 1: net: p50" in said.err


def test_one_that_fails_stops_no_other(hwnas, host, network, unsupported):
    said = hwnas("measure", "host", unsupported, network, *QUICK, "--json")
    assert said.code == 3
    assert [item["network_name"] for item in said.data["measurements"]] == ["net"]
    (failure,) = said.data["failures"]
    assert failure["network_name"] == "odd"
    assert failure["error"]
    assert "1 of 2 networks could not be measured" in said.err


def test_nothing_measured_is_two(hwnas, host, unsupported):
    said = hwnas("measure", "host", unsupported, *QUICK)
    assert said.code == 2
    assert "odd" in said.err


def test_a_file_that_is_text(refused, host, tmp_path):
    path = tmp_path / "notes.onnx"
    path.write_text("these are my notes, and no network\n")
    assert "notes.onnx" in refused("measure", "host", path)


def test_a_file_that_is_not_there(refused, host, tmp_path):
    assert "no such file" in refused("measure", "host", tmp_path / "gone.onnx")


def test_a_device_that_is_not_there(refused, host, network):
    assert "did you mean 'host'?" in refused("measure", "hots", network)


def test_a_space_that_is_not_there(refused, host):
    assert "digits" in refused("measure", "host", "--space", "digit")


def test_nothing_to_measure(refused, host):
    assert "which networks?" in refused("measure", "host")


def test_two_things_to_measure(refused, host, network):
    assert "--space" in refused("measure", "host", network, "--space", "digits")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--protocol", "smaples=5"], "did you mean 'samples'?"),
        (["--precision", "wide"], "--precision"),
        (["--samples", "0"], "--samples"),
        (["--protocol", "block=1"], "block"),
    ],
)
def test_a_wrong_setting_is_named(refused, host, network, options, named):
    assert named in refused("measure", "host", network, *options)


def test_a_device_in_use_names_its_holder(hwnas, refused, host, network):
    with DeviceLock(transport_kind("host").lock_key(DeviceProfile("host"))).hold():
        text = refused("measure", "host", network, *QUICK)
    assert "in use" in text or "holds" in text or "held" in text


def test_share():
    assert share("5%") == share("0.05") == pytest.approx(0.05)
    with pytest.raises(ConfigError, match="--precision"):
        share("%")


def test_ctrl_c_keeps_what_is_measured_and_the_same_command_goes_on(hwnas, host, started):
    process = started("measure", "host", "--space", "digits", "--count", "8", "--protocol", "group=1", *QUICK)
    wait_until(lambda: hwnas("measurements", "list", "--json").data)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "the same command goes on with the rest" in err
    assert "Traceback" not in err


def test_show_has_the_evidence(hwnas, host, network):
    hwnas("measure", "host", network, *QUICK)
    said = hwnas("measurements", "show", "1")
    for word in ("p99 ms", "verdict", "protocol", "onnxruntime", "sha256", "before"):
        assert word in said.out
    data = hwnas("measurements", "show", "1", "--samples", "--json").data
    assert len(data["samples_ns"]) == data["n"]
    assert data["profile"]["runtime"] == "onnxruntime"
    assert data["protocol"]["samples"] == 100
    assert "samples_ns" not in hwnas("measurements", "show", "1", "--json").data


def test_a_measurement_that_is_not_there(refused):
    assert "no measurement 7" in refused("measurements", "show", "7")


@pytest.mark.parametrize(("words", "named"), [(["show"], "ID"), (["list", "--newest"], "--newest")])
def test_a_number_that_no_store_holds_is_named(refused, words, named):
    assert f"invalid value for '{named}'" in refused("measurements", *words, "99999999999999999999999")


def test_an_empty_list_says_how_to_begin(hwnas):
    said = hwnas("measurements", "list")
    assert (said.out, said.code) == ("", 0)
    assert "hwnas measure" in said.err


def test_check_says_what_it_saw(hwnas, workspace):
    hwnas("device", "add", "host", "--protocol", "samples=400", "--protocol", "processes=1")
    said = hwnas("device", "check", "host")
    assert said.code == 0
    for word in ("verdict", "advice", "reference network", "p99", "onnxruntime"):
        assert word in said.out
    again = hwnas("device", "check", "host", "--json")
    assert again.code == 0, again.err
    data = again.data
    assert data["reference"]["n"] >= 400
    assert data["facts"]["logical_cores"] >= 1
    assert data["verdict"] == data["reference"]["verdict"]
    assert hwnas("measurements", "list", "--json").data == []


def test_check_of_a_device_that_cannot_be_used(hwnas, refused):
    hwnas("device", "add", "odd", "--option", "provider=quantum")
    assert "quantum" in refused("device", "check", "odd")


def test_stability_is_shown_even_where_its_picture_cannot_be_drawn(hwnas, tmp_path, monkeypatch):
    hwnas("device", "add", "host")
    random = np.random.default_rng(0)
    device = fake_device(FakeDevice(lambda _network, n: random.normal(1e6, 5e3, n).astype(np.int64)))
    report = check_stability(device, campaigns=3, protocol=MeasurementProtocol(samples=400, processes=3))
    folder = tmp_path / "gone"

    def check(profile, **settings):
        folder.rmdir()
        return report

    monkeypatch.setattr("hwnas.measurement.check_stability", check)
    command = ["device", "check", "host", "--stability", "--plot", folder / "stability.png"]
    folder.mkdir()
    said = hwnas(*command)
    assert said.code == 2
    assert [line.split()[0] for line in said.out.splitlines()[2:]] == list(report.networks)
    assert "pairs keep their order" in said.err
    assert f"error: cannot write {tmp_path}" in said.err
    folder.mkdir()
    again = hwnas(*command, "--json")
    assert (again.code, again.data["networks"]) == (2, list(report.networks))
