"""What Android's programs print, read."""

import pytest

from hwnas.device.adb import _android
from tests.device.adb_daemon.programs import BATTERY, THERMAL


def test_properties_may_have_several_lines():
    text = "[ro.a]: [1]\n[ro.b]: []\n[ro.c]: [two\nlines]\n[ro.d]: [x: [y]]\n"
    assert _android.properties(text) == {"ro.a": "1", "ro.b": "", "ro.c": "two\nlines", "ro.d": "x: [y]"}
    assert _android.properties("sh: getprop: not found") == {}


@pytest.mark.parametrize(("status", "charging"), [(2, True), (3, False), (4, False), (5, False)])
def test_a_battery(status, charging):
    found = _android.battery(BATTERY.format(usb="true", status=status, level=42, t=268))
    assert found == _android.Battery(42.0, charging, 26.8)


def test_a_battery_that_tells_little():
    assert _android.battery("") == _android.Battery(None, None, None)
    assert _android.battery("Can't find service: battery") == _android.Battery(None, None, None)
    assert _android.battery("  AC powered: true\n  level: 50\n  scale: 200\n") == _android.Battery(25.0, True, None)
    assert _android.battery("  level: 50\n  temperature: -3000\n").temperature_c is None


def test_a_battery_that_was_set_by_hand_tells_nothing_of_its_charge():
    text = BATTERY.format(usb="false", status=3, level=42, t=268)
    text = text.replace("state:\n", "state:\n  (UPDATES STOPPED -- use 'reset' to restart)\n")
    assert _android.battery(text) == _android.Battery(None, None, 26.8)


def test_thermal_service_tells_of_now_and_not_of_its_cache():
    found = _android.thermal(THERMAL.format(status=3, skin=44.5, cpu=71.0))
    assert found.status == 3
    assert found.skin_c == 44.5
    assert dict(found.temperature_c) == {"BIG": 71.0, "VIRTUAL-SKIN": 44.5}


def test_a_thermal_service_with_a_cache_alone():
    reading = "\tTemperature{mValue=31.0, mType=3, mName=skin, mStatus=0}\n"
    text = f"Thermal Status: 0\nCached temperatures:\n{reading}HAL Ready: false\n"
    assert _android.thermal(text) == _android.Thermal(0, {"skin": 31.0}, 31.0)


def test_a_phone_without_the_service():
    assert _android.thermal("Can't find service: thermalservice\n") == _android.Thermal(None, {}, None)


@pytest.mark.parametrize(
    ("text", "lit"), [("mWakefulness=Awake", True), ("  mWakefulness=Asleep\n", False), ("", None)]
)
def test_the_screen(text, lit):
    assert _android.screen_on(text) is lit


@pytest.mark.parametrize(
    ("raw", "celsius"), [("38000", 38.0), ("38", 38.0), ("-274000", None), ("0", 0.0), ("x", None), ("999999", None)]
)
def test_zones_write_thousandths_or_degrees(raw, celsius):
    assert _android.zone_temperature(raw) == celsius


@pytest.mark.parametrize(
    ("text", "cores"), [("0-7\n", tuple(range(8))), ("0,2-3", (0, 2, 3)), ("0", (0,)), ("x", ()), ("", ())]
)
def test_lists_of_processors(text, cores):
    assert _android.cores(text) == cores


def test_cores_of_equal_speed_stand_together():
    layout = [(0, 1803000), (1, 1803000), (2, 1803000), (3, 2850000)]
    assert _android.core_layout(layout) == "0-2 at 1803 MHz, 3 at 2850 MHz"
    assert _android.core_layout([]) == ""
