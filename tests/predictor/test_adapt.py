import threading

import numpy as np
import pytest

from hwnas.device.testing import FakeDevice, fake_device
from hwnas.errors import MeasurementError, PredictorError, StoppedError
from hwnas.measurement import MeasurementProtocol, MeasurementStore
from hwnas.predictor import (
    AnyNetworkPredictor,
    GraphFeaturiser,
    LatencyPredictor,
    LatencyTable,
    Scores,
    SpaceFeaturiser,
    adapt_by_measuring,
    without_support,
)
from hwnas.predictor._graph_features import graph_part
from hwnas.space import get_space

SPACE = get_space("digits")
RULES = MeasurementProtocol(samples=20, processes=1, reference=0, warmup_s=0.01)


@pytest.fixture(autouse=True)
def runtime_folder(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("HWNAS_LOCKS", str(tmp_path_factory.mktemp("runtime")))


def cost_ms(blocks, weights):
    totals = blocks.blocks["totals"]
    return totals[:, :5] @ (np.asarray(weights) / np.array([10, 20, 1e6, 1e4, 1e5])) + 0.02


@pytest.fixture(scope="module")
def known():
    archs = SPACE.sample(80, np.random.default_rng(5))
    featuriser = SpaceFeaturiser(SPACE)
    blocks = featuriser(archs)
    rng = np.random.default_rng(6)
    y = np.stack([cost_ms(blocks, rng.gamma(2.0, 0.5, 5)) for _ in range(3)], 1) * np.exp(
        0.02 * rng.normal(size=(80, 3))
    )
    table = LatencyTable(tuple(archs), tuple("abc"), y)
    return archs, blocks, LatencyPredictor(featuriser, scale_vectors=128).fit(table, blocks), table


@pytest.fixture
def device():
    """A device whose times follow a network's size; what it did is in `.behaviour.done`."""
    by_name = {}

    def latency(network, n):
        value = by_name.setdefault(network.name, 1e5 + 0.3 * network.macs + 2e4 * (network.params**0.5))
        return (value * (1 + 0.01 * np.sin(np.arange(n)))).astype(np.int64)

    behaviour = FakeDevice(latency)
    made = fake_device(behaviour)
    return made, behaviour


def loads(behaviour):
    return [name for action, name, _ in behaviour.done if action == "load"]


def test_ten_networks_are_measured_once_and_never_again(known, device, store):
    made, behaviour = device
    predictor = known[2]
    first = adapt_by_measuring(predictor, SPACE, made, store=MeasurementStore(store), protocol=RULES)
    assert len(first.measurements) == len(set(first.architectures)) == 10
    assert first.predictor.device == "fake"
    np.testing.assert_allclose(first.predictor.support_ms, [item.p99_ms for item in first.measurements])
    assert (first.predictor.sigma_log > 0).all()
    behaviour.done.clear()
    again = adapt_by_measuring(predictor, SPACE, made, store=MeasurementStore(store), protocol=RULES)
    assert loads(behaviour) == []
    np.testing.assert_array_equal(again.predictor.predict(known[0]).mean_ms, first.predictor.predict(known[0]).mean_ms)


def test_it_stops_early_where_the_expected_error_is_low_enough(known, device, store):
    steps = []
    done = adapt_by_measuring(
        known[2],
        SPACE,
        device[0],
        store=MeasurementStore(store),
        protocol=RULES,
        samples=12,
        tolerance=0.5,
        on_step=lambda step: steps.append(step.predictor.expected_error),
    )
    assert len(done.measurements) == 5
    assert steps[-1] <= 0.5
    more = adapt_by_measuring(
        known[2], SPACE, device[0], store=MeasurementStore(store), protocol=RULES, samples=7, tolerance=1e-6
    )
    assert len(more.measurements) == 7
    assert set(done.architectures) <= set(more.architectures)


def test_networks_that_fail_are_replaced_and_too_many_failures_are_said(known, device, store):
    made, behaviour = device
    failed = set()

    def error(action, network):
        if action == "load" and (network.name in failed or len(failed) < 2):
            failed.add(network.name)
            return MeasurementError("it crashed", "look at it")
        return None

    behaviour.error = error
    done = adapt_by_measuring(known[2], SPACE, made, store=MeasurementStore(store), protocol=RULES, samples=6)
    assert len(done.measurements) == 6
    assert {item.network_name for item in done.failures} == failed
    behaviour.error = lambda _action, _network: MeasurementError("it crashed", "look at it")
    other = MeasurementProtocol(samples=30, processes=1, reference=0, warmup_s=0.01)
    with pytest.raises(PredictorError, match=r"0 of .* networks could be measured"):
        adapt_by_measuring(known[2], SPACE, made, store=MeasurementStore(store), protocol=other, samples=4)


def test_what_was_stopped_goes_on_where_it_was(known, device, store):
    made, behaviour = device
    stop = threading.Event()
    seen = []

    def listen(event):
        seen.append(event)
        if "NetworkMeasured" in type(event).__name__:
            stop.set()

    with pytest.raises(StoppedError):
        adapt_by_measuring(
            known[2], SPACE, made, store=MeasurementStore(store), protocol=RULES, on_progress=listen, cancelled=stop
        )
    kept = {item.network_name for item in MeasurementStore(store).list()}
    assert kept
    behaviour.done.clear()
    done = adapt_by_measuring(known[2], SPACE, made, store=MeasurementStore(store), protocol=RULES)
    assert len(done.measurements) == 10
    assert not kept & set(loads(behaviour))


def test_a_held_out_device_leaves_no_trace_in_the_sources(known):
    _, blocks, predictor, table = known
    other = predictor.without("b", blocks)
    assert other.devices_ == ("a", "c")
    alone = LatencyPredictor(predictor.featuriser, scale_vectors=128).fit(table.select(devices=["a", "c"]), blocks)
    np.testing.assert_allclose(other.basis_.weights, alone.basis_.weights)
    np.testing.assert_allclose(other.population_, alone.population_)
    with pytest.raises(PredictorError, match="cannot be held out"):
        predictor.without("z", blocks)


def test_networks_that_adapted_are_not_scored(known):
    _, blocks, predictor, table = known
    adapted = predictor.adapt(blocks[[3, 5, 7]], table.latencies_ms[[3, 5, 7], 0])
    rest = without_support(blocks, adapted)
    assert not {3, 5, 7} & set(rest)
    assert len(rest) >= 70
    with pytest.raises(PredictorError, match="no measured network is left"):
        Scores.of(adapted.predict(blocks[[]]), np.zeros(0))


def test_far_from_the_training_the_doubt_is_wide_and_says_why(known):
    archs, blocks, _, table = known
    predictor = LatencyPredictor(GraphFeaturiser(), scale_vectors=128).fit(table, graph_part(blocks))
    rows = predictor.suggest_support(10, graph_part(blocks))
    adapted = predictor.adapt(graph_part(blocks)[rows], table.latencies_ms[rows, 0])
    anywhere = AnyNetworkPredictor(adapted)
    near = [SPACE.graph(arch) for arch in archs[:5]]
    far = get_space("nasbench201")
    cells = [far.graph(arch) for arch in far.sample(5, np.random.default_rng(0))]
    inside, distances = anywhere.explained(near)
    assert [item.inside for item in distances] == [1.0] * 5
    assert not any(str(item) for item in distances)
    np.testing.assert_array_equal(inside.mean_ms, adapted.predict(near).mean_ms)
    outside, distances = anywhere.explained(cells)
    assert max(item.inside for item in distances) < 0.5
    assert "macs" in distances[0].beyond
    assert (outside.std_ms / outside.mean_ms).min() > 0.3 > np.median(inside.std_ms / inside.mean_ms)
    assert outside.mean_ms.min() > inside.mean_ms.max() / 2
