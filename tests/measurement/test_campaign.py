"""Campaigns on a device that answers at once: who runs when, and what happens when something fails."""

import contextlib
import threading
import time

import numpy as np
import pytest

from hwnas.device import DeviceProfile
from hwnas.device.testing import FakeDevice, fake_device
from hwnas.errors import (
    DeadlineError,
    DeviceBusyError,
    DeviceConnectionError,
    DeviceError,
    MeasurementError,
    NetworkCrashedError,
    NetworkError,
    NetworkMemoryError,
    StoppedError,
)
from hwnas.locks import DeviceLock, MachineTurns
from hwnas.measurement import (
    BlockMeasured,
    CampaignStarted,
    Measurement,
    MeasurementFailure,
    MeasurementProtocol,
    NetworkFailed,
    NetworkMeasured,
    Verdict,
    Waiting,
    measure,
)

MS = 1_000_000
RANDOM = np.random.default_rng(0)


def steady_times(_network, n):
    return RANDOM.normal(MS, MS / 100, n).astype(np.int64)


def in_two(**settings):
    """The usual protocol with two processes, so that rounds are easy to count."""
    return MeasurementProtocol(**{"processes": 2, **settings})


@pytest.fixture
def behaviour():
    return FakeDevice(steady_times)


@pytest.fixture
def run(traces, behaviour):
    def run(files, **more):
        more.setdefault("protocol", in_two())
        return measure(files, more.pop("device", None) or fake_device(behaviour), store=traces, **more)

    return run


def blocks_of(behaviour, *, reference=False):
    """The names of the networks in the order in which their blocks ran."""
    return [
        name
        for action, name, count in behaviour.done
        if action == "run" and count > 50 and (name == "reference") == reference
    ]


def open_networks(behaviour):
    """The names of the networks that are loaded now."""
    found = set()
    for action, name, _ in behaviour.done:
        if action == "run":  # a load alone may have failed
            found.add(name)
        elif action == "close":
            found.discard(name)
    return found


def test_every_network_gets_its_samples_from_two_fresh_processes(run, traces, behaviour, make_file):
    results = run([make_file("a"), make_file("b")])
    for result in results:
        assert result.n == 1000
        trace = traces.trace(result.id)
        assert [block.process for block in trace.blocks] == [0] * 5 + [1] * 5
        assert (trace.ended, trace.steady) == ("samples", True)
        assert trace.peak_memory_bytes > trace.baseline_memory_bytes
        assert trace.versions["fake"] == "1"
    loads = [name for action, name, _ in behaviour.done if action == "load"]
    assert sorted(loads) == ["a", "a", "b", "b", "reference", "reference"]
    closes = [name for action, name, _ in behaviour.done if action == "close"]
    assert set(closes) == {"a", "b", "reference"}


RESTED = [("run", "reference"), ("run", "a"), ("run", "reference")]


def test_the_device_rests_before_a_block_alone_and_off_the_budget(run, traces, behaviour, make_file):
    def rest():
        time.sleep(0.15)
        behaviour.done.append(("rest", "", 0))
        return True

    behaviour.rest = rest
    (result,) = run([make_file("a")], protocol=in_two(budget_s=1.0))
    assert (traces.trace(result.id).ended, result.n) == ("samples", 1000)
    after = [
        behaviour.done[index + 1 : index + 4] for index, action in enumerate(behaviour.done) if action[0] == "rest"
    ]
    assert len(after) == 10
    assert all([(action, name) for action, name, _ in three] == RESTED for three in after)


def test_blocks_are_interleaved_in_random_order(run, behaviour, make_file):
    run([make_file(name) for name in "abcd"])
    order = blocks_of(behaviour)
    rounds = [order[start : start + 4] for start in range(0, len(order), 4)]
    assert all(sorted(one) == list("abcd") for one in rounds)
    assert len({tuple(one) for one in rounds}) > 3


def test_the_order_follows_the_seed(traces, make_file):
    orders = []
    for seed in (1, 1, 2):
        behaviour = FakeDevice(steady_times)
        files = [make_file(name) for name in "abcd"]
        measure(files, fake_device(behaviour), store=traces, protocol=in_two(seed=seed), again=True)
        orders.append(blocks_of(behaviour))
    assert orders[0] == orders[1] != orders[2]


def test_the_reference_runs_before_and_after_each_block(run, traces, behaviour, make_file):
    result = run([make_file("a")])[0]
    ran = [(name, count) for action, name, count in behaviour.done if action == "run" and count in (25, 105)]
    assert ran[:5] == [("reference", 25), ("a", 105), ("reference", 25), ("a", 105), ("reference", 25)]
    trace = traces.trace(result.id)
    assert all(block.reference_before_ns.size == block.reference_after_ns.size == 20 for block in trace.blocks)
    assert (trace.blocks[0].reference_after_ns == trace.blocks[1].reference_before_ns).all()


def test_without_a_reference_none_runs(run, traces, behaviour, make_file):
    result = run([make_file("a")], protocol=in_two(reference=0))[0]
    assert "reference" not in {name for _, name, _ in behaviour.done}
    assert traces.trace(result.id).blocks[0].reference_before_ns.size == 0
    assert result.verdict is Verdict.OK


def test_groups_come_one_after_the_other(run, behaviour, make_file):
    run([make_file(name) for name in "abcde"], protocol=in_two(group=2))
    order = blocks_of(behaviour)
    groups = [set(order[:20]), set(order[20:40]), set(order[40:])]
    assert [len(group) for group in groups] == [2, 2, 1]
    assert set.union(*groups) == set("abcde")


def test_what_finds_too_little_memory_beside_others_is_measured_alone(run, traces, behaviour, make_file):
    def error(action, network):
        others = open_networks(behaviour) - {"reference"}
        wants_more = network.name == "huge" or (network.name == "large" and others)
        return NetworkMemoryError("not enough memory", "") if action == "load" and wants_more else None

    behaviour.error = error
    names = ["a", "large", "b", "huge"]
    results = dict(zip(names, run([make_file(name) for name in names]), strict=True))
    assert isinstance(results.pop("huge"), MeasurementFailure)
    assert all(isinstance(result, Measurement) for result in results.values())
    assert [block.process for block in traces.trace(results["large"].id).blocks] == [0] * 5 + [1] * 5


def test_quick_networks_have_large_blocks_and_slow_ones_small(run, traces, make_file):
    levels = {"quick": 10_000, "slow": 50 * MS}
    behaviour = FakeDevice(lambda network, n: np.full(n, levels.get(network.name, MS)))
    quick, slow = run([make_file("quick"), make_file("slow")], device=fake_device(behaviour))
    assert set(traces.trace(quick.id).sizes) == {1000}
    assert set(traces.trace(slow.id).sizes) == {20}
    assert quick.n == 10_000
    assert slow.n == 1000


def test_it_goes_on_until_the_interval_is_narrow_enough(run, traces, make_file):
    random = np.random.default_rng(5)
    behaviour = FakeDevice(lambda _, n: (MS * random.lognormal(0, 0.3, n)).astype(np.int64))
    wide, narrow, never = (
        run([make_file("a")], device=fake_device(behaviour), protocol=in_two(precision=precision, **more))[0]
        for precision, more in ((None, {}), (0.05, {}), (0.001, {"max_samples": 3000}))
    )
    assert wide.n == 1000
    assert wide.p99.relative_width / 2 > 0.05 >= narrow.p99.relative_width / 2
    assert 1000 < narrow.n < 20_000
    assert (traces.trace(narrow.id).ended, traces.trace(never.id).ended) == ("precision", "max_samples")
    assert never.n == 3000


def test_the_budget_ends_it_with_what_there_is(run, traces, make_file):
    def slow(network, n):
        time.sleep(0.01 if network.name == "a" and n > 50 else 0)
        return np.full(n, MS)

    protocol = in_two(samples=100_000, max_samples=100_000, budget_s=0.3)
    started = time.monotonic()
    result = run([make_file("a")], device=fake_device(FakeDevice(slow)), protocol=protocol)[0]
    assert time.monotonic() - started < 3
    assert 100 <= result.n < 10_000
    assert traces.trace(result.id).ended == "budget"


def test_a_disturbed_block_is_done_again_as_a_whole(run, traces, make_file):
    calls = {"a": 0}

    def switches(n):
        calls["a"] += 1
        found = np.zeros(n, dtype=np.int64)
        if n > 50 and calls["a"] % 4 == 0:
            found[-10:] = 1
        return found

    def times(_network, n):
        values = steady_times(_network, n)
        values[-10:] += MS // 2 if n > 50 else 0
        return values

    result = run([make_file("a")], device=fake_device(FakeDevice(times, switches=switches)))[0]
    trace = traces.trace(result.id)
    dropped = [block for block in trace.blocks if not block.kept]
    assert dropped
    assert result.n == 1000
    assert all(block.involuntary_switches.sum() == 10 for block in dropped)
    assert all(block.involuntary_switches.sum() == 0 for block in trace.kept)


def test_where_every_block_is_disturbed_it_ends_and_says_so(run, traces, make_file):
    behaviour = FakeDevice(steady_times, cpu_share=0.5)
    result = run([make_file("a")], device=fake_device(behaviour))[0]
    trace = traces.trace(result.id)
    assert result.n == 100 * (in_two().repeats + 1)  # the last one is no repeat
    assert all(block.kept for block in trace.blocks)
    assert {block.process for block in trace.blocks} == {0, 1}
    assert result.verdict is Verdict.PREEMPTED
    assert "21 of 21 blocks were disturbed, and no better ones could be had" in result.reasons


@pytest.mark.parametrize(("every", "n", "ended"), [(3, 1000, "samples"), (15, 200, "repeats"), (25, 2200, "samples")])
def test_few_calm_blocks_have_to_do_and_where_there_are_hardly_any_all_count(run, traces, make_file, every, n, ended):
    blocks = []

    def switches(count):
        if count > 50:
            blocks.append(count)
        return np.full(count, int(count > 50 and (len(blocks) - 1) % every > 0), dtype=np.int64)

    def times(_network, count):
        values = steady_times(_network, count)
        values[-3:] += 4 * MS if count > 50 else 0  # not what decides: calm blocks have slow samples too
        return values

    protocol = in_two(processes=1, reference=0)
    result = run([make_file("a")], device=fake_device(FakeDevice(times, switches=switches)), protocol=protocol)[0]
    trace = traces.trace(result.id)
    assert (result.n, trace.ended) == (n, ended)
    if n <= 1000:
        assert not any(block.involuntary_switches.any() for block in trace.kept)
    assert result.verdict is Verdict.PREEMPTED


def test_repeats_that_one_process_used_up_count_no_longer_when_another_is_calm(run, traces, make_file):
    opened = []

    def cpu_share_of(process):
        return 0.5 if process == 0 else 1.0

    behaviour = FakeDevice(steady_times)

    def note(action, network):
        if action == "load" and network.name == "a":
            opened.append(1)
            behaviour.cpu_share = cpu_share_of(len(opened) - 1)

    behaviour.error = note
    result = run([make_file("a")], device=fake_device(behaviour))[0]
    trace = traces.trace(result.id)
    assert result.n == 1000
    assert {block.process for block in trace.kept} == {1}
    assert [block.process for block in trace.blocks if not block.kept] == [0] * 11


@pytest.mark.parametrize("action", ["load", "run"])
@pytest.mark.parametrize("error", [NetworkError, NetworkCrashedError, DeadlineError, MeasurementError, DeviceError])
def test_one_failure_never_stops_the_others(run, traces, behaviour, make_file, action, error):
    behaviour.error = lambda did, network: error("broken", "mend it") if (did, network.name) == (action, "b") else None
    told = []
    a, b, c = run([make_file(name) for name in "abc"], architecture_ids=["A", "B", "C"], on_progress=told.append)
    assert (a.n, c.n) == (1000, 1000)
    assert isinstance(b, MeasurementFailure)
    assert (b.network_name, b.architecture_id, b.device, type(b.error)) == ("b", "B", "fake", error)
    assert [event.failure for event in told if isinstance(event, NetworkFailed)] == [b]
    assert {m.network_name for m in traces.list()} == {"a", "c"}


def test_a_network_that_fails_late_is_failed_and_not_half_stored(run, traces, behaviour, make_file):
    def late(action, network):
        ran = [done for done in behaviour.done if done[:2] == ("run", "b") and done[2] > 50]
        return NetworkCrashedError("died", "") if network.name == "b" and action == "run" and len(ran) > 7 else None

    behaviour.error = late
    a, b = run([make_file("a"), make_file("b")])
    assert isinstance(a, Measurement)
    assert isinstance(b, MeasurementFailure)
    assert [m.network_name for m in traces.list()] == ["a"]
    behaviour.error = lambda *_: None
    behaviour.done.clear()
    again = run([make_file("a"), make_file("b")])
    assert all(isinstance(result, Measurement) for result in again)
    assert "a" not in {name for _, name, _ in behaviour.done}


def test_a_device_that_vanishes_fails_the_rest_and_keeps_what_was_done(run, traces, behaviour, make_file):
    def gone(_action, _network):
        return DeviceConnectionError("unplugged", "plug it in") if len(traces.list()) == 2 else None

    behaviour.error = gone
    results = run([make_file(name) for name in "abcd"], protocol=in_two(group=2))
    failed = [result for result in results if isinstance(result, MeasurementFailure)]
    assert [result.error.message for result in failed] == ["unplugged"] * 2
    assert len(traces.list()) == 2


def test_a_device_that_is_lost_at_once_is_the_calls_error(run, behaviour, make_file):
    behaviour.error = lambda _action, network: DeviceError("no such core", "") if network.name == "reference" else None
    with pytest.raises(DeviceError, match="no such core"):
        run([make_file("a")])


def test_what_is_known_is_not_measured_again(run, traces, behaviour, make_file):
    first = run([make_file("a"), make_file("b")])
    behaviour.done.clear()
    told = []
    assert run([make_file("b"), make_file("a")], on_progress=told.append) == first[::-1]
    assert behaviour.done == []
    assert told[0] == CampaignStarted("fake", 2, 2)
    assert [event.known for event in told[1:]] == [True, True]
    third = run([make_file("a")], again=True)[0]
    assert third.id not in {m.id for m in first}
    assert run([make_file("a")])[0] == third
    assert len(traces.list()) == 3


def test_another_device_or_protocol_is_another_measurement(run, traces, behaviour, make_file):
    run([make_file("a")])
    run([make_file("a")], protocol=in_two(samples=1100))
    run([make_file("a")], device=fake_device(behaviour, DeviceProfile("two", threads=2)))
    assert len(traces.list()) == 3
    run([make_file("a")], device=fake_device(behaviour, DeviceProfile("other")))  # the same, by another name
    assert len(traces.list()) == 3


def test_a_network_that_is_there_twice_is_measured_once(run, traces, behaviour, make_file):
    one, two = run([make_file("a", 1), make_file("b", 1)], architecture_ids=["A", None], space="s")
    assert (one.id, one.architecture_id, two.architecture_id) == (two.id, "A", None)
    assert len(traces.list()) == 1
    assert traces.list()[0].space == "s"


def test_nothing_to_measure_is_no_error(run, behaviour):
    assert run([]) == []
    assert behaviour.done == []


def test_as_many_architectures_as_networks(run, make_file):
    with pytest.raises(MeasurementError, match="1 networks and 2 architecture ids"):
        run([make_file("a")], architecture_ids=["A", "B"])


def test_progress_is_told(run, make_file):
    told = []
    result = run([make_file("a")], on_progress=told.append)[0]
    assert told[0] == CampaignStarted("fake", 1, 0)
    blocks = [event for event in told if isinstance(event, BlockMeasured)]
    assert [event.samples for event in blocks] == list(range(100, 1001, 100))
    assert blocks[0] == BlockMeasured("fake", "a", 100, 1000)
    assert told[-1] == NetworkMeasured(result, known=False)


def test_it_stops_when_told_to_and_keeps_what_was_done(run, traces, make_file):
    stop = threading.Event()

    def times(network, n):
        if len(traces.list()) == 2:
            stop.set()
        return steady_times(network, n)

    behaviour = FakeDevice(times)
    files = [make_file(name) for name in "abcd"]
    with pytest.raises(StoppedError):
        run(files, device=fake_device(behaviour), protocol=in_two(group=2), cancelled=stop)
    assert len(traces.list()) == 2
    opened = [name for action, name, _ in behaviour.done if action == "load"]
    closed = [name for action, name, _ in behaviour.done if action == "close"]
    assert set(opened) == set(closed)
    assert len(closed) >= len(opened)


def test_the_deadline_fails_what_is_not_done(run, traces, make_file):
    def times(network, n):
        time.sleep(0.2 if len(traces.list()) == 2 else 0)
        return steady_times(network, n)

    files = [make_file(name) for name in "abcd"]
    device = fake_device(FakeDevice(times))
    results = run(files, device=device, deadline_s=1.5, protocol=in_two(group=2))
    failed = [result for result in results if isinstance(result, MeasurementFailure)]
    assert [type(result.error) for result in failed] == [DeadlineError] * 2
    assert len(traces.list()) == 2


def test_a_busy_device_is_refused_with_its_holder_or_waited_for(run, make_file):
    told = []
    with DeviceLock("fake").hold(), pytest.raises(DeviceBusyError, match=r"'fake' is in use.*pid"):
        run([make_file("a")])
    entered = threading.Event()

    def hold():
        with DeviceLock("fake").hold():
            entered.set()
            time.sleep(0.3)

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait()
    run([make_file("a")], wait_s=10, on_progress=told.append)
    holder.join()
    assert sum(isinstance(event, Waiting) for event in told) == 1


def test_what_another_process_measured_meanwhile_is_not_measured_again(run, traces, behaviour, make_file, make_trace):
    network, device = make_file("a"), fake_device(FakeDevice(steady_times))
    real, calls = traces.find, []

    def find(hashes, **key):
        found = real(hashes, **key)
        calls.append(found)
        if len(calls) == 1:  # after the first look, another process stores it
            traces.add(make_trace(network_hash=network.hash, device_hash=device.hash))
        return found

    traces.find = find
    result = measure([network], device, store=traces)[0]
    assert len(calls) == 2
    assert [m.id for m in traces.list()] == [result.id]


def test_turns_are_taken_on_a_device_that_shares_this_machine(traces, make_file):
    held = []

    class Turns(MachineTurns):
        @contextlib.contextmanager
        def measuring(self, **more):
            held.append("taken")
            with super().measuring(**more):
                yield
            held.append("given back")

    def times(network, n):
        assert held[-1] == "taken"
        return steady_times(network, n)

    device = fake_device(FakeDevice(times), shares_this_machine=True)
    files = [make_file(name) for name in "abc"]
    measure(files, device, store=traces, turns=Turns(), protocol=in_two(group=2))
    assert held == ["taken", "given back"] * 4  # two groups of two processes each
    held.clear()
    measure([make_file("d")], fake_device(FakeDevice(steady_times)), store=traces, turns=Turns(), protocol=in_two())
    assert held == []


def test_a_long_turn_is_given_to_others_between_rounds(traces, make_file, monkeypatch):
    monkeypatch.setattr("hwnas.measurement._campaign._TURN_S", 0.0)
    taken = []

    class Turns(MachineTurns):
        @contextlib.contextmanager
        def measuring(self, **more):
            taken.append(1)
            with super().measuring(**more):
                yield

    behaviour = FakeDevice(steady_times)
    device = fake_device(behaviour, shares_this_machine=True)
    measure([make_file("a"), make_file("b")], device, store=traces, turns=Turns(), protocol=in_two())
    assert len(taken) == 2 + 10  # one for each process, and one more for each of its rounds
    assert len(blocks_of(behaviour)) == 20
