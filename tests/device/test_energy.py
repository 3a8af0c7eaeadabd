"""RAPL counters, in a folder laid out as the kernel does it."""

import threading

import pytest

from hwnas._deadline import Deadline
from hwnas.device import Device, DeviceProfile
from hwnas.device.worker._energy import PackageMeter
from hwnas.network import write_onnx


@pytest.fixture
def powercap(tmp_path):
    """Make zones: name of the folder, its domain, its counter and the counter's range, in microjoules."""
    root = tmp_path / "powercap"

    def make(*zones):
        (root / "intel-rapl").mkdir(parents=True)
        for folder, domain, value, limit in zones:
            (root / folder).mkdir()
            (root / folder / "name").write_text(f"{domain}\n")
            (root / folder / "energy_uj").write_text(f"{value}\n")
            (root / folder / "max_energy_range_uj").write_text(f"{limit}\n")
        return PackageMeter(str(root))

    make.root = root
    return make


def test_packages_count_and_their_parts_do_not(powercap):
    """The cores lie within their package, `psys` around it, and `mmio` shows the same package once more."""
    meter = powercap(
        ("intel-rapl:0", "package-0", 100, 1000),
        ("intel-rapl:0:0", "core", 7, 1000),
        ("intel-rapl:0:1", "dram", 8, 1000),
        ("intel-rapl:1", "package-1", 20, 500),
        ("intel-rapl:2", "psys", 900, 1000),
        ("intel-rapl-mmio:0", "package-0", 100, 1000),
    )
    assert meter.read() == [100, 20]
    assert meter.between([100, 20], [150, 21]) == 51


def test_a_counter_that_began_again_is_followed(powercap):
    meter = powercap(("intel-rapl:0", "package-0", 0, 262_143_328_850), ("intel-rapl:1", "package-1", 0, 1000))
    assert meter.between([262_143_328_800, 10], [40, 20]) == 90 + 10
    assert meter.between([5, 990], [6, 30]) == 1 + 40


def test_what_is_not_told_is_not_guessed(powercap, tmp_path):
    assert PackageMeter(str(tmp_path / "nowhere")).read() is None
    meter = powercap(("intel-rapl:0", "package-0", 100, 1000), ("intel-rapl:1", "package-1", 100, 1000))
    assert meter.between(meter.read(), meter.read()) is None  # counters that stand still tell nothing
    (powercap.root / "intel-rapl:1" / "energy_uj").write_text("broken\n")
    assert meter.read() is None
    assert meter.between(None, [1, 1]) is None


def test_counters_that_may_not_be_read_tell_nothing(powercap):
    meter = powercap(("intel-rapl:0", "package-0", 100, 1000))
    counter = powercap.root / "intel-rapl:0" / "energy_uj"
    counter.unlink()
    counter.mkdir()  # as good as a file without permission, for the superuser too
    assert meter.read() is None


def test_a_block_on_the_host_tells_the_energy_between_its_ends(powercap, small_graph, tmp_path, soon, monkeypatch):
    powercap(("intel-rapl:0", "package-0", 900, 1000))
    monkeypatch.setattr("hwnas.device._host_runtime.POWERCAP", str(powercap.root))
    network = write_onnx(small_graph, tmp_path / "net.onnx")
    counter, stop = powercap.root / "intel-rapl:0" / "energy_uj", threading.Event()

    def count():
        value = 900
        while not stop.wait(0.002):
            value = (value + 1) % 1000
            partial = counter.with_name("partial")
            partial.write_text(f"{value}\n")
            partial.replace(counter)

    counting = threading.Thread(target=count)
    counting.start()
    try:
        with Device.open(DeviceProfile("host"), deadline=soon) as device:
            session = device.load(network, deadline=soon)
            block = next(b for b in (session.run(2000, deadline=soon) for _ in range(50)) if b.energy_mj is not None)
            session.close()
    finally:
        stop.set()
        counting.join()
    assert 0.001 <= block.energy_mj < 1.0


def test_a_host_without_counters_tells_no_energy(small_graph, tmp_path, monkeypatch):
    monkeypatch.setattr("hwnas.device._host_runtime.POWERCAP", str(tmp_path / "nowhere"))
    network, soon = write_onnx(small_graph, tmp_path / "net.onnx"), Deadline.after(60)
    with Device.open(DeviceProfile("host"), deadline=soon) as device:
        session = device.load(network, deadline=soon)
        assert session.run(5, deadline=soon).energy_mj is None
        session.close()
