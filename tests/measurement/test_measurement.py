import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.errors import DeviceError, MeasurementError
from hwnas.measurement import Estimate, Verdict, summarize
from hwnas.measurement._measurement import RUN_TO_RUN_SIGMA, RUN_TO_RUN_SIGMA_IF_NOT_OK, UNBOUNDED_SIGMA

estimates = st.tuples(*(st.floats(1e-3, 1e3),) * 3, st.booleans(), st.booleans()).map(
    lambda x: Estimate(
        x[0], 0.0 if x[3] else x[0] / (1 + x[1]), math.inf if x[4] else x[0] * (1 + x[2]), undisturbed_ms=x[0]
    )
)


@given(estimates)
def test_json_brings_an_estimate_back(estimate):
    assert Estimate.from_json(estimate.to_json()) == estimate


@pytest.mark.parametrize(
    "values", [(1, 2, 3, 1), (3, 1, 2, 3), (0, 0, 1, 1), (1, 0.5, 2, 0), (math.inf, 1, math.inf, 1)]
)
def test_an_estimate_out_of_order_is_refused(values):
    with pytest.raises(MeasurementError, match="the interval"):
        Estimate(*values)


def test_the_standard_error_is_that_of_a_normal_interval():
    wide = Estimate(1.0, math.exp(-1.959964 * 0.1), math.exp(1.959964 * 0.1), 1.0)
    assert wide.sampling_sigma_log == pytest.approx(0.1)
    assert Estimate(1.0, 0.99, math.inf, 1.0).sampling_sigma_log == UNBOUNDED_SIGMA
    assert Estimate(1.0, 0.5, math.inf, 1.0).sampling_sigma_log > UNBOUNDED_SIGMA
    assert Estimate(1.0, 0.0, 1.01, 1.0).sampling_sigma_log == UNBOUNDED_SIGMA
    assert Estimate(1.0, 0.0, math.inf, 1.0).sampling_sigma_log == UNBOUNDED_SIGMA


def with_p99(make_trace, estimate, verdict=Verdict.OK):
    return dataclasses.replace(summarize(make_trace()), p99=estimate, verdict=verdict)


@pytest.mark.parametrize("width", [0.0, 0.01, 0.1, 1.0])
def test_sigma_never_falls_below_what_differs_from_run_to_run(make_trace, width):
    found = with_p99(make_trace, Estimate(1.0, math.exp(-width), math.exp(width), 1.0))
    assert found.sigma_log >= RUN_TO_RUN_SIGMA
    assert found.sigma_log == pytest.approx(math.hypot(width / 1.959964, RUN_TO_RUN_SIGMA))
    assert with_p99(make_trace, found.p99, Verdict.NOISY).sigma_log >= RUN_TO_RUN_SIGMA_IF_NOT_OK
    assert found.sigma_log_of("p50_ms") > RUN_TO_RUN_SIGMA


@given(estimates, st.floats(0.001, 1.0))
def test_widening_adds_in_quadrature_and_keeps_open_ends_open(estimate, sigma):
    wide = estimate.widened(sigma)
    assert wide.value_ms == estimate.value_ms
    assert (wide.low_ms == 0.0, math.isinf(wide.high_ms)) == (estimate.low_ms == 0.0, math.isinf(estimate.high_ms))
    assert wide.low_ms <= estimate.low_ms * (1 + 1e-9)
    assert wide.high_ms >= estimate.high_ms * (1 - 1e-9)
    if (
        estimate.low_ms > 0.0
        and estimate.high_ms > estimate.value_ms > estimate.low_ms
        and not math.isinf(wide.high_ms)
    ):
        below = math.log(estimate.value_ms / estimate.low_ms)
        assert math.log(wide.value_ms / wide.low_ms) == pytest.approx(math.hypot(below, 1.959964 * sigma), rel=1e-6)


def test_a_disturbed_machine_has_wider_intervals_of_its_tail(make_trace):
    calm, unsteady = summarize(make_trace()), summarize(make_trace(steady=False))
    assert (calm.verdict, unsteady.verdict) == (Verdict.OK, Verdict.NOISY)
    for one, other in ((calm.p50, unsteady.p50), (calm.p90, unsteady.p90), (calm.p99, unsteady.p99)):
        assert one.value_ms == other.value_ms
        assert other.low_ms < one.low_ms < one.value_ms < one.high_ms < other.high_ms
    reach = math.log(unsteady.p99.high_ms / unsteady.p99_ms)
    assert reach > 1.959964 * RUN_TO_RUN_SIGMA_IF_NOT_OK
    assert unsteady.sigma_log > RUN_TO_RUN_SIGMA_IF_NOT_OK
    assert math.log(calm.p50.high_ms / calm.p50_ms) < 0.03


def test_doubt_grows_with_the_verdict_and_with_disturbance(make_trace):
    clean = Estimate(1.0, 0.9, 1.1, 1.0)
    ok = with_p99(make_trace, clean).sigma_log
    noisy = with_p99(make_trace, clean.widened(RUN_TO_RUN_SIGMA_IF_NOT_OK), Verdict.NOISY).sigma_log
    assert ok < RUN_TO_RUN_SIGMA_IF_NOT_OK < noisy
    moved = with_p99(make_trace, Estimate(4.0, 3.6, 4.4, 0.2), Verdict.PREEMPTED).sigma_log
    assert moved >= math.log(4.0 / 0.2)


def test_figures_have_the_names_that_objectives_use(make_trace):
    found = summarize(make_trace(peak_memory_bytes=50_000_000))
    value, sigma = found.figure("p99_ms")
    assert (value, sigma) == (found.p99_ms, found.p99_ms * found.sigma_log)
    assert found.figure("p50_ms") == (found.p50_ms, found.p50_ms * found.sigma_log_of("p50_ms"))
    assert found.figure("peak_memory_bytes") == (50_000_000, 0.0)
    assert found.figure("peak_memory_mb") == (50.0, 0.0)
    assert found.figure("macs") == (10, 0.0)
    with pytest.raises(MeasurementError, match="no 'p42_ms'"):
        found.figure("p42_ms")
    with pytest.raises(DeviceError, match="device 'fake' does not tell peak_memory_bytes"):
        summarize(make_trace()).figure("peak_memory_bytes")


def test_energy_is_that_of_an_inference_that_counts(make_trace, make_block):
    blocks = [make_block([10**6] * 10, kept=kept) for kept in (True, False, True)]
    told = [
        dataclasses.replace(block, energy_mj=energy) for block, energy in zip(blocks, (5.0, 90.0, 7.0), strict=True)
    ]
    found = summarize(make_trace(told))
    assert found.energy_mj == pytest.approx(12.0 / 20)
    value, sigma = found.figure("energy_mj")
    assert sigma == pytest.approx(value * RUN_TO_RUN_SIGMA_IF_NOT_OK)
    partly = summarize(make_trace([told[0], blocks[2]]))
    assert partly.energy_mj is None
    with pytest.raises(DeviceError, match="device 'fake' does not tell energy_mj") as error:
        partly.figure("energy_mj")
    assert "RAPL" in error.value.hint


def test_json_is_plain_and_says_where_an_interval_is_open(make_trace, make_block):
    data = summarize(make_trace([make_block([1_000_000] * 50)])).to_json()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data["p99_high_ms"] is None
    assert data["p50_ms"] == pytest.approx(1.0)
    assert data["verdict"] == "noisy"
