import dataclasses
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from hwnas.device import Conditions
from hwnas.measurement import MeasurementProtocol, Verdict, summarize
from hwnas.measurement._verdict import is_bad, preempted

MS = 1_000_000
START = datetime(2026, 1, 1, tzinfo=UTC)


def quiet(random, n=100, level=MS):
    return random.normal(level, level / 100, n).astype(int)


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_a_quiet_trace_is_ok(make_trace, make_block, random):
    found = summarize(make_trace([make_block(quiet(random)) for _ in range(10)]))
    assert (found.verdict, found.reasons) == (Verdict.OK, ())
    assert found.p99.undisturbed_ms == found.p99_ms


def test_a_sample_that_waited_for_the_processor_was_preempted(make_block, random):
    cpu = quiet(random)
    wall = cpu.copy()
    wall[[3, 50]] += 4 * MS
    wall[7] += MS // 100
    block = make_block(wall, cpu_ns=cpu)
    assert list(np.flatnonzero(preempted(block, threads=1))) == [3, 50]


def test_with_several_threads_only_switches_tell(make_block, random):
    wall = quiet(random)
    wall[3] += 4 * MS
    switches = np.zeros(100)
    switches[[3, 4]] = 1
    block = make_block(wall, cpu_ns=wall * 2, switches=switches)
    assert list(np.flatnonzero(preempted(block, threads=2))) == [3]
    assert not preempted(make_block(wall, cpu_ns=wall // 2), threads=2).any()


def test_a_device_that_does_not_tell_is_not_accused(make_block, random):
    wall = quiet(random)
    wall[3] += 4 * MS
    block = dataclasses.replace(make_block(wall), cpu_ns=None, involuntary_switches=None)
    assert not preempted(block, threads=1).any()


def test_a_hundredth_of_preempted_inferences_is_said(make_trace, make_block, random):
    blocks = []
    for _ in range(10):
        cpu = quiet(random)
        wall = cpu.copy()
        wall[[10, 70]] += 4 * MS
        blocks.append(make_block(wall, cpu_ns=cpu))
    found = summarize(make_trace(blocks))
    assert found.verdict is Verdict.PREEMPTED
    assert found.reasons[0] == "other programs preempted 2.0% of the inferences and took 7% of their time"
    assert found.p99_ms > 4
    assert found.p99.undisturbed_ms == pytest.approx(1.02, abs=0.02)
    assert found.sigma_log > 1


def test_a_block_of_which_others_took_a_time_slice_is_bad(make_block, random):
    cpu = quiet(random)
    wall = cpu.copy()
    wall[0] += 4 * MS
    assert is_bad(make_block(wall, cpu_ns=cpu), threads=1)


def test_what_the_system_itself_takes_makes_no_block_bad(make_block, random):
    """Its own threads take some microseconds now and then, however calm the machine is."""
    cpu = quiet(random)
    wall = cpu.copy()
    wall[[0, 20, 40, 60, 80]] += MS // 10
    block = make_block(wall, cpu_ns=cpu)
    assert preempted(block, threads=1).sum() == 5
    assert not is_bad(block, threads=1)


def test_a_block_of_a_slow_network_with_two_time_slices_lost_is_bad(make_block, random):
    cpu = quiet(random, level=20 * MS)
    wall = cpu.copy()
    wall[0] += 4 * MS
    assert not is_bad(make_block(wall, cpu_ns=cpu), threads=1)  # one inference of a hundred, 0.2 % of the time
    wall[1] += 4 * MS
    assert is_bad(make_block(wall, cpu_ns=cpu), threads=1)


def test_much_time_lost_in_few_inferences_is_preemption_too(make_trace, make_block, random):
    blocks = []
    for _ in range(10):
        cpu = quiet(random, n=1000, level=20_000)
        wall = cpu.copy()
        wall[[200, 800]] += 4 * MS
        blocks.append(make_block(wall, cpu_ns=cpu))
    found = summarize(make_trace(blocks))
    assert found.verdict is Verdict.PREEMPTED
    assert found.reasons[0] == "other programs preempted 0.2% of the inferences and took 29% of their time"
    assert found.p99_ms < 0.022


def test_a_block_in_which_the_reference_moved_is_bad(make_block, random):
    assert is_bad(make_block(quiet(random), before=[MS] * 5, after=[int(1.2 * MS)] * 5), threads=1)
    assert is_bad(make_block(quiet(random), before=[int(1.2 * MS)] * 5, after=[MS] * 5), threads=1)
    assert not is_bad(make_block(quiet(random), before=[MS] * 5, after=[int(1.1 * MS)] * 5), threads=1)
    assert not is_bad(make_block(quiet(random), before=[], after=[]), threads=1)


@pytest.mark.parametrize(
    ("what", "words"), [("reference", "the reference network became 20.0% slower"), ("own", "itself")]
)
def test_drift_is_said(make_trace, make_block, random, what, words):
    blocks = []
    for index in range(10):
        level = int(MS * (1.2 if index >= 6 else 1.0))
        reference = [level if what == "reference" else MS] * 5
        own = level if what == "own" else MS
        blocks.append(make_block(quiet(random, level=own), before=reference, after=reference))
    found = summarize(make_trace(blocks))
    assert found.verdict is Verdict.DRIFTING
    assert any(words in reason for reason in found.reasons)


def test_too_few_samples_are_noisy(make_trace, make_block, random):
    found = summarize(
        make_trace([make_block(quiet(random)) for _ in range(3)], protocol=MeasurementProtocol(samples=300))
    )
    assert found.verdict is Verdict.NOISY
    assert found.reasons == ("300 samples, as dependent as they are, do not bound the p99 from above",)


def test_a_wide_interval_is_noisy(make_trace, make_block, random):
    blocks = []
    for _ in range(10):
        samples = quiet(random)
        samples[:3] = MS * random.uniform(1, 10, 3)
        blocks.append(make_block(samples))
    found = summarize(make_trace(blocks))
    assert found.verdict is Verdict.NOISY
    assert "wide on either side" in found.reasons[0]


def test_what_never_became_steady_is_noisy(make_trace):
    found = summarize(make_trace(steady=False))
    assert (found.verdict, found.reasons) == (Verdict.NOISY, ("it did not become steady in the time for warm-up",))


def test_many_repeated_blocks_are_noisy(make_trace, make_block, random):
    blocks = [make_block(quiet(random), kept=index % 2 == 0) for index in range(20)]
    found = summarize(make_trace(blocks))
    assert found.n == 1000
    assert (found.verdict, found.reasons) == (Verdict.NOISY, ("10 of 20 blocks were disturbed and done again",))


def test_many_blocks_that_others_disturbed_are_preemption(make_trace, make_block, random):
    blocks = []
    for index in range(20):
        cpu = quiet(random)
        wall = cpu.copy()
        wall[50] += 4 * MS * (index % 2)
        blocks.append(make_block(wall, cpu_ns=cpu, kept=index % 2 == 0))
    found = summarize(make_trace(blocks))
    assert found.verdict is Verdict.PREEMPTED
    assert found.reasons[0] == "other programs disturbed 10 of 20 blocks, which do not count"
    assert found.p99_ms < 1.1
    assert found.p99.undisturbed_ms == found.p99_ms


def test_too_few_calm_blocks_are_said(make_trace, make_block, random):
    blocks = [make_block(quiet(random)) for _ in range(10)]
    protocol = MeasurementProtocol(samples=2000)
    found = summarize(dataclasses.replace(make_trace(blocks, protocol=protocol), ended="repeats"))
    assert "1000 samples of 2000 came from undisturbed blocks" in found.reasons


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"thermal_status": 0}, {"thermal_status": 3}, "thermal status 3"),
        (
            {"extra": {"quota_throttled_s": 1.0}},
            {"extra": {"quota_throttled_s": 1.5}},
            "held the container back for 0.50 s",
        ),
        ({"battery_percent": 12.0, "charging": False}, {}, "battery was at 12 %"),
    ],
)
def test_throttling_is_said(make_trace, before, after, words):
    found = summarize(make_trace(before=Conditions(START, **before), after=Conditions(START, **after)))
    assert found.verdict is Verdict.THROTTLED
    assert words in found.reasons[0]


def test_charging_is_said_where_it_disturbs(make_trace):
    def state(level, degrees, *, charging=True, disturbs=True, **more):
        extra = {"charging_disturbs": disturbs}
        temperature = {"battery": degrees}
        return Conditions(
            START, battery_percent=level, charging=charging, temperature_c=temperature, extra=extra, **more
        )

    found = summarize(make_trace(before=state(62.0, 26.8), after=state(64.0, 31.2)))
    assert found.verdict is Verdict.CHARGING
    told = "the battery was being charged, which heats a device (62 to 64 %, 27 to 31 °C)"
    assert found.reasons == (told,)
    found = summarize(make_trace(before=state(62.0, 26.8), after=state(62.0, 26.8, charging=False, thermal_status=2)))
    assert found.verdict is Verdict.THROTTLED
    assert found.reasons[-1].endswith("(62 %, 27 °C)")
    for quiet_state in (
        state(62.0, 26.8, disturbs=False),
        state(62.0, 26.8, charging=False),
        Conditions(START, charging=True),
    ):
        assert summarize(make_trace(before=quiet_state, after=quiet_state)).verdict is Verdict.OK


@pytest.mark.parametrize(("slower", "verdict"), [(0.0, Verdict.OK), (0.01, Verdict.THROTTLED)])
def test_a_slower_clock_is_throttling_only_where_the_network_slows_down_too(
    make_trace, make_block, random, slower, verdict
):
    blocks = []
    for index in range(10):
        state = Conditions(START, frequency_mhz=(3000.0 if index < 5 else 1500.0,))
        blocks.append(make_block(quiet(random, level=int(MS * (1 + slower * index))), conditions=state))
    found = summarize(make_trace(blocks))
    assert found.verdict is verdict
    if verdict is Verdict.THROTTLED:
        assert found.reasons[0] == "the clock fell by 50%, and the network became slower"


def test_time_that_the_hypervisor_took_is_preemption(make_trace):
    later = START + timedelta(seconds=10)
    before, after = Conditions(START, stolen_s=5.0), Conditions(later, stolen_s=7.0)
    found = summarize(make_trace(before=before, after=after))
    assert found.verdict is Verdict.PREEMPTED
    assert "10.0% of the processors' time" in found.reasons[0]
    calm = Conditions(later, stolen_s=5.1)
    assert summarize(make_trace(before=before, after=calm)).verdict is Verdict.OK


def test_too_few_samples_for_the_protocol_are_said(make_trace, make_block, random):
    protocol = MeasurementProtocol(samples=2000)
    found = summarize(make_trace([make_block(quiet(random)) for _ in range(10)], protocol=protocol))
    assert found.verdict is Verdict.NOISY
    assert "1000 samples of 2000 fitted into the time budget" in found.reasons


def test_processes_that_differ_by_more_than_was_asked_for_are_said(make_trace, make_block, random):
    protocol = MeasurementProtocol(precision=0.02)
    levels = [MS * (1 + process / 80) for process in range(5)]
    blocks = [make_block(quiet(random, level=levels[number % 5]), process=number % 5) for number in range(100)]
    found = summarize(make_trace(blocks, protocol=protocol))
    assert any("and 2.0% was asked for" in reason for reason in found.reasons)
    agreeing = [make_block(quiet(random), process=number % 5) for number in range(100)]
    assert summarize(make_trace(agreeing, protocol=protocol)).verdict is Verdict.OK
