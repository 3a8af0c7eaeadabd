import dataclasses
import threading

import numpy as np
import pytest

from hwnas.device import DeviceProfile
from hwnas.device.testing import FakeDevice, fake_device
from hwnas.errors import DeviceBusyError, MeasurementError, NetworkError, StoppedError
from hwnas.locks import DeviceLock
from hwnas.measurement import (
    CampaignStarted,
    MeasurementProtocol,
    NetworkMeasured,
    StabilityReport,
    check_stability,
    summarize,
)
from hwnas.measurement._stability import stability_graphs

MS = 1_000_000
QUICK = MeasurementProtocol(samples=400, processes=3)
NAMES = [graph.name for graph in stability_graphs()]


def device_with(levels, random):
    """A device on which campaign c makes network i take levels[c][i] milliseconds."""
    loads = {}

    def times(network, n):
        campaign = (loads.get(network.name, 1) - 1) // QUICK.processes
        level = levels[min(campaign, len(levels) - 1)][NAMES.index(network.name)]
        return random.normal(level * MS, level * MS / 200, n).astype(np.int64)

    behaviour = FakeDevice(times)

    def note(action, network):
        if action == "load":
            loads[network.name] = loads.get(network.name, 0) + 1

    behaviour.error = note
    return behaviour


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_a_steady_device_repeats_itself(random):
    told = []
    device = fake_device(device_with([[1.0, 1.1, 1.2, 1.3, 1.4]], random))
    report = check_stability(device, campaigns=3, protocol=QUICK, on_progress=told.append)
    assert report.networks == tuple(NAMES)
    assert report.values_ms("p50_ms").shape == (3, 5)
    assert report.variation("p50_ms").max() < 0.01
    assert report.ratio_variation("p99_ms") < 0.02
    assert report.rank_stability("p50_ms") == 1.0
    assert report.explained("p50_ms") < 1.0
    assert sum(isinstance(event, CampaignStarted) for event in told) == 3
    assert sum(isinstance(event, NetworkMeasured) for event in told) == 15


def measured(make_trace, values):
    plain = summarize(make_trace())

    def scaled(estimate, factor):
        names = ("value_ms", "low_ms", "high_ms", "undisturbed_ms")
        return dataclasses.replace(estimate, **{name: factor * getattr(estimate, name) for name in names})

    rows = tuple(
        tuple(
            dataclasses.replace(
                plain,
                network_name=f"n{index}",
                p50=scaled(plain.p50, value / plain.p50_ms),
                p99=scaled(plain.p99, value / plain.p99_ms),
            )
            for index, value in enumerate(row)
        )
        for row in values
    )
    facts = make_trace().facts
    return StabilityReport(DeviceProfile("fake"), facts, MeasurementProtocol(), rows, ())


def test_the_figures_are_those_of_a_small_table(make_trace):
    report = measured(make_trace, [[1.0, 2.0, 3.0], [1.0, 3.0, 2.0], [2.0, 4.0, 5.0]])
    assert report.variation("p99_ms")[0] == pytest.approx(np.std([1, 1, 2], ddof=1) / np.mean([1, 1, 2]))
    kept = report.order_kept("p99_ms")
    assert np.allclose(kept, kept.T)
    assert kept[0, 1] == kept[0, 2] == 1.0
    assert kept[1, 2] == pytest.approx(1 / 3)
    assert report.rank_stability("p99_ms") == pytest.approx((1 + 1 + 1 / 3) / 3)
    assert report.ratio_variation("p99_ms") > 0.1


def test_campaigns_that_differ_more_than_their_intervals_say_are_seen(make_trace):
    assert measured(make_trace, [[1.0, 2.0], [1.001, 2.001], [0.999, 2.0]]).explained("p99_ms") < 0.5
    assert measured(make_trace, [[1.0, 2.0], [2.0, 4.0], [4.0, 8.0]]).explained("p99_ms") > 3.0


def test_two_campaigns_are_too_few(random):
    with pytest.raises(MeasurementError, match="2 campaigns do not tell"):
        check_stability(fake_device(FakeDevice(lambda _, n: np.full(n, MS))), campaigns=2)


def test_it_stops_when_told_to_and_waits_for_no_one(random):
    stop = threading.Event()
    stop.set()
    device = fake_device(device_with([[1.0] * 5], random))
    with pytest.raises(StoppedError):
        check_stability(device, protocol=QUICK, cancelled=stop)
    with DeviceLock("fake").hold(), pytest.raises(DeviceBusyError):
        check_stability(device, protocol=QUICK)


def test_a_network_that_does_not_run_is_the_calls_error():
    behaviour = FakeDevice(lambda _, n: np.full(n, MS))
    behaviour.error = lambda _action, network: NetworkError("no", "") if network.name == "layers-512" else None
    with pytest.raises(NetworkError, match="no"):
        check_stability(fake_device(behaviour), campaigns=3, protocol=QUICK)


def test_the_networks_are_valid_and_differ():
    graphs = stability_graphs()
    assert len({graph.hash for graph in graphs}) == len(graphs) == 5
