"""The process of a network: what happens when it hangs, dies, or is left alone."""

import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from hwnas._deadline import Deadline
from hwnas.device import Device, DeviceProfile
from hwnas.device._child import Child, start_program
from hwnas.device._host import HostOptions, HostTransport
from hwnas.device._host_probe import HostProbe
from hwnas.device._host_runtime import HostRuntime
from hwnas.errors import (
    DeadlineError,
    DeviceError,
    HwnasError,
    MeasurementError,
    NetworkCrashedError,
    NetworkError,
    NetworkMemoryError,
)

BACKEND = """
import os, signal, sys, time
from dataclasses import dataclass
FORMATS = ("onnx",)
PACKAGES = {packages}
FORKS = "{forks}" == "forked"
@dataclass(frozen=True)
class OPTIONS:
    pass
def prepare():
    {prepare}
class Loaded:
    inputs = []
    runs = 0
    def run(self):
        self.runs += 1
        {run}
def load(path, *, threads, batch, options):
    {load}
    return Loaded()
"""
HOLD_THE_INTERPRETER = 'import re; re.match(r"(a+)+$", "a" * 60 + "b")'  # exponential, and never lets others run


def alive(pid):
    """Whether a process still runs (and is no zombie)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone_within(pid, seconds):
    end = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture(params=["program", "forked"])
def device_of(request, tmp_path, soon):
    """Make a device whose runtime does odd things, each process a program of its own, or forked from one."""
    made = []

    def make(*, run="pass", load="pass", prepare="pass", packages=("numpy",), profile=None, host=None):
        path = tmp_path / "odd.py"
        path.write_text(
            textwrap.dedent(BACKEND).format(run=run, load=load, prepare=prepare, packages=packages, forks=request.param)
        )
        spec = importlib.util.spec_from_file_location("odd", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        profile = profile or DeviceProfile("odd")
        transport = HostTransport(host)
        runtime = HostRuntime("odd", module, profile, transport.options)
        made.append(runtime)
        return Device(
            profile,
            transport,
            runtime,
            HostProbe(profile.cpus),
            lock_key="odd",
            shares_this_machine=True,
            deadline=soon,
        )

    yield make
    for runtime in made:
        runtime.forget()


def test_samples_are_nanoseconds_of_what_was_run(device_of, reference, soon):
    session = device_of(run="time.sleep(0.002)").load(reference, deadline=soon)
    block = session.run(20, deadline=soon)
    session.close()
    assert block.samples_ns.shape == block.cpu_ns.shape == block.involuntary_switches.shape == (20,)
    assert block.samples_ns.dtype == np.int64
    assert 2_000_000 <= np.median(block.samples_ns) < 10_000_000
    assert np.median(block.cpu_ns) < 1_000_000  # it slept
    assert abs(block.started_at.timestamp() - time.time()) < 10


def test_processor_time_is_counted(device_of, reference, soon):
    session = device_of(run="sum(range(100_000))").load(reference, deadline=soon)
    block = session.run(50, deadline=soon)
    session.close()
    ratio = np.median(block.cpu_ns / block.samples_ns)
    assert 0.8 < ratio < 1.2


def test_a_network_that_hangs_is_ended_by_the_deadline(device_of, reference, soon):
    session = device_of(run=HOLD_THE_INTERPRETER).load(reference, deadline=soon)
    started = time.monotonic()
    with pytest.raises(DeadlineError, match=r"reference\.onnx: no answer within 0\.\d s while it was to run"):
        session.run(1, deadline=Deadline.after(0.3))
    assert time.monotonic() - started < 2
    assert gone_within(session.pid, 1)
    with pytest.raises(NetworkCrashedError, match="was closed"):
        session.run(1, deadline=soon)
    session.close()


def test_a_load_that_hangs_is_ended_by_the_deadline(device_of, reference):
    with pytest.raises(DeadlineError, match="while it was to load"):
        device_of(load="time.sleep(60)").load(reference, deadline=Deadline.after(0.5))


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_a_crash_is_named_with_what_was_said(device_of, reference, soon, name):
    run = f"sys.stderr.write('last words'); sys.stderr.flush(); os.kill(os.getpid(), signal.{name})"
    session = device_of(run=run).load(reference, deadline=soon)
    with pytest.raises(NetworkCrashedError, match=rf"reference\.onnx: .*was ended by {name}") as caught:
        session.run(5, deadline=soon)
    assert "last words" in caught.value.hint
    if name == "SIGKILL":
        assert "memory" in caught.value.hint
    session.close()


def test_a_crash_while_loading_is_named(device_of, reference, soon):
    with pytest.raises(NetworkCrashedError, match="to load it ended with exit code 3"):
        device_of(load="os._exit(3)").load(reference, deadline=soon)


def test_what_native_code_prints_does_not_disturb(device_of, reference, soon):
    session = device_of(run="os.write(1, b'x' * 100_000)").load(reference, deadline=soon)
    assert len(session.run(50, deadline=soon)) == 50
    session.close()


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        ("ValueError('no such operation: Frobnicate')", NetworkError, "cannot be loaded.*Frobnicate"),
        ("MemoryError()", NetworkMemoryError, "not enough memory"),
        ("RuntimeError('std::bad_alloc')", NetworkMemoryError, "not enough memory"),
        ("ImportError('No module named odd')", DeviceError, "cannot be imported"),
    ],
)
def test_errors_while_loading_have_their_kinds(device_of, reference, soon, error, expected, message):
    with pytest.raises(expected, match=message):
        device_of(load=f"raise {error}").load(reference, deadline=soon)


def test_an_error_while_running_is_told_and_the_session_lives_on(device_of, reference, soon):
    run = "if self.runs == 3: raise RuntimeError('shape mismatch')"
    session = device_of(run=run).load(reference, deadline=soon)
    with pytest.raises(MeasurementError, match="fails when it is run: RuntimeError: shape mismatch"):
        session.run(5, deadline=soon)
    assert len(session.run(5, deadline=soon)) == 5
    session.close()


def test_memory_is_limited_in_the_process_and_not_here(device_of, reference, soon):
    device = device_of(load="x = bytearray(400 << 20)", host=HostOptions(memory_limit_mb=200))
    with pytest.raises(MeasurementError, match="not enough memory"):
        device.load(reference, deadline=soon)
    device_of(load="x = bytearray(400 << 20)").load(reference, deadline=soon).close()


@pytest.mark.parametrize("limit_mb", [-1, 0, 10**20])
def test_a_memory_limit_that_the_kernel_cannot_have_is_refused(limit_mb):
    with pytest.raises(ValueError, match=f"memory_limit_mb is {limit_mb}: give 1 to "):
        HostOptions(memory_limit_mb=limit_mb)


def test_peak_memory_is_that_of_the_process_alone(device_of, reference, soon):
    ballast = np.ones(300 << 20, dtype=np.uint8)
    session = device_of(load="global kept; kept = b'x' * (100 << 20)").load(reference, deadline=soon)
    grown = session.peak_memory_bytes - session.baseline_memory_bytes
    assert 100 << 20 <= grown < 110 << 20
    assert session.peak_memory_bytes < ballast.nbytes
    session.close()


def test_the_process_runs_where_the_profile_says(device_of, reference, soon):
    cpu = max(os.sched_getaffinity(0))
    run = f"assert os.sched_getaffinity(0) == {{{cpu}}}"
    session = device_of(run=run, profile=DeviceProfile("odd", cpus=(cpu,))).load(reference, deadline=soon)
    assert len(session.run(1, deadline=soon)) == 1
    session.close()
    with pytest.raises(DeviceError, match="processor 999 may not be used here; those that may: 0"):
        device_of(profile=DeviceProfile("odd", cpus=(999,))).load(reference, deadline=soon)


def test_closing_ends_the_process_and_what_it_started(device_of, reference, soon, tmp_path):
    run = f"import subprocess; open('{tmp_path}/pid', 'w').write(str(subprocess.Popen(['sleep', '60']).pid))"
    session = device_of(run=run).load(reference, deadline=soon)
    session.run(1, deadline=soon)
    session.close()
    session.close()
    assert gone_within(session.pid, 1)
    assert gone_within(int((tmp_path / "pid").read_text()), 1)


def test_no_descriptor_is_left_behind(device_of, reference, soon):
    device = device_of(load="raise ValueError('no')")
    with pytest.raises(HwnasError):  # the first may start what the others share
        device.load(reference, deadline=soon)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with pytest.raises(HwnasError):
            device.load(reference, deadline=soon)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_runtime_that_is_not_installed_says_how_to_get_it(device_of):
    with pytest.raises(DeviceError, match="runtime 'odd' is not installed for") as caught:
        device_of(packages=("hwnas-no-such-package",))
    assert caught.value.hint == "pip install hwnas-no-such-package"


def test_another_interpreter_can_run_networks(device_of, reference, soon):
    device = device_of(host=HostOptions(python=sys.executable))
    assert device.versions == device_of().versions
    session = device.load(reference, deadline=soon)
    assert len(session.run(3, deadline=soon)) == 3
    session.close()


@pytest.mark.parametrize("python", ["/no/such/python", "/bin/false"])
def test_an_interpreter_that_is_none_is_a_clear_error(device_of, python):
    with pytest.raises(DeviceError, match=f"{python} cannot be asked"):
        device_of(host=HostOptions(python=python))


def test_a_program_that_cannot_be_started_is_a_clear_error():
    with pytest.raises(DeviceError, match="/no/such/program cannot be started"):
        Child(start_program(["/no/such/program"], {}), what="net.onnx")


PARENT = """
import importlib.util, sys, threading
from pathlib import Path
from hwnas._deadline import Deadline
from hwnas.device import Device, DeviceProfile
from hwnas.device._host import HostTransport
from hwnas.device._host_probe import HostProbe
from hwnas.device._host_runtime import HostRuntime
from hwnas.network import NetworkFile
spec = importlib.util.spec_from_file_location("odd", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
profile = DeviceProfile("odd")
runtime = HostRuntime("odd", module, profile, HostTransport().options)
device = Device(profile, HostTransport(), runtime, HostProbe(), lock_key="odd", shares_this_machine=True,
                deadline=Deadline.never())
found = []
def load():  # a thread that ends: the process must not end with it
    found.append(device.load(NetworkFile.load(Path(sys.argv[2])), deadline=Deadline.after(60)))
thread = threading.Thread(target=load)
thread.start()
thread.join()
session = found[0]
print(session.pid, flush=True)
if sys.argv[3] == "busy":
    session.run(1, deadline=Deadline.never())
else:
    sys.stdin.read()
"""


@pytest.mark.parametrize("state", ["busy", "idle"])
def test_the_process_dies_with_its_parent(device_of, reference, tmp_path, state):
    device_of(run=HOLD_THE_INTERPRETER)  # writes odd.py
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "odd.py"), str(reference.path), state],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    pid = int(parent.stdout.readline())
    time.sleep(0.3)
    assert alive(pid)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdin.close()
    parent.stdout.close()
    assert gone_within(pid, 2)


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")
def test_processes_of_a_round_are_forked_from_one_and_the_next_round_from_another(device_of, reference, soon, request):
    device = device_of(prepare="time.sleep(0.1)")
    first, second = (device.load(reference, deadline=soon) for _ in range(2))
    device.runtime.forget()
    third = device.load(reference, deadline=soon)
    parents = [parent_of(session.pid) for session in (first, second, third)]
    if "program" in request.node.name:
        assert set(parents) == {os.getpid()}
    else:
        assert parents[0] == parents[1] != parents[2]
        assert os.getpid() not in parents
    assert len({session.pid for session in (first, second, third)}) == 3
    assert len(first.run(5, deadline=soon)) == 5  # what is open goes on
    for session in (first, second, third):
        session.close()
    assert gone_within(parents[0], 1) or parents[0] == os.getpid()
    device.close()
    assert gone_within(parents[2], 1) or parents[2] == os.getpid()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")
@pytest.mark.parametrize("prepare", ["raise ImportError('no such part')", "os._exit(3)"])
def test_where_nothing_can_be_forked_a_program_of_its_own_says_what_is_wrong(device_of, reference, soon, prepare):
    with pytest.raises(HwnasError, match=r"no such part|exit code 3"):
        device_of(prepare=prepare).load(reference, deadline=soon)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")
def test_a_lost_nursery_is_replaced_by_programs(device_of, reference, soon, request):
    device = device_of()
    session = device.load(reference, deadline=soon)
    if "forked" in request.node.name:
        os.kill(parent_of(session.pid), signal.SIGKILL)
    assert len(session.run(5, deadline=soon)) == 5
    other = device.load(reference, deadline=soon)
    assert len(other.run(5, deadline=soon)) == 5
    session.close()
    other.close()
    assert gone_within(session.pid, 1)
