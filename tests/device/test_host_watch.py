import os
import subprocess
import sys
import time

import pytest

from hwnas.device._host_watch import HostWatch

TICKS = os.sysconf("SC_CLK_TCK")


@pytest.fixture
def machine(tmp_path):
    """A folder that looks like /proc and /sys."""

    def write(path, text):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    write.root = tmp_path
    write("proc/stat", "cpu 1 2 3 4 5 6 7 0 0 0\n")
    return write


def process(pid, name, parent, seconds):
    return f"{pid} ({name}) S {parent} 0 0 0 0 0 0 0 0 0 {int(seconds * TICKS)} 0 0 0 20 0 1 0"


def test_the_busiest_programs_are_named_and_ours_are_not(machine):
    for pid, name, parent in (
        (50, "idle", 1),
        (60, "we (ird) name", 1),
        (os.getpid(), "we", 1),
        (70, "child", os.getpid()),
    ):
        machine(f"proc/{pid}/stat", process(pid, name, parent, 10))
    machine("proc/60/cmdline", "we\0-u\0code/train.py\0--fast\0")
    watch = HostWatch((0,), root=machine.root)
    time.sleep(0.05)
    machine("proc/60/stat", process(60, "we (ird) name", 1, 60))
    machine("proc/70/stat", process(70, "child", os.getpid(), 60))
    machine("proc/80/stat", process(80, "new", 1, 5))
    (said,) = watch.hints()
    assert said.index("we (ird) name train.py (60)") < said.index("new (80)")
    assert "child" not in said
    assert "idle" not in said


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"sys/fs/cgroup/cpu.max": "150000 100000"}, "quota of 1.5 processors"),
        (
            {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
            "quota of 2 processors",
        ),
        ({"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave"}, "governor is powersave"),
        ({"sys/devices/system/cpu/intel_pstate/no_turbo": "0"}, "turbo is on"),
        ({"sys/devices/system/cpu/cpufreq/boost": "1"}, "turbo is on"),
        (
            {"sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0,4"},
            "processors 0,4 are threads of one core",
        ),
    ],
)
def test_each_setting_that_makes_latencies_vary_is_said(machine, files, words):
    for path, text in files.items():
        machine(path, text)
    (said,) = HostWatch((0,), root=machine.root).hints()
    assert words in said


@pytest.mark.parametrize(
    "files",
    [
        {"sys/fs/cgroup/cpu.max": "max 100000"},
        {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
        {"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance"},
        {"sys/devices/system/cpu/intel_pstate/no_turbo": "1"},
        {"sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0"},
    ],
)
def test_what_is_as_it_should_be_is_not_mentioned(machine, files):
    for path, text in files.items():
        machine(path, text)
    assert HostWatch((0,), root=machine.root).hints() == ()


def test_time_that_the_hypervisor_took_is_said(machine):
    watch = HostWatch((0,), root=machine.root)
    time.sleep(0.02)
    machine("proc/stat", f"cpu 1 2 3 4 5 6 7 {10 * TICKS} 0 0\n")
    (said,) = watch.hints()
    assert "the hypervisor gave" in said


def test_without_named_processors_it_says_to_name_one(machine):
    if (os.cpu_count() or 1) < 2:
        pytest.skip("one processor")
    (said,) = HostWatch(root=machine.root).hints()
    assert "--cpus" in said


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_a_real_hog_that_others_started_is_named():
    starter = """
import subprocess, sys
hog = subprocess.Popen([sys.executable, "-c", "while True: pass"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(hog.pid, flush=True)
"""
    pid = int(subprocess.run([sys.executable, "-c", starter], capture_output=True, check=True, text=True).stdout)
    try:
        watch = HostWatch((0,))
        time.sleep(0.5)
        assert any(f"({pid})" in sentence or "more" in sentence for sentence in watch.hints())
    finally:
        os.kill(pid, 9)
