"""A phone's state, how it is tuned and put back, and several phones at once."""

import subprocess
import sys
import threading
import time

import pytest

from hwnas._deadline import Deadline
from hwnas.device import Device, DeviceProfile, DeviceRegistry, on_each, transport_names
from hwnas.device.adb import AdbProbe, clean, lock_key_of, restore, tune, tuned
from hwnas.errors import ConfigError, DeviceConnectionError, DeviceError
from tests.device.adb_daemon import LoopbackDevice
from tests.device.adb_daemon.waiting import wait_until

pytest_plugins = ["tests.device.adb_daemon.fixtures"]


def soon(seconds=20.0):
    return Deadline.after(seconds)


def test_adb_is_one_of_the_transports():
    assert "adb" in transport_names()


def test_what_a_phone_is(phone, connected):
    facts = AdbProbe(connected()).facts(deadline=soon())
    assert (facts.model, facts.soc, facts.architecture) == ("Google Pixel 7", "Google GS201", "arm64-v8a")
    assert (facts.os, facts.logical_cores, facts.serial) == ("Android 14", 8, "LOOPBACK0001")
    assert facts.extra["cores"] == "0-3 at 1803 MHz, 4-5 at 2348 MHz, 6-7 at 2850 MHz"
    assert facts.memory_bytes > 1e8


def test_two_phones_are_two_devices(phone, connected):
    first = AdbProbe(connected()).facts(deadline=soon())
    phone.phone.set_properties(ro__serialno="ANOTHER")
    assert AdbProbe(connected()).facts(deadline=soon()).identity != first.identity


def test_what_is_no_android_device(phone, connected):
    (phone.phone.root / "bin/getprop").write_text("#!/bin/sh\nexit 127\n")
    with pytest.raises(DeviceError, match="does not answer as an Android device"):
        AdbProbe(connected()).facts(deadline=soon())


def test_conditions_follow_the_phone(phone, connected):
    probe = AdbProbe(connected(), cpus=(6, 7))
    phone.phone.set_battery(level=15, charging=True, temperature_c=41.2)
    phone.phone.set_thermal(status=3, skin_c=44.5, cpu_c=80.0)
    phone.phone.set_screen(on=False)
    phone.phone.set_frequency(6, 2850000)
    state = probe.conditions(deadline=soon())
    assert state.frequency_mhz == (2850.0, 1425.0)
    assert state.governor == "sched_pixel"
    assert (state.battery_percent, state.charging, state.screen_on, state.thermal_status) == (15.0, True, False, 3)
    assert state.temperature_c == {
        "BIG": 80.0,
        "VIRTUAL-SKIN": 44.5,
        "battery": 41.2,
        "cpu-0-0-usr": 80.0,
        "skin-therm": 44.5,
    }
    assert state.extra["skin_c"] == 44.5
    phone.phone.set_frequency(6, 1000000)
    assert probe.conditions(deadline=soon()).frequency_mhz == (1000.0, 1425.0)


def test_a_phone_that_tells_little_tells_little(phone, connected):
    import shutil

    shutil.rmtree(phone.phone.root / "sys")
    phone.phone.set_thermal(service=False)
    shutil.rmtree(phone.phone.root / "sys")
    for name in ("battery", "power"):
        (phone.phone.root / "state/dumpsys" / name).unlink()
    state = AdbProbe(connected()).conditions(deadline=soon())
    assert (state.frequency_mhz, state.temperature_c, state.battery_percent, state.screen_on) == (
        None,
        None,
        None,
        None,
    )


def test_services_are_not_asked_at_every_block(phone, connected):
    probe = AdbProbe(connected())
    probe.conditions(deadline=soon())
    phone.services.clear()
    for _ in range(3):
        probe.conditions(deadline=soon())
    assert sum("dumpsys" in service for service in phone.services) == 0
    phone.phone.set_battery(level=3)
    probe.forget()
    assert probe.conditions(deadline=soon()).battery_percent == 3.0


def test_reading_the_state_is_quick(phone, connected):
    probe = AdbProbe(connected())
    probe.conditions(deadline=soon())
    times = []
    for _ in range(20):
        began = time.perf_counter()
        probe.conditions(deadline=soon())
        times.append(time.perf_counter() - began)
    assert min(times) < 0.02


def test_tuning_is_put_back_as_it_was(phone, connected):
    transport = connected()
    place = phone.phone.root / "state/settings/global/stay_on_while_plugged_in"
    place.write_text("2\n")
    phone.phone.set_screen(on=False)
    assert "fixed performance mode is on" in tune(transport, deadline=soon())
    tune(transport, deadline=soon())  # twice: what was there before the first stays known
    assert phone.phone.fixed_performance
    assert phone.phone.setting("stay_on_while_plugged_in") == "7"
    assert AdbProbe(transport).conditions(deadline=soon()).screen_on
    restore(transport, deadline=soon())
    assert not phone.phone.fixed_performance
    assert phone.phone.setting("stay_on_while_plugged_in") == "2"
    assert restore(transport, deadline=soon()) == ["nothing was changed on this phone"]


def test_a_setting_that_was_never_made_is_taken_away_again(phone, connected):
    with tuned(connected(), deadline=soon()):
        assert phone.phone.setting("stay_on_while_plugged_in") == "7"
    assert phone.phone.setting("stay_on_while_plugged_in") == "null"


def test_an_older_phone_says_what_it_cannot(phone, connected):
    phone.phone.set_properties(ro__build__version__sdk="28")
    said = tune(connected(), deadline=soon())
    assert said[0] == "fixed performance mode needs Android 11; clocks stay as they are"
    assert not phone.phone.fixed_performance


def test_ctrl_c_puts_a_phone_back(phone, connected, own_keys):
    script = "\n".join(
        [
            "import sys, time",
            "from hwnas._deadline import Deadline",
            "from hwnas.device import DeviceProfile",
            "from hwnas.device.adb import open_transport, tuned",
            "profile = DeviceProfile('p', transport='adb', transport_options={'address': sys.argv[1]})",
            "with tuned(open_transport(profile, Deadline.after(20)), deadline=Deadline.after(20)):",
            "    print('tuned', flush=True)",
            "    time.sleep(60)",
        ]
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, phone.address], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as other:
        assert other.stdout.readline() == b"tuned\n"
        assert phone.phone.fixed_performance
        other.send_signal(2)
        other.wait(20)
    assert not phone.phone.fixed_performance
    assert phone.phone.setting("stay_on_while_plugged_in") == "null"


def test_clean_leaves_nothing(phone, connected, tmp_path):
    transport = connected()
    tune(transport, deadline=soon())
    (tmp_path / "file").write_bytes(bytes(3_000_000))
    transport.installation.bundle([tmp_path / "file"], deadline=soon())
    stray = connected().start(["sh", "-c", "trap '' HUP; sleep 100; true"], deadline=soon())
    said = clean(transport, deadline=soon())
    assert "MiB" in said[-1]
    assert not phone.phone.path("/data/local/tmp/hwnas").exists()
    assert not phone.phone.fixed_performance
    assert wait_until(lambda: phone.phone.running() == []), phone.phone.running()
    stray.close()
    clean(transport, deadline=soon())


def test_what_is_on_the_phone_is_not_sent_again(phone, connected, tmp_path):
    (tmp_path / "lib.so").write_bytes(b"library")
    (tmp_path / "program").write_bytes(b"program")
    files = [tmp_path / "program", tmp_path / "lib.so"]
    folder = connected().installation.bundle(files, deadline=soon())
    assert phone.phone.path(folder).joinpath("lib.so").read_bytes() == b"library"
    phone.services.clear()
    again = connected()
    assert again.installation.bundle(files, deadline=soon()) == folder
    assert "sync:" not in phone.services
    phone.phone.path(folder).joinpath("lib.so").write_bytes(b"damaged")
    assert connected().installation.bundle(files, deadline=soon()) == folder
    assert phone.phone.path(folder).joinpath("lib.so").read_bytes() == b"library"
    (tmp_path / "lib.so").write_bytes(b"newer")
    assert again.installation.bundle(files, deadline=soon()) != folder


def test_several_phones_work_at_once_and_one_that_drops_out_stops_no_other(tmp_path, own_keys):
    phones = [LoopbackDevice(tmp_path / f"phone{number}", serial=f"S{number}") for number in range(3)]
    profiles = [
        DeviceProfile(
            f"phone{number}", transport="adb", transport_options={"address": phone.address, "reconnect_s": 0.5}
        )
        for number, phone in enumerate(phones)
    ]
    profiles.append(DeviceProfile("phone0b", transport="adb", transport_options={"address": phones[0].address}))

    def work(profile):
        from hwnas.device.adb import open_transport

        transport = open_transport(profile, soon())
        try:
            if profile.name == "phone1":
                phones[1].power_off()
            return transport.run(["sh", "-c", "sleep 0.5; getprop ro.serialno"], deadline=soon()).stdout
        finally:
            transport.close()

    began = time.monotonic()
    results = on_each(profiles, work)
    assert list(results) == ["phone0", "phone1", "phone2", "phone0b"]
    assert (results["phone0"], results["phone2"], results["phone0b"]) == (b"S0\n", b"S2\n", b"S0\n")
    assert isinstance(results["phone1"], DeviceConnectionError)
    assert time.monotonic() - began < 10.0
    assert on_each([], work) == {}
    with pytest.raises(ConfigError, match="named twice"):
        on_each([profiles[0], profiles[0]], work)
    for phone in phones:
        phone.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"adress": "x"}, "address"),
        ({"address": "1.2.3.4:99999"}, "write HOST:PORT"),
        ({"address": "1.2.3.4", "serial": "X"}, "not both"),
        ({"route": "usb"}, "route"),
        ({"cool_s": -1.0}, "cool_s"),
    ],
)
def test_wrong_options_are_named_when_a_phone_is_registered(workspace, options, said):
    with pytest.raises(ConfigError, match=said):
        DeviceRegistry(workspace).add(DeviceProfile("phone", transport="adb", transport_options=options))


def test_missing_packages_are_named_as_pip_knows_them(monkeypatch):
    monkeypatch.setattr("hwnas.device.adb._kind.find_spec", lambda _name: None)
    with pytest.raises(DeviceError, match="phones need adb-shell and adbutils") as caught:
        Device.open(DeviceProfile("phone", transport="adb"), deadline=soon())
    assert caught.value.hint == "pip install adb-shell adbutils"


def test_what_the_phones_state_says_to_change(phone, connected):
    """Nothing that contradicts `tune`, and nothing that an unrooted phone does not allow."""
    seen = AdbProbe(connected(), cpus=(6, 7)).watch()
    phone.phone.set_screen(on=True)
    phone.phone.set_battery(level=80, charging=True)
    said = "\n".join(seen(soon()))
    assert "screen" not in said
    assert "charged, which heats it; measure over the network, or once it is full" in said
    assert "governor is sched_pixel; `hwnas device tune`" in said
    phone.phone.set_screen(on=False)
    assert any("the screen is off" in line and "tune" in line for line in AdbProbe(connected()).watch()(soon()))


@pytest.mark.parametrize("sdk", ["34", "29"])
def test_restore_tells_what_it_did(phone, connected, sdk):
    phone.phone.set_properties(ro__build__version__sdk=sdk)
    transport = connected()
    tune(transport, deadline=soon())
    mode = ["fixed performance mode is off"] if sdk == "34" else []
    assert restore(transport, deadline=soon()) == [*mode, "the screen times out as before"]


def test_one_address_is_one_phone_before_it_is_connected():
    keys = {profile_key(address) for address in ("192.168.1.7", "192.168.1.7:5555")}
    assert keys == {"adb 192.168.1.7:5555"}


def profile_key(address):
    from hwnas.device import transport_kind

    return transport_kind("adb").lock_key(DeviceProfile("p", transport="adb", transport_options={"address": address}))


def with_two_names(phone, profile):
    """Two profiles of one phone, whose addresses differ."""
    port = phone.address.rpartition(":")[2]
    names = {"by_number": f"127.0.0.1:{port}", "by_name": f"localhost:{port}"}
    return [profile(name, transport_options={"address": address}) for name, address in names.items()]


@pytest.mark.parametrize(("serial", "key"), [("28111FDH2000XY", "adb 28111FDH2000XY"), ("0123456789ABCDEF", None)])
def test_a_phone_has_one_lock_however_its_profiles_name_it(phone, profile, serial, key):
    """A serial number that many phones have tells nothing: then it is the address."""
    phone.phone.set_properties(ro__serialno=serial)
    for made in with_two_names(phone, profile):
        with Device.open(made, deadline=soon()) as device:
            assert device.lock_key == (key or f"adb {made.transport_options['address']}")
            assert lock_key_of(made, device.transport, deadline=soon()) == device.lock_key


def test_two_profiles_of_one_phone_wait_for_each_other(phone, profile, reference, store):
    from hwnas.measurement import Measurement, MeasurementProtocol, MeasurementStore, Waiting, measure

    protocol = MeasurementProtocol(samples=100, processes=1, reference=0, budget_s=5.0)
    events = []

    def work(made):
        kept = MeasurementStore(store)
        return measure([reference], made, store=kept, protocol=protocol, again=True, on_progress=events.append)

    found = on_each(with_two_names(phone, profile), work)
    assert all(isinstance(result, list) and isinstance(result[0], Measurement) for result in found.values()), found
    assert sum(isinstance(event, Waiting) for event in events) <= 1


def test_throttling_reaches_the_verdict(phone, profile, reference, store):
    from hwnas.measurement import MeasurementProtocol, MeasurementStore, Verdict, measure

    phone.phone.set_thermal(status=3)
    protocol = MeasurementProtocol(samples=100, processes=1, reference=0, budget_s=5.0)
    (found,) = measure([reference], profile(), store=MeasurementStore(store), protocol=protocol)
    assert found.verdict is Verdict.THROTTLED
    assert any("thermal status 3" in reason for reason in found.reasons)
    phone.phone.set_thermal(status=0)
    phone.phone.set_battery(level=9)
    (found,) = measure([reference], profile(), store=MeasurementStore(store), protocol=protocol, again=True)
    assert any("battery was at 9 %" in reason for reason in found.reasons)


def test_charging_reaches_the_verdict_unless_the_profile_accepts_it(phone, profile, reference, store):
    from hwnas.measurement import MeasurementProtocol, MeasurementStore, Verdict, measure

    phone.phone.set_battery(level=62, charging=True)
    protocol = MeasurementProtocol(samples=100, processes=1, reference=0, budget_s=5.0)
    (found,) = measure([reference], profile(), store=MeasurementStore(store), protocol=protocol)
    assert found.verdict is not Verdict.OK
    told = "the battery was being charged, which heats a device (62 %, 27 °C)"
    assert told in found.reasons
    accepting = profile(transport_options={"accept_charging": True})
    (found,) = measure([reference], accepting, store=MeasurementStore(store), protocol=protocol, again=True)
    assert told not in found.reasons
    state = MeasurementStore(store).trace(found.id).before
    assert (state.charging, state.battery_percent) == (True, 62.0)  # accepted, and yet not hidden


def test_a_phone_rests_until_it_is_cool(phone, profile, monkeypatch):
    monkeypatch.setattr("hwnas.device.adb._probe._SERVICES_FRESH_S", 0.1)
    monkeypatch.setattr("hwnas.device.adb._onphone._LOOK_S", 0.2)
    phone.phone.set_thermal(skin_c=45.0)
    options = {"cool_to_c": 38.0, "cool_most_s": 30.0}
    with Device.open(profile(transport_options=options), deadline=soon()) as device:
        threading.Timer(1.0, phone.phone.set_thermal, kwargs={"skin_c": 37.0}).start()
        began = time.monotonic()
        assert device.rest(deadline=Deadline.never())
        assert 0.9 < time.monotonic() - began < 20.0
        assert device.conditions(deadline=soon()).extra["skin_c"] == 37.0
        time.sleep(0.15)
        assert not device.rest(deadline=Deadline.never())
        phone.phone.set_thermal(skin_c=50.0)
        time.sleep(0.15)
        began = time.monotonic()
        assert device.rest(deadline=soon(4.0))
        assert time.monotonic() - began < 3.8  # half of the time is kept for the blocks
        stop = threading.Event()
        threading.Timer(0.3, stop.set).start()
        began = time.monotonic()
        assert device.rest(deadline=Deadline.never(), cancelled=stop)
        assert time.monotonic() - began < 20.0


def test_only_a_campaign_rests_and_only_before_blocks(profile, reference):
    made = profile(transport_options={"cool_s": 60.0})
    with Device.open(made, deadline=soon()) as device:
        session = device.load(reference, deadline=soon())
        began = time.monotonic()
        session.run(10, deadline=soon())
        assert time.monotonic() - began < 15.0
        session.close()
