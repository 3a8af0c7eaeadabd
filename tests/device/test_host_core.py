import os
import sys

import pytest

from hwnas._deadline import Deadline
from hwnas.device import Device, DeviceProfile
from hwnas.device._host_core import HomeCore, keeping_to


@pytest.fixture
def machine(tmp_path):
    """Lays out /proc/stat from the busy ticks of each processor, and speeds of some."""

    def lay(ticks, speeds=None, name="cpu_capacity"):
        (tmp_path / "proc").mkdir(exist_ok=True)
        lines = [f"cpu{cpu} {busy} 0 0 {10_000 - busy} 0 0 0 0 0 0" for cpu, busy in ticks.items()]
        (tmp_path / "proc/stat").write_text("\n".join(["cpu 1 2 3 4", *lines, "intr 5 6"]) + "\n")
        for cpu, speed in (speeds or {}).items():
            path = tmp_path / f"sys/devices/system/cpu/cpu{cpu}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{speed}\n")
        return tmp_path

    return lay


def test_the_processor_that_was_least_busy_meanwhile_is_chosen_for_good(machine):
    home = HomeCore(root=machine({0: 900, 1: 100, 2: 100}))
    machine({0: 905, 1: 300, 2: 130})
    assert home.choose({0, 1, 2}) == 0
    machine({0: 5000, 1: 300, 2: 130})
    assert home.choose({0, 1, 2}) == 0


def test_the_last_one_is_chosen_where_all_were_idle(machine):
    assert HomeCore(root=machine({0: 7, 1: 7})).choose({0, 1}) == 1


@pytest.mark.parametrize("name", ["cpu_capacity", "cpufreq/cpuinfo_max_freq"])
def test_only_the_fastest_kind_counts(machine, name):
    home = HomeCore(root=machine({0: 0, 1: 0, 2: 0}, {0: 1024, 1: 1024, 2: 400}, name))
    machine({0: 50, 1: 80, 2: 0})
    assert home.choose({0, 1, 2}) == 0
    assert HomeCore(root=machine({0: 0, 1: 0, 2: 0})).choose({1, 2}) == 1


def test_where_there_is_no_choice_nothing_is_bound(machine, tmp_path):
    assert HomeCore(root=machine({0: 0})).choose({0}) is None
    assert HomeCore(root=tmp_path / "nothing").choose(set()) is None
    assert HomeCore(root=tmp_path / "nothing").choose({3, 4}) == 4


@pytest.mark.skipif(
    sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2, reason="there must be processors to choose from"
)
def test_the_processes_of_a_device_keep_to_one_processor(reference):
    profiles = (
        DeviceProfile("one"),
        DeviceProfile("two", threads=2),
        DeviceProfile("named", cpus=(min(os.sched_getaffinity(0)),)),
    )
    found = []
    for profile in profiles:
        with Device.open(profile, deadline=Deadline.after(60)) as device:
            sessions = [device.load(file, deadline=Deadline.after(60)) for file in (reference, reference)]
            found.append({frozenset(os.sched_getaffinity(session.pid)) for session in sessions})
            for session in sessions:
                session.close()
    assert len(found[0]) == 1
    assert len(next(iter(found[0]))) == 1
    assert found[1] == {frozenset(os.sched_getaffinity(0))}
    assert found[2] == {frozenset(profiles[2].cpus)}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no system to bind a thread on")
def test_a_thread_keeps_to_a_processor_for_a_while():
    before = os.sched_getaffinity(0)
    with keeping_to(max(before)):
        assert os.sched_getaffinity(0) == {max(before)}
    with keeping_to(None):
        assert os.sched_getaffinity(0) == before
    with keeping_to(100_000):  # it is gone, or taken from this process
        assert os.sched_getaffinity(0) == before
    assert os.sched_getaffinity(0) == before
