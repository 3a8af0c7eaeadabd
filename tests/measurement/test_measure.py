"""Real networks on this machine, from the file to the store."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from hwnas.device import DeviceProfile
from hwnas.errors import DeadlineError, DeviceError, NetworkError, NetworkMemoryError
from hwnas.measurement import Measurement, MeasurementFailure, MeasurementProtocol, Verdict, check_device, measure
from hwnas.network import NetworkFile

HOST = DeviceProfile("host")
QUICK = MeasurementProtocol(samples=400, processes=1)


def counted_or_said(result):
    """Whether the samples asked for count, or the verdict says why they do not."""
    return result.n >= 1000 or result.verdict is not Verdict.OK


def test_networks_are_measured_and_then_known(networks, traces):
    results = measure(networks, HOST, store=traces)
    p50s = [result.p50_ms for result in results]
    assert p50s == sorted(p50s)
    for result, network in zip(results, networks, strict=True):
        assert result.p50.low_ms <= result.p50_ms <= result.p90_ms <= result.p99_ms <= result.p99.high_ms
        assert (result.network_hash, result.macs, result.size_bytes) == (network.hash, network.macs, network.size_bytes)
        assert result.peak_memory_bytes > 10 << 20
        trace = traces.trace(result.id)
        assert sum(map(len, trace.blocks)) >= 1000
        assert counted_or_said(result)
        assert {block.process for block in trace.blocks} == {0, 1, 2, 3, 4}
        assert trace.warmup_ns.size > 0
        assert trace.versions["onnxruntime"]
        assert trace.facts.architecture
        assert trace.before.at < trace.after.at
    started = time.monotonic()
    assert measure(networks, HOST, store=traces) == results
    assert time.monotonic() - started < 1


def loop_for_ever():
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Identity", ["v"], ["w"])],
        "body",
        [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), info("v", TensorProto.FLOAT, None)],
        [info("go_on", TensorProto.BOOL, []), info("w", TensorProto.FLOAT, None)],
    )
    yes = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    return [
        helper.make_node("Constant", [], ["yes"], value=yes),
        helper.make_node("Loop", ["", "yes", "x"], ["y"], body=body),
    ]


def want_much_memory():
    size = helper.make_tensor("size", TensorProto.INT64, [1], [10**11])
    return [
        helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
        helper.make_node("Constant", [], ["shape"], value=size),
        helper.make_node("Expand", ["s", "shape"], ["wide"]),
        helper.make_node("ReduceMax", ["wide"], ["y"]),
    ]


def use_an_unknown_operation():
    return [helper.make_node("Frobnicate", ["x"], ["y"], domain="some.where")]


def test_what_cannot_be_measured_is_said_and_the_rest_goes_on(networks, traces, tmp_path):
    made = []
    for make in (loop_for_ever, want_much_memory, use_an_unknown_operation):
        info = helper.make_tensor_value_info
        shape = info("x", TensorProto.FLOAT, [1, 4]), info("y", TensorProto.FLOAT, None)
        graph = helper.make_graph(make(), "net", [shape[0]], [shape[1]])
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("some.where", 1)]
        path = tmp_path / f"{make.__name__}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
        made.append(NetworkFile(path, f"{len(made):064d}", "onnx", make.__name__, 1, ()))
    protocol = MeasurementProtocol(samples=400, processes=1, load_timeout_s=2.0)
    results = measure([made[0], networks[0], made[1], networks[1], made[2]], HOST, store=traces, protocol=protocol)
    kinds = [type(result) for result in results]
    assert kinds == [MeasurementFailure, Measurement, MeasurementFailure, Measurement, MeasurementFailure]
    errors = [result.error for result in results if isinstance(result, MeasurementFailure)]
    assert [type(error) for error in errors] == [DeadlineError, NetworkMemoryError, NetworkError]
    for error, network in zip(errors, made, strict=True):
        assert network.path.name in error.message
        assert error.hint
    assert "memory" in errors[1].message
    assert "Frobnicate" in errors[2].message


CAMPAIGN = """
import sys
from pathlib import Path
from hwnas.device import DeviceProfile
from hwnas.measurement import MeasurementProtocol, MeasurementStore, measure
from hwnas.network import NetworkFile
from hwnas.store import Store
store = MeasurementStore(Store.open(sys.argv[1]))
files = [NetworkFile.load(Path(path)) for path in sys.argv[2:]]
protocol = MeasurementProtocol(samples=400, processes=1, group=1)
measure(files, DeviceProfile("host"), store=store, protocol=protocol, on_progress=lambda e: print(e, flush=True))
"""


def children_of(pid):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


def test_a_campaign_that_was_killed_goes_on_where_it_was(networks, traces, store):
    command = [sys.executable, "-c", CAMPAIGN, store.url, *(str(network.path) for network in networks)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout:
            if "NetworkMeasured" in line:
                break
        time.sleep(0.2)  # into the next network
        workers = children_of(running.pid)
        running.send_signal(signal.SIGKILL)
    before = traces.list()
    assert 1 <= len(before) < len(networks)
    assert workers
    end = time.monotonic() + 2
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < end, "a process outlived the campaign"
        time.sleep(0.02)
    protocol = MeasurementProtocol(samples=400, processes=1, group=1)
    results = measure(networks, HOST, store=traces, protocol=protocol)
    assert len(traces.list()) == len(networks)
    assert {result.id for result in results} >= {measurement.id for measurement in before}
    assert traces.list()[: len(before)] == before


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no system to bind processes on")
def test_beside_a_hog_it_is_never_silently_ok(networks, traces):
    cpu = max(os.sched_getaffinity(0))
    hog = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nprint(flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", hog, str(cpu)], stdout=subprocess.PIPE) as hogging:
        try:
            hogging.stdout.readline()
            results = measure(networks, DeviceProfile("host", cpus=(cpu,)), store=traces, protocol=QUICK)
        finally:
            hogging.kill()
    for result in results:
        # where blocks done again found the processor free, it says how many were; it may have drifted besides
        assert result.verdict is not Verdict.OK
        assert result.sigma_log > 0.1
        assert any("preempted" in reason or "disturbed" in reason for reason in result.reasons)


def test_a_check_says_what_it_saw(traces):
    found = check_device(HOST)
    assert found.profile == HOST
    assert found.reached == "host (this machine)"
    assert found.versions["onnxruntime"]
    assert found.facts.logical_cores >= 1
    assert counted_or_said(found.reference)
    assert found.reference.id is None
    assert found.verdict is found.reference.verdict
    assert bool(found.reasons) == (found.verdict is not Verdict.OK)
    assert traces.list() == []


def test_a_check_that_cannot_run_says_why():
    with pytest.raises(DeviceError, match="processor 999 may not be used"):
        check_device(DeviceProfile("host", cpus=(999,)))
