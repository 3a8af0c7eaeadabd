"""`hwnas measure --device A --device B`: one worker a device; one that drops out stops no other."""

import signal
import threading

import pytest

from hwnas.device import DeviceRegistry
from tests.device.adb_daemon.daemon import LoopbackDevice
from tests.device.adb_daemon.waiting import wait_until

from .conftest import QUICK

pytest_plugins = ["tests.device.adb_daemon.fixtures"]

SLOW = ["--samples", "1000000", "--protocol", "budget_s=60", "--protocol", "processes=1", "--protocol", "reference=0"]


@pytest.fixture
def other(tmp_path):
    """A second phone."""
    with LoopbackDevice(tmp_path / "other", serial="LOOPBACK0002") as device:
        device.phone.set_properties(ro__product__model="Pixel 8")
        yield device


@pytest.fixture
def pixels(phone, other, profile, workspace):
    """Two registered phones, `pixel7` and `pixel8`."""
    other.phone.set_properties(ro__product__cpu__abi=phone.phone.properties["ro.product.cpu.abi"])
    registry = DeviceRegistry(workspace)
    registry.add(profile())
    registry.add(profile("pixel8", transport_options={"address": other.address, "reconnect_s": 1.0}))
    return phone, other


BOTH = ("--device", "pixel7", "--device", "pixel8")


def test_two_phones_measure_side_by_side(hwnas, pixels, network):
    said = hwnas("measure", *BOTH, network, *QUICK, "--json")
    assert said.code == 0, said
    assert [(item["device"], item["network_name"]) for item in said.data["measurements"]] == [
        ("pixel7", "net"),
        ("pixel8", "net"),
    ]
    assert [(item["device"], item["measured"], item["error"]) for item in said.data["devices"]] == [
        ("pixel7", 1, None),
        ("pixel8", 1, None),
    ]
    assert "pixel7: 1 of 1: net: p50" in said.err
    assert "pixel8: 1 of 1: net: p50" in said.err
    table = hwnas("measure", *BOTH, network, *QUICK)
    assert [line.split()[2] for line in table.out.splitlines()[2:]] == ["pixel7", "pixel8"]
    assert table.err.count(", known") == 2


def test_a_phone_that_is_gone_stops_no_other(hwnas, pixels, network):
    pixels[1].power_off()
    said = hwnas("measure", *BOTH, network, *QUICK, "--json")
    assert said.code == 3
    assert [item["device"] for item in said.data["measurements"]] == ["pixel7"]
    lost = said.data["devices"][1]
    assert (lost["device"], lost["measured"]) == ("pixel8", 0)
    assert "cannot connect to" in lost["error"]
    assert lost["hint"]
    assert "warning: pixel8: cannot connect to" in said.err
    assert "nothing was measured on 1 of 2 devices" in said.err
    pixels[1].power_on()


def test_a_phone_that_drops_out_in_the_middle_stops_no_other(hwnas, pixels, network):
    def pull_the_plug():
        wait_until(lambda: any("--serve" in service for service in pixels[1].services), 30)
        pixels[1].power_off()

    plug = threading.Thread(target=pull_the_plug)
    plug.start()
    more = ["--samples", "20000", "--protocol", "processes=1", "--protocol", "reference=0"]
    said = hwnas("measure", *BOTH, network, *more, "--json")
    plug.join()
    assert said.code == 3
    assert [item["device"] for item in said.data["measurements"]] == ["pixel7"]
    assert said.data["devices"][1]["error"] or said.data["failures"]
    assert [item["device"] for item in hwnas("measurements", "list", "--json").data] == ["pixel7"]
    pixels[1].power_on()


def test_all_gone_is_two(hwnas, pixels, network):
    for phone in pixels:
        phone.power_off()
    said = hwnas("measure", *BOTH, network, *QUICK)
    assert (said.code, said.out) == (2, "")
    assert "nothing was measured on 2 of 2 devices" in said.err
    for phone in pixels:
        phone.power_on()


def test_a_phone_and_this_machine(hwnas, pixels, network):
    hwnas("device", "add", "host")
    hwnas("device", "add", "host2", "--threads", "2")
    said = hwnas("measure", "--device", "pixel7", "--device", "host", "--device", "host2", network, *QUICK, "--json")
    assert said.code == 0, said.err
    found = said.data["measurements"]
    assert [item["device"] for item in found] == ["pixel7", "host", "host2"]
    # Two profiles of one machine take turns.
    moments = {item["device"]: hwnas("measurements", "show", item["id"], "--json").data for item in found}
    assert moments["host2"]["before"]["at"] >= moments["host"]["after"]["at"]


def test_ctrl_c_ends_all_and_keeps_what_is_done(started, hwnas, pixels, network):
    assert hwnas("measure", "pixel7", network, *QUICK).code == 0
    running = started("measure", *BOTH, network, *SLOW)
    assert wait_until(lambda: all(any("serve" in line for line in phone.phone.running()) for phone in pixels), 60)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130, err
    assert "the same command goes on with the rest" in err
    assert "Traceback" not in err
    for phone in pixels:
        assert wait_until(lambda phone=phone: phone.phone.running() == []), phone.phone.running()
    assert len(hwnas("measurements", "list", "--json").data) == 1


def test_what_is_wrong_is_said_before_anything_is_measured(refused, hwnas, network):
    hwnas("device", "add", "host")
    assert "did you mean 'host'" in refused("measure", "--device", "host", "--device", "hots", network)
    assert "named twice" in refused("measure", "--device", "host", "--device", "host", network)
    assert "which networks" in refused("measure", "--device", "host")
    assert "which device" in refused("measure")
