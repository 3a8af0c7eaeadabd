from pathlib import Path

import pytest

from hwnas.locks import DeviceLock

pytest_plugins = ["tests.device.adb_daemon.fixtures"]


@pytest.fixture
def pixel(hwnas, phone, own_keys):
    """A registered phone."""
    said = hwnas(
        "device", "add", "pixel", "--transport", "adb", "--address", phone.address, "--runner", "./hwnas-runner"
    )
    assert said.code == 0, said
    return phone


def test_a_phone_is_registered_with_options_of_its_own(hwnas):
    said = hwnas(
        *("device", "add", "pixel7", "--transport", "adb", "--address", "192.168.1.7:5555", "--runtime", "onnxruntime"),
        *("--runner", "./onnxruntime_perf_test", "--threads", "4", "--cpu-mask", "f0", "--json"),
    )
    runner = str(Path("onnxruntime_perf_test").absolute())
    assert said.data["transport_options"] == {"address": "192.168.1.7:5555", "runner": runner}
    assert said.data["cpus"] == [4, 5, 6, 7]


def test_a_profile_names_its_files_from_the_root_on(hwnas, tmp_path, monkeypatch):
    """It means the same files from any folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    files = ["--runner", "../hwnas-runner", "--transport-option", "library=~/libLiteRt.so:lib/libc++_shared.so"]
    made = hwnas("device", "add", "p", "--transport", "adb", "--runtime", "litert", *files, "--json")
    options = made.data["transport_options"]
    assert Path(options["runner"]).resolve() == tmp_path / "hwnas-runner"
    assert options["library"] == f"{tmp_path}/home/libLiteRt.so:{tmp_path}/here/lib/libc++_shared.so"
    assert Path(options["runner"]).is_absolute()


def test_libraries_are_a_list_and_a_runner_is_one_file(hwnas, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = ["--runner", "one:file", "--library", "a:b"]
    made = hwnas("device", "add", "p", "--transport", "adb", "--address", "192.168.1.7:5555", *files, "--json")
    options = made.data["transport_options"]
    assert options["runner"] == f"{tmp_path}/one:file"
    assert options["library"] == f"{tmp_path}/a:{tmp_path}/b"


def test_the_same_setting_twice_is_refused(refused):
    said = refused("device", "add", "x", "--transport", "adb", "--serial", "A", "--transport-option", "serial=B")
    assert "--serial" in said


def test_tune_and_restore(hwnas, pixel):
    said = hwnas("device", "tune", "pixel")
    assert (said.code, said.out) == (0, "")
    assert "fixed performance mode is on" in said.err
    assert pixel.phone.fixed_performance
    assert hwnas("device", "restore", "pixel", "--json").data["device"] == "pixel"
    assert not pixel.phone.fixed_performance


def test_nothing_is_done_to_a_phone_that_is_in_use(refused, pixel):
    """Whatever its profile calls it: the lock is that of its serial number."""
    with DeviceLock("adb LOOPBACK0001").hold():
        assert "is in use" in refused("device", "tune", "pixel")
    assert not pixel.phone.fixed_performance


def test_clean(hwnas, pixel):
    hwnas("device", "tune", "pixel")
    said = hwnas("device", "clean", "pixel")
    assert said.code == 0
    assert "removed /data/local/tmp/hwnas" in said.err
    assert not pixel.phone.path("/data/local/tmp/hwnas").exists()


def test_what_is_no_phone_is_refused(hwnas, refused):
    hwnas("device", "add", "host")
    assert "is no phone" in refused("device", "clean", "host")


def test_a_phone_that_is_gone_is_one_clear_error(refused, pixel):
    pixel.power_off()
    assert "cannot connect to" in refused("device", "tune", "pixel")
    pixel.power_on()


def test_checking_a_phone(hwnas, phone, profile, workspace):
    from hwnas.device import DeviceRegistry

    DeviceRegistry(workspace).add(profile())
    said = hwnas("device", "check", "pixel7", "--json")
    assert said.code == 0, said.err
    assert "Google Pixel 7" in said.out
    assert any("`hwnas device tune pixel7` asks for a fixed clock" in line for line in said.data["advice"]), said.data
    assert "8 cores (0-3 at 1803 MHz, 4-5 at 2348 MHz" in " ".join(hwnas("device", "check", "pixel7").out.split())


@pytest.mark.parametrize("text", ["x; touch pwned", "$(touch pwned)"])
def test_names_from_the_command_line_reach_the_phone_as_plain_text(hwnas, refused, phone, profile, workspace, text):
    """A hostile path of the runner, of a network and a serial number; a device's name is refused."""
    import shutil

    from hwnas.device import DeviceRegistry
    from hwnas.network import reference_graph, write_onnx

    assert "not a name" in refused("device", "add", text, "--transport", "adb", "--address", phone.address)
    folder = workspace.root / text
    folder.mkdir()
    made = profile()
    for name in ("runner", "library"):
        shutil.copy(made.transport_options[name], folder / f"{text}.{name}")
    network = write_onnx(reference_graph(), folder / f"{text}.onnx").path
    words = ["--transport", "adb", "--address", phone.address, "--runtime", "onnxruntime"]
    files = ["--runner", folder / f"{text}.runner", "--library", folder / f"{text}.library"]
    assert hwnas("device", "add", "odd", *words, *files).code == 0
    quick = ["--samples", "100", "--protocol", "processes=1", "--protocol", "reference=0"]
    said = hwnas("measure", "odd", network, *quick, "--json")
    assert said.code == 0, said.err
    assert said.data["measurements"][0]["network_name"] == text
    serial = hwnas("device", "add", "serial", "--transport", "adb", "--serial", text, "--runner", "x")
    assert serial.code == 0
    assert "Traceback" not in refused("device", "check", "serial")
    assert DeviceRegistry(workspace).get("serial").transport_options["serial"] == text
    assert not list(phone.phone.root.rglob("pwned"))
    assert not list(workspace.root.rglob("pwned"))
    assert hwnas("device", "clean", "odd").code == 0
