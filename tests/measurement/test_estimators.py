import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats.mstats import hdquantiles

from hwnas.measurement._estimators import (
    harrell_davis,
    inflation,
    interval,
    interval_between,
    order_statistic_ranks,
)
from hwnas.measurement._summary import estimate

probabilities = st.sampled_from([0.5, 0.9, 0.99])


@given(st.lists(st.floats(1e-3, 1e6), min_size=2, max_size=400), probabilities)
def test_harrell_davis_agrees_with_scipy(values, p):
    ordered = np.sort(np.asarray(values))
    assert harrell_davis(ordered, p) == pytest.approx(float(hdquantiles(ordered, [p])[0]), rel=1e-9)


@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=300), probabilities, st.floats(0.1, 10))
def test_harrell_davis_lies_within_the_samples_and_scales(values, p, factor):
    ordered = np.sort(np.asarray(values))
    value = harrell_davis(ordered, p)
    assert ordered[0] * (1 - 1e-9) <= value <= ordered[-1] * (1 + 1e-9)
    assert harrell_davis(ordered * factor, p) == pytest.approx(value * factor)


@pytest.mark.parametrize(
    ("n", "ranks"), [(1000, (983, 997)), (2000, (1971, 1989)), (5000, (4936, 4964)), (368, (360, 368))]
)
def test_the_ranks_of_a_p99_are_exact(n, ranks):
    assert order_statistic_ranks(n, 0.99) == ranks


def test_a_p99_is_bounded_from_above_from_368_samples():
    assert interval(np.arange(1.0, 368.0), 0.99)[1] == math.inf
    assert interval(np.arange(1.0, 369.0), 0.99)[1] == 368.0


def test_a_median_of_five_is_bounded_on_neither_side():
    assert interval(np.arange(1.0, 6.0), 0.5) == (0.0, math.inf)
    assert interval(np.arange(1.0, 7.0), 0.5) == (1.0, 6.0)


@settings(max_examples=200)
@given(st.integers(1, 3000), probabilities)
def test_the_ranks_are_the_narrowest_that_cover_on_each_side(n, p):
    """By the exact binomial distribution, computed another way than the code does."""
    from scipy.stats import binom

    low, high = order_statistic_ranks(n, p)
    assert 0 <= low < high <= n + 1
    below = binom(n, p)  # how many samples lie below the quantile
    assert below.cdf(low - 1) <= 0.025 < below.cdf(low)
    if high <= n:
        assert below.sf(high - 1) <= 0.025 * (1 + 1e-9)
        assert below.sf(high - 2) > 0.025
    else:
        assert below.sf(n - 1) > 0.025


def heavy_tailed(random, n):
    """A quiet level with 3 % of long, slowly falling tails."""
    return random.lognormal(0, 0.02, n) + (random.random(n) < 0.03) * random.pareto(1.5, n) * 0.3


def wandering(random, n):
    """A level that wanders: correlation 0.95 from sample to sample."""
    from scipy.signal import lfilter

    noise = random.standard_normal(n + 200) * math.sqrt(1 - 0.95**2)
    level = lfilter([1.0], [1.0, -0.95], noise)[200:]
    return np.exp(0.1 * level) + (random.random(n) < 0.02) * random.exponential(0.3, n)


def bursting(random, n):
    """Ten slow inferences in a row, every two hundred."""
    values = np.exp(0.02 * random.standard_normal(n))
    place = 0
    while place < n:
        place += int(random.geometric(1 / 200))
        length = int(random.geometric(1 / 10))
        values[place : place + length] += random.exponential(0.5)
        place += length
    return values


def coverage(source, n, p, *, widened, runs=1000):
    truth = np.quantile(source(np.random.default_rng(1), 1_000_000), p)
    random, hits = np.random.default_rng(2), 0
    for _ in range(runs):
        samples = source(random, n)
        ordered = np.sort(samples)
        grown = inflation(samples, [100] * (n // 100), harrell_davis(ordered, p)) if widened else 1.0
        low, high = interval(ordered, p, inflation=grown)
        hits += low <= truth <= high
    return hits / runs


@pytest.mark.parametrize("p", [0.5, 0.99])
@pytest.mark.parametrize("widened", [False, True])
def test_the_interval_covers_where_samples_are_independent(p, widened):
    assert coverage(heavy_tailed, 1000, p, widened=widened) >= 0.935


@pytest.mark.parametrize(("source", "plain_at_most"), [(wandering, 0.85), (bursting, 0.60)])
def test_the_widened_interval_covers_where_samples_depend_on_each_other(source, plain_at_most):
    assert coverage(source, 2000, 0.99, widened=False) < plain_at_most
    assert coverage(source, 2000, 0.99, widened=True) >= 0.85


def in_blocks(samples, make_block, *, processes, size):
    """The samples as blocks of processes, one after the other, as a campaign keeps them."""
    parts = samples.reshape(-1, size)
    return [make_block(values * 1e6, process=index % processes) for index, values in enumerate(parts)]


@pytest.mark.parametrize(("source", "at_least"), [(heavy_tailed, 0.93), (wandering, 0.90), (bursting, 0.90)])
def test_the_interval_that_is_told_covers(make_block, source, at_least):
    """That of a measurement: order statistics, widened by dependence, and by how far five processes differ."""
    truth = np.quantile(source(np.random.default_rng(1), 1_000_000), 0.99)
    random, hits, runs = np.random.default_rng(2), 0, 300
    for _ in range(runs):
        found = estimate(in_blocks(source(random, 2000), make_block, processes=5, size=100), 0.99)
        hits += found.low_ms <= truth <= found.high_ms
    assert hits / runs >= at_least


def test_the_interval_that_is_told_covers_where_each_process_has_a_level_of_its_own(make_block):
    random, hits, runs = np.random.default_rng(3), 0, 300
    truth = np.quantile(heavy_tailed(random, 1_000_000) * np.exp(0.1 * random.standard_normal(1_000_000)), 0.99)
    for _ in range(runs):
        levels = np.exp(0.1 * random.standard_normal(5))
        samples = heavy_tailed(random, 2000).reshape(20, 100) * levels[np.arange(20) % 5, None]
        found = estimate(in_blocks(samples.ravel(), make_block, processes=5, size=100), 0.99)
        hits += found.low_ms <= truth <= found.high_ms
    assert hits / runs >= 0.88


def test_independent_samples_are_hardly_inflated():
    random = np.random.default_rng(0)
    found = [inflation(random.random(1000), [100] * 10, 0.99) for _ in range(300)]
    assert 1.0 <= np.mean(found) < 1.3


def test_a_burst_in_one_block_inflates():
    samples = np.ones(1000)
    samples[300:310] = 5.0
    assert inflation(samples, [100] * 10, 2.0) == pytest.approx(10.0, rel=0.02)
    spread = np.ones(1000)
    spread[::100] = 5.0
    assert inflation(spread, [100] * 10, 2.0) == 1.0


@pytest.mark.parametrize(("samples", "sizes"), [(np.ones(10), [10]), (np.ones(10), [5, 5])])
def test_nothing_to_compare_inflates_nothing(samples, sizes):
    assert inflation(samples, sizes, 0.5) == 1.0
    assert inflation(samples, sizes, 2.0) == 1.0


@given(st.floats(1.0, 50.0))
def test_inflation_only_widens(grown):
    ordered = np.sort(np.random.default_rng(0).lognormal(size=2000))
    low, high = interval(ordered, 0.9)
    wide_low, wide_high = interval(ordered, 0.9, inflation=grown)
    assert wide_low <= low * 1.02
    assert wide_high >= high * 0.98


def of_processes(random, processes=5, n=200, spread=0.15):
    """Processes whose levels differ, as memory layouts and moments of a busy machine make them."""
    return [np.exp(random.normal(0, spread) + 0.03 * random.standard_normal(n)) for _ in range(processes)]


def test_processes_that_differ_widen_the_interval_until_it_covers():
    random, truth = (
        np.random.default_rng(3),
        np.quantile(np.exp(0.153 * np.random.default_rng(4).standard_normal(10**6)), 0.5),
    )
    plain = between = 0
    for _ in range(400):
        groups = of_processes(random)
        low, high = interval(np.sort(np.concatenate(groups)), 0.5)
        plain += low <= truth <= high
        low, high = interval_between(groups, 0.5)
        between += low <= truth <= high
    assert plain / 400 < 0.5
    assert between / 400 >= 0.90


def test_two_processes_tell_nothing_of_how_processes_differ():
    groups = of_processes(np.random.default_rng(0), processes=2)
    value = harrell_davis(np.sort(np.concatenate(groups)), 0.99)
    assert interval_between(groups, 0.99) == pytest.approx((value, value))


@given(st.floats(0.01, 100))
def test_the_interval_between_processes_scales(factor):
    groups = of_processes(np.random.default_rng(1))
    low, high = interval_between(groups, 0.99)
    assert interval_between([factor * group for group in groups], 0.99) == pytest.approx((factor * low, factor * high))
