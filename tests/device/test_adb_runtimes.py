"""Networks on the loopback phone, with real inference behind the protocol."""

import dataclasses
import os
import threading
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from hwnas._deadline import Deadline
from hwnas.device import Device, DeviceProfile, DeviceRegistry, transport_kind
from hwnas.device.adb._benchmark_model import RUNS, RunFigures, read_output, reconstructed
from hwnas.device.adb._install import Installation
from hwnas.device.adb._onphone import ended_error
from hwnas.device.adb._perf_test import read_result
from hwnas.device.adb._transport import AdbTransport
from hwnas.errors import (
    ConfigError,
    DeadlineError,
    DeviceConnectionError,
    DeviceError,
    HwnasError,
    MeasurementError,
    NetworkCrashedError,
    NetworkError,
)
from hwnas.measurement import (
    Measurement,
    MeasurementFailure,
    MeasurementProtocol,
    MeasurementStore,
    Verdict,
    measure,
)
from hwnas.network import NetworkFile, quantise_onnx, reference_graph, write_network, write_onnx
from hwnas.space import get_space
from tests.device.adb_daemon.waiting import names_in, wait_until

pytest_plugins = ["tests.device.adb_daemon.fixtures"]

HOME = "/data/local/tmp/hwnas"
QUICK = MeasurementProtocol(samples=100, processes=1, block=50, reference=10, budget_s=20.0, warmup_s=0.2)


def soon(seconds=30.0):
    return Deadline.after(seconds)


@pytest.fixture
def device(profile):
    """The loopback phone as a device, with our runner."""
    with Device.open(profile(), deadline=soon()) as opened:
        yield opened


@pytest.fixture
def digits(tmp_path):
    """Five networks of the digits space."""
    space = get_space("digits")
    found = space.sample(5, np.random.default_rng(3))
    return [write_onnx(space.graph(item), tmp_path / f"{item.id}.onnx") for item in found]


def networks_on(phone):
    folder = phone.phone.path(f"{HOME}/networks")
    return names_in(folder) if folder.exists() else []


def network_on(phone):
    """Return the content of the only network on the phone."""
    (name,) = networks_on(phone)
    return (phone.phone.path(f"{HOME}/networks") / name).read_bytes()


def test_five_networks_measured_on_the_phone_agree_with_the_host(phone, profile, digits, store, workspace):
    DeviceRegistry(workspace).add(profile())
    registered = DeviceRegistry(workspace).get("pixel7")
    kept = MeasurementStore(store)
    protocol = MeasurementProtocol(samples=200, processes=1, reference=10, budget_s=30.0)
    pixel, apart = [], list(digits)
    for attempt in range(8):  # this machine has other work to do: each network has to agree once
        host = measure(apart, DeviceProfile("host"), store=kept, protocol=protocol, again=attempt > 0)
        pixel += (found := measure(apart, registered, store=kept, protocol=protocol, again=attempt > 0))
        ratios = [there.p50_ms / here.p50_ms for here, there in zip(host, found, strict=True)]
        apart = [file for file, ratio in zip(apart, ratios, strict=True) if not 1 / 1.2 < ratio < 1.2]
        if not apart:
            break
    else:
        pytest.fail(f"medians on the phone by medians on the host: {ratios}")
    assert all(item.p99_ms >= item.p50_ms > 0 for item in pixel)
    assert all(item.n >= 200 or item.verdict is not Verdict.OK for item in pixel)
    assert all(item.peak_memory_bytes > 1e6 for item in pixel)
    assert networks_on(phone) == []
    assert wait_until(lambda: phone.phone.running() == [])


def test_what_is_known_is_not_measured_again(phone, profile, reference, store):
    first = measure([reference], profile(), store=MeasurementStore(store), protocol=QUICK)
    phone.services.clear()
    again = measure([reference], profile(name="other-name"), store=MeasurementStore(store), protocol=QUICK)
    assert [item.id for item in again] == [item.id for item in first]
    assert not any("--serve" in service for service in phone.services)


def test_a_session_answers_with_raw_times(phone, device, reference):
    session = device.load(reference, deadline=soon())
    other = device.load(reference, deadline=soon())
    block = session.run(500, deadline=soon())
    assert len(block) == len(block.cpu_ns) == len(block.involuntary_switches) == 500
    assert block.conditions.thermal_status == 0
    assert len(other.run(7, deadline=soon())) == 7
    assert session.stays_loaded
    assert session.peak_memory_bytes > session.baseline_memory_bytes > 1e6
    assert len(networks_on(phone)) == 2
    session.close()
    session.close()
    other.close()
    assert networks_on(phone) == []
    assert wait_until(lambda: phone.phone.running() == [])
    with pytest.raises(MeasurementError, match="session is closed"):
        session.run(1, deadline=soon())


def test_the_conditions_of_a_block_are_those_at_its_end(phone, device, reference, monkeypatch):
    session = device.load(reference, deadline=soon())
    times = session._times

    def slowing_down(n, deadline):
        phone.phone.set_frequency(7, 500_000)
        return times(n, deadline)

    monkeypatch.setattr(session, "_times", slowing_down)
    assert session.run(10, deadline=soon()).conditions.frequency_mhz[7] == 500.0
    session.close()


def test_a_phone_of_android_6_runs_networks_too(phone, profile, reference):
    phone.features = ()
    with Device.open(profile(), deadline=soon()) as device:
        session = device.load(reference, deadline=soon())
        assert len(session.run(300, deadline=soon())) == 300
        session.close()


def test_through_the_server_too(phone, profile, reference, through_server):
    with Device.open(profile(transport_options={"route": "server"}), deadline=soon()) as device:
        session = device.load(reference, deadline=soon())
        assert len(session.run(300, deadline=soon())) == 300
        session.close()


def test_settings_reach_the_runner(phone, profile, reference):
    options = {"graph_optimization": "none", "spinning": False, "arena": False}
    with Device.open(profile(threads=2, cpus=(0, 1), options=options), deadline=soon()) as device:
        session = device.load(reference, deadline=soon())
        (line,) = [line for line in phone.phone.running() if "--serve" in line]
        assert "--threads 2 --batch 1 --cpus 0,1 --optimisation none --provider cpu --spinning off --arena off" in line
        session.close()


def test_what_is_to_run_in_int8_is_quantised_before_it_is_sent(phone, profile, perf_test, reference):
    sound = reference.path.read_bytes()
    assert b"QuantizeLinear" not in sound
    for make in (profile, perf_test):
        with Device.open(make(options={"precision": "int8"}), deadline=soon()) as device:
            session = device.load(reference, deadline=soon())
            sent = network_on(phone)
            assert b"QuantizeLinear" in sent
            assert len(sent) < 0.6 * len(sound)
            assert len(session.run(5, deadline=soon())) == 5
            session.close()
            assert device.versions["quantiser"].startswith("onnxruntime ")  # what was f32 before is not known
    assert reference.path.read_bytes() == sound
    assert networks_on(phone) == []


@pytest.mark.parametrize(("precision", "quantised"), [("f32", False), ("f32", True), ("int8", True)])
def test_any_other_network_is_sent_as_it_is(phone, profile, reference, tmp_path, precision, quantised):
    network = quantise_onnx(reference, tmp_path / "int8.onnx") if quantised else reference
    with Device.open(profile(options={"precision": precision}), deadline=soon()) as device:
        session = device.load(network, deadline=soon())
        assert network_on(phone) == network.path.read_bytes()
        session.close()


def test_sending_runner_and_library_has_a_deadline_of_its_own(profile, reference, store, monkeypatch):
    made, bundle, left_s = profile(), Installation.bundle, []

    def noted(installation, files, *, deadline):
        left_s.append(deadline.remaining_s())
        return bundle(installation, files, deadline=deadline)

    monkeypatch.setattr(Installation, "bundle", noted)
    (found,) = measure([reference], made, store=MeasurementStore(store), protocol=QUICK)
    assert isinstance(found, Measurement), found.error
    library_bytes = Path(made.transport_options["library"]).stat().st_size
    assert left_s[0] > library_bytes / 200_000


def test_versions_tell_one_build_from_another(profile, tmp_path, runner, device):
    other = tmp_path / "hwnas-runner"
    other.write_bytes(runner.read_bytes() + b"\0")
    other.chmod(0o755)
    with Device.open(profile(transport_options={"runner": str(other)}), deadline=soon()) as again:
        assert again.profile.hash == device.profile.hash
        assert again.hash != device.hash


@pytest.mark.parametrize("keep_half", [True, False])
def test_a_connection_that_breaks_in_a_block_costs_the_block_alone(phone, device, reference, keep_half):
    session = device.load(reference, deadline=soon())
    session.run(10, deadline=soon())
    phone.faults.keep_half_files = keep_half
    phone.faults.drop_after_sent = 20_000  # in the middle of a block's lines
    block = session.run(3000, deadline=soon())
    assert len(block) == 3000
    assert phone.connections == 2
    session.close()
    assert wait_until(lambda: phone.phone.running() == [])


@pytest.mark.parametrize("restarts", [False, True])
def test_a_connection_that_breaks_while_a_network_loads(phone, device, reference, monkeypatch, restarts):
    device.load(reference, deadline=soon()).close()  # so that runner and library are there
    start, broken = AdbTransport.start, []

    def start_and_break(transport, argv, *, deadline):
        process = start(transport, argv, deadline=deadline)
        if not broken:
            broken.append(argv)
            if restarts:  # its end is told before the connection breaks
                phone.phone.kill_all()
                phone.phone.new_boot()
            else:
                phone.reboot(0.3)
        return process

    monkeypatch.setattr(AdbTransport, "start", start_and_break)
    session = device.load(reference, deadline=soon())
    assert broken
    assert len(session.run(10, deadline=soon())) == 10
    session.close()
    assert networks_on(phone) == []
    assert wait_until(lambda: phone.phone.running() == [])


def test_a_reboot_in_the_middle_of_a_measurement(phone, profile, digits, store):
    kept = MeasurementStore(store)
    protocol = MeasurementProtocol(samples=1000, processes=1, reference=10, budget_s=30.0)
    stored = []

    def reboot_once_something_is_stored(event):
        stored.append(event)
        if len(stored) == 12:
            threading.Thread(target=phone.reboot, args=(1.0,)).start()

    results = measure(digits[:2], profile(), store=kept, protocol=protocol, on_progress=reboot_once_something_is_stored)
    assert all(isinstance(item, Measurement) for item in results), results
    assert phone.connections >= 2
    assert wait_until(lambda: phone.phone.running() == [])


def test_the_profile_says_how_long_to_wait_for_a_phone(profile):
    made = profile(transport_options={"authorise_s": 120.0, "reconnect_s": 90.0})
    assert transport_kind("adb").connect_s(made) == 150.0
    with Device.open(made) as device:
        assert device.slack_s == 90.0


def test_a_reboot_may_take_longer_than_a_block(phone, profile, digits, store, monkeypatch):
    monkeypatch.setattr("hwnas.measurement._sampler._SLACK_S", 0.3)
    monkeypatch.setattr("hwnas.measurement._subject._CONDITIONS_TIMEOUT_S", 0.3)
    told = []

    def reboot_once(event):
        told.append(event)
        if len(told) == 2:
            phone.reboot(2.0)

    results = measure(digits[:1], profile(), store=MeasurementStore(store), protocol=QUICK, on_progress=reboot_once)
    assert all(isinstance(item, Measurement) for item in results), results
    assert phone.connections >= 2


def test_a_phone_that_vanishes_loses_nothing_that_was_stored(phone, profile, digits, store):
    kept = MeasurementStore(store)
    protocol = MeasurementProtocol(
        samples=100, processes=1, block=50, reference=0, budget_s=20.0, group=1, warmup_s=0.2
    )
    done = []

    def power_off_after_two(event):
        if type(event).__name__ == "NetworkMeasured":
            done.append(event)
            if len(done) == 2:
                phone.power_off()

    options = {"reconnect_s": 0.3}
    results = measure(
        digits, profile(transport_options=options), store=kept, protocol=protocol, on_progress=power_off_after_two
    )
    kinds = [type(item) for item in results]
    assert (kinds.count(Measurement), kinds.count(MeasurementFailure)) == (2, 3)
    assert all(
        isinstance(item.error, DeviceConnectionError) for item in results if isinstance(item, MeasurementFailure)
    )
    phone.power_on()
    again = measure(digits, profile(), store=kept, protocol=protocol)
    assert all(isinstance(item, Measurement) for item in again)
    first = {item.network_hash: item.id for item in results if isinstance(item, Measurement)}
    assert first.items() <= {item.network_hash: item.id for item in again}.items()


def test_what_a_campaign_that_was_cut_short_has_left_is_removed(phone, device, reference):
    """Once it is old: a younger one may be in use from another computer. Programs stay."""
    device.load(reference, deadline=soon()).close()
    home = phone.phone.path(HOME)
    old = [home / "networks/0123-ab.onnx", home / "v1/libx.so.0123.part"]
    young = home / "networks/4567-cd.onnx"
    for file in (*old, young):
        file.write_bytes(b"left")
    program = next(home.glob("v1/*/hwnas-runner"))
    for file in (*old, program):
        os.utime(file, (time.time() - 4000, time.time() - 4000))
    with Device.open(device.profile, deadline=soon()) as again:
        again.load(reference, deadline=soon()).close()
    assert [file.exists() for file in (*old, young, program)] == [False, False, True, True]


def test_a_network_is_removed_as_soon_as_the_phone_is_back(phone, device, reference):
    session = device.load(reference, deadline=soon())
    assert len(networks_on(phone)) == 1
    phone.power_off()
    session.close()
    phone.power_on()
    device.transport.run(["true"], deadline=soon(), harmless=True)
    assert networks_on(phone) == []


def test_a_network_that_never_ends_is_ended(phone, device, reference):
    session = device.load(reference, deadline=soon())
    began = time.monotonic()
    with pytest.raises(DeadlineError):
        session.run(1_000_000, deadline=soon(1.0))
    assert time.monotonic() - began < 4.0
    session.close()
    assert wait_until(lambda: phone.phone.running() == [])


def test_a_process_that_dies_is_told(phone, device, reference):
    session = device.load(reference, deadline=soon())
    threading.Timer(0.3, phone.phone.kill_all).start()
    with pytest.raises(NetworkCrashedError, match="signal 9"):
        session.run(1_000_000, deadline=soon())
    session.close()


OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]


def save(path, nodes, inputs, outputs):
    graph = helper.make_graph(nodes, "graph", inputs, outputs)
    onnx.save(helper.make_model(graph, opset_imports=OPSETS, ir_version=8), path)
    return NetworkFile.load(path)


def tensor(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def test_a_network_that_the_runtime_refuses(phone, device, tmp_path):
    node = helper.make_node("NoSuchOp", ["x"], ["y"], domain="com.example")
    strange = save(tmp_path / "a.onnx", [node], [tensor("x", [1])], [tensor("y", [1])])
    with pytest.raises(NetworkError, match="NoSuchOp"):
        device.load(strange, deadline=soon())
    free = save(
        tmp_path / "b.onnx", [helper.make_node("Relu", ["x"], ["y"])], [tensor("x", [1, "n"])], [tensor("y", [1, "n"])]
    )
    with pytest.raises(NetworkError, match="no fixed shape"):
        device.load(free, deadline=soon())
    assert networks_on(phone) == []
    assert wait_until(lambda: phone.phone.running() == [])


def test_a_network_with_weights_in_other_files(device, tmp_path):
    weights = np.ones((64, 64), dtype=np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "graph",
        [tensor("x", [1, 64])],
        [tensor("y", [1, 64])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "network.onnx"
    onnx.save_model(model, path, save_as_external_data=True, location="weights.bin", size_threshold=100)
    with pytest.raises(NetworkError, match="keeps weights in other files"):
        device.load(NetworkFile.load(path), deadline=soon())


def test_a_processor_that_is_not_there(profile, reference):
    with (
        Device.open(profile(cpus=(900,)), deadline=soon()) as device,
        pytest.raises(DeviceError, match="cannot run on these"),
    ):
        device.load(reference, deadline=soon())


def test_a_disk_that_is_full_when_the_library_comes(phone, device, reference):
    phone.faults.disk_free_bytes = 5_000_000
    with pytest.raises(DeviceError, match="No space left"):
        device.load(reference, deadline=soon())
    phone.faults.disk_free_bytes = None
    device.load(reference, deadline=soon()).close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"runner": "/no/such/runner"}, "/no/such/runner: no such file"),
        ({"library": "/no/such/lib.so"}, "/no/such/lib.so: no such file"),
        ({"library": None}, "names no library"),
        ({"runner": None}, "names no program"),
    ],
)
def test_files_that_are_not_there_are_named_before_anything_is_sent(phone, profile, options, said):
    made = profile()
    changed = {key: value for key, value in {**made.transport_options, **options}.items() if value is not None}
    with pytest.raises(DeviceError, match=said):
        Device.open(DeviceProfile("pixel7", transport="adb", transport_options=changed), deadline=soon())
    assert "sync:" not in phone.services


def test_a_build_for_another_processor_is_refused_before_it_is_sent(phone, profile, reference):
    made = profile()
    phone.phone.set_properties(ro__product__cpu__abi="armeabi-v7a")
    with Device.open(made, deadline=soon()) as device, pytest.raises(DeviceError, match="and the phone is armeabi-v7a"):
        device.load(reference, deadline=soon())


def test_a_program_that_is_something_else(profile, reference, tmp_path):
    (tmp_path / "other").write_text("#!/bin/sh\necho hello\n")
    (tmp_path / "other").chmod(0o755)
    made = profile(transport_options={"runner": str(tmp_path / "other")})
    with (
        Device.open(made, deadline=soon()) as device,
        pytest.raises(DeviceError, match="does not speak as hwnas-runner"),
    ):
        device.load(reference, deadline=soon())


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (142, DeadlineError),
        (137, NetworkCrashedError),
        (139, NetworkCrashedError),
        (127, DeviceError),
        (1, MeasurementError),
    ],
)
def test_exit_codes_have_meanings(code, kind):
    error = ended_error("network.onnx", code, b"some words")
    assert type(error) is kind
    assert error.hint


PERF_TEST = r"""#!/bin/sh
# Stands for onnxruntime_perf_test: the same arguments, the same result file, times that are told to it.
echo "$@" > "$PHONE/asked"
while [ $# -gt 2 ]; do
    if [ "$1" = -r ]; then runs=$2; fi
    shift
done
if [ -e "$PHONE/refuse" ]; then echo "Load model from $1 failed: NOT_IMPLEMENTED" >&2; exit 1; fi
i=0
while [ $i -lt $runs ]; do echo "$1,0.00$((100 + i)),31457280,97,$i" >> "$2"; i=$((i + 1)); done
printf '\nMin Latency: 0.001 s\nP99 Latency: 0.002 s\n' >> "$2"
"""


@pytest.fixture
def perf_test(phone, profile, tmp_path):
    """A profile whose program stands for onnxruntime_perf_test."""
    program = tmp_path / "onnxruntime_perf_test"
    program.write_text(PERF_TEST)
    program.chmod(0o755)
    made = profile()
    settings = {"address": made.transport_options["address"], "runner": str(program)}

    def make(**fields):
        return DeviceProfile("pixel7", transport="adb", transport_options=settings, **fields)

    return make


def test_onnxruntime_perf_test_is_asked_in_its_own_words(phone, perf_test, reference):
    fields = {"threads": 4, "cpus": (0, 1), "options": {"graph_optimization": "extended", "spinning": False}}
    with Device.open(perf_test(**fields), deadline=soon()) as device:
        session = device.load(reference, deadline=soon())
        block = session.run(30, deadline=soon())
        asked = (phone.phone.root / "asked").read_text()
        assert "-m times -r 50 -I -x 4 -y 1 -o 2 -e cpu -D " in asked
        assert block.samples_ns.tolist() == [(120 + i) * 10_000 for i in range(30)]
        assert (block.cpu_ns, session.stays_loaded, session.peak_memory_bytes) == (None, False, 31457280)
        session.close()
    assert networks_on(phone) == []


def test_the_conditions_are_read_after_a_program_too(phone, perf_test, benchmark_model, reference, tflite, monkeypatch):
    asked = phone.phone.root / "asked"
    for made, network in ((perf_test(), reference), (benchmark_model, tflite)):
        with Device.open(made, deadline=soon()) as device:
            session = device.load(network, deadline=soon())
            asked.unlink()
            conditions, seen = device.conditions, []

            def noted(*, deadline, conditions=conditions, seen=seen):
                seen.append(asked.exists())
                return conditions(deadline=deadline)

            monkeypatch.setattr(device, "conditions", noted)
            session.run(10, deadline=soon())
            assert seen[-1]
            session.close()


def test_measuring_with_onnxruntime_perf_test(phone, perf_test, reference, store):
    (found,) = measure([reference], perf_test(), store=MeasurementStore(store), protocol=QUICK)
    assert isinstance(found, Measurement), found.error
    assert found.n >= 100 or found.verdict is not Verdict.OK
    (phone.phone.root / "refuse").touch()
    alone = dataclasses.replace(QUICK, reference=0)
    (found,) = measure([reference], perf_test(), store=MeasurementStore(store), protocol=alone)
    assert isinstance(found.error, NetworkError)
    assert "NOT_IMPLEMENTED" in str(found.error)


def test_what_onnxruntime_perf_test_cannot_do(phone, perf_test, reference):
    with pytest.raises(ConfigError, match="arena"):
        Device.open(perf_test(options={"arena": False}), deadline=soon())
    with Device.open(perf_test(batch=4), deadline=soon()) as device, pytest.raises(NetworkError, match="batch"):
        device.load(reference, deadline=soon())


def test_a_result_file():
    text = "a,b.onnx,0.002,100,50,0\na,b.onnx,0.001,100,50,0\na,b.onnx,0.003,200,50,1\n\nP99 Latency: 0.003 s\n"
    assert read_result(text, "a") == ([0.001, 0.003], 200)
    for broken in ("", "Min Latency: 1 s\n", "a,0,0,0,0\n"):
        with pytest.raises(MeasurementError, match="holds no times"):
            read_result(broken, "a")


def test_a_number_of_a_run_that_is_none_is_no_run():
    assert read_result("a,0.002,100,50,0\na,0.003,100,50,²\n", "a") == ([0.002], 100)


@pytest.mark.parametrize(
    "line", ["a,0.0x1,100,50,1", "a,0.001,1e2,50,1", "a,,100,50,1", "a,nan,100,50,1", "a,inf,1,1,1"]
)
def test_a_result_file_with_a_garbled_line_holds_no_times(line):
    text = f"a,0.002,100,50,0\n{line}\na,0.003,200,50,2\n"
    with pytest.raises(MeasurementError, match="a: the result of onnxruntime_perf_test holds no times"):
        read_result(text, "a")


BENCHMARK_MODEL = r"""#!/bin/sh
# Stands for benchmark_model: the same arguments and output; the slowest of the m inferences differs from run to run.
echo "$@" > "$PHONE/asked"
count=$(cat "$PHONE/count" 2>/dev/null || echo 0)
echo $((count + 1)) > "$PHONE/count"
echo 'INFO: Initialized session in 12.3ms.'
echo 'count=10 first=5000 curr=1000 min=990 max=5000 avg=1500 std=100'
echo
slowest=$((2000 + 10 * (count % 11)))
echo "INFO: count=69 first=1000 curr=1010 min=900 max=$slowest avg=1100 std=50 p5=950 median=1000 p95=1500"
echo 'INFO: Inference timings in us: Init: 12300, First inference: 5000, Warmup (avg): 1500, Inference (avg): 1100'
echo 'INFO: Memory footprint delta from the start of the tool (MB): init=4.5 overall=46.5'
"""


@pytest.fixture
def benchmark_model(profile, tmp_path):
    """A profile whose program stands for benchmark_model."""
    program = tmp_path / "benchmark_model"
    program.write_text(BENCHMARK_MODEL)
    program.chmod(0o755)
    settings = {"address": profile().transport_options["address"], "runner": str(program)}
    return DeviceProfile(
        "pixel7-lite", transport="adb", runtime="litert", threads=2, cpus=(0,), transport_options=settings
    )


@pytest.fixture
def tflite(tmp_path):
    """A TFLite file, as far as its checks go; the program that runs it is a stand-in."""
    path = tmp_path / "network.tflite"
    path.write_bytes(b"\0" * 4 + b"TFL3" + bytes(100))
    return NetworkFile(path, "0" * 64, "tflite", "network", path.stat().st_size, ())


def test_benchmark_model_is_asked_in_its_own_words(phone, benchmark_model, tflite):
    with Device.open(benchmark_model, deadline=soon()) as device:
        session = device.load(tflite, deadline=soon())
        block = session.run(250, deadline=soon())
        asked = (phone.phone.root / "asked").read_text()
        assert (
            "--num_runs=69 --min_secs=0 --warmup_runs=10 --warmup_min_secs=0 --num_threads=2 --use_xnnpack=true"
            in asked
        )
        assert "--use_gpu=false --use_nnapi=false" in asked
        assert len(block) == 300
        assert block.conditions.extra["estimated_from"] == "benchmark_model's figures of 69 inferences at a time"
        assert block.conditions.extra["estimated_runs"] == 3
        assert session.peak_memory_bytes == 46.5 * 2**20
        session.close()
    assert networks_on(phone) == []


def test_measuring_with_benchmark_model_estimates_the_p99_by_the_median_of_maxima(benchmark_model, tflite, store):
    protocol = MeasurementProtocol.for_device(benchmark_model, samples=1100, processes=1, budget_s=60.0)
    (found,) = measure([tflite], benchmark_model, store=MeasurementStore(store), protocol=protocol)
    assert isinstance(found, Measurement), found.error
    assert found.p50_ms == pytest.approx(1.0, rel=0.02)
    assert found.p99_ms == pytest.approx(2.05, rel=0.02)
    assert found.estimated_from == "benchmark_model's figures of 69 inferences at a time"
    assert MeasurementStore(store).get(found.id) == found
    assert found.to_json()["estimated_from"] == found.estimated_from


@pytest.mark.parametrize("newer", [True, False])
def test_the_estimate_is_as_good_as_it_says(newer):
    """Runs of 69 from a heavy tail: the p99 of what is reconstructed is right on average; its interval covers."""
    rng = np.random.default_rng(5)
    truth = float(np.exp(0.3 * 2.326348))
    estimates, covered = [], []
    for _ in range(300):
        runs = np.exp(0.3 * rng.standard_normal((20, RUNS))) * 1000
        figures = []
        for run in runs:
            quantiles = np.quantile(run, [0.05, 0.5, 0.95]) if newer else (None, None, None)
            figures.append(reconstructed(RunFigures(RUNS, run.min(), run.max(), run.mean(), run.std(), *quantiles)))
        ordered = np.sort(np.concatenate(figures)) / 1e6
        estimates.append(np.quantile(ordered, 0.99))
        covered.append(ordered[1971 - 1] <= truth <= ordered[1989 - 1])
    assert np.median(estimates) == pytest.approx(truth, rel=0.03)
    assert np.mean(covered) > 0.9


def test_figures_may_have_negative_exponents():
    text = "count=69 first=3 curr=3 min=3 max=4 avg=3.5e+00 std=3e-08 p5=3 median=3.25 p95=4\n"
    assert read_output(text, "network") == RunFigures(69, 3.0, 4.0, 3.5, 3e-08, 3.0, 3.25, 4.0)


def test_older_builds_tell_less():
    older = "count=1 curr=3512391\n\ncount=69 first=299 curr=291 min=272 max=318 avg=2.95034e+02 std=109\n"
    found = read_output(older, "network")
    assert found == RunFigures(69, 272.0, 318.0, 295.034, 109.0, None, None, None)
    figures = reconstructed(found)
    assert (len(figures), figures.min() >= 272_000, np.sort(figures)[-2:].tolist()) == (100, True, [318_000] * 2)
    for text in ("", "count=50 first=1 curr=1 min=1 max=1 avg=1 std=0", "count=69 curr=1"):
        with pytest.raises(MeasurementError, match="told nothing of 69"):
            read_output(text, "network")


def test_litert_over_adb_has_its_reference_network_beside_it(profile, digits, store, tmp_path):
    from importlib.metadata import PackageNotFoundError, files

    try:
        (library,) = [entry.locate() for entry in files("ai-edge-litert") if entry.name == "libLiteRt.so"]
    except PackageNotFoundError:
        pytest.skip("ai-edge-litert is not installed")
    network = write_network(reference_graph(), tmp_path / "network", frozenset({"tflite"}))
    made = profile("pixel7-lite", runtime="litert", transport_options={"library": str(library)})
    protocol = MeasurementProtocol.for_device(made, samples=100, processes=1, budget_s=10.0)
    (found,) = measure([network], made, store=MeasurementStore(store), protocol=protocol)
    assert isinstance(found, Measurement), found.error
    assert found.estimated_from is None
    trace = MeasurementStore(store).trace(found.id)
    assert all(block.reference_before_ns.size == protocol.reference == 20 for block in trace.blocks)


def test_the_formats_are_told_apart(benchmark_model, reference):
    with (
        Device.open(benchmark_model, deadline=soon()) as device,
        pytest.raises(NetworkError, match="litert runs tflite"),
    ):
        device.load(reference, deadline=soon())


def test_nothing_here_raises_what_is_not_ours(phone, device, reference):
    """Whatever breaks at whatever moment of opening and running, the error is one of hwnas."""
    for after in (100, 1_000, 5_000, 20_000):
        phone.faults.drop_after_sent = after
        try:
            session = device.load(reference, deadline=soon(5))
            session.run(50, deadline=soon(5))
            session.close()
        except HwnasError:
            continue
        finally:
            phone.faults.drop_after_sent = None
    session = device.load(reference, deadline=soon())
    assert len(session.run(50, deadline=soon())) == 50
    session.close()
    assert networks_on(phone) == []
