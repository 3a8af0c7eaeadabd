import threading
from collections import Counter

import numpy as np
import pytest

from hwnas.device.testing import FakeDevice, fake_device
from hwnas.errors import MeasurementError, PredictorError, StoppedError
from hwnas.measurement import MeasurementProtocol, MeasurementStore
from hwnas.network import GraphBuilder
from hwnas.predictor import OperationTable, measure_operations, nearly_nothing, operation_name, operations_of
from hwnas.space import get_space

RULES = MeasurementProtocol(samples=20, processes=1, reference=0, warmup_s=0.01)
CALL_MS = 0.02


@pytest.fixture(autouse=True)
def runtime_folder(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("HWNAS_LOCKS", str(tmp_path_factory.mktemp("runtime")))


def network(name="net", channels=8):
    """A convolution with its norm and activation twice, a residual sum with another, a pool and a linear layer."""
    build = GraphBuilder(name)
    x = build.conv(build.input((1, 8, 8)), channels, kernel=3, bias=False)
    x = build.activation(build.batch_norm(x), "relu")
    for _ in range(2):
        y = build.activation(build.batch_norm(build.conv(x, channels, kernel=3, bias=False)), "relu")
        x = build.activation(build.add(x, y), "relu")
    x = build.flatten(build.global_avg_pool(x))
    return build.graph(build.linear(build.dropout(x, 0.2), 10))


@pytest.fixture
def behaviour():
    """A device on which latency is a call and the multiply-accumulates: sums of operations are exact there."""

    def latency(network, n):
        return np.full(n, 1e6 * CALL_MS + 0.5 * network.macs, dtype=np.int64)

    return FakeDevice(latency)


def kinds(counts):
    return Counter({tuple(node.operation.kind for node in graph.nodes): count for graph, count in counts.items()})


def test_a_network_is_taken_apart_as_runtimes_fuse_it():
    counts = operations_of(network())
    inside = {value.shape for graph in counts for value in graph.inputs}
    assert {(1, 8, 8), (8, 8, 8)} <= inside
    assert sum(counts.values()) == 8
    assert kinds(counts)[("add", "relu")] == 2
    assert sorted(count for graph, count in counts.items() if graph.nodes[0].operation.kind == "conv2d") == [1, 2]
    assert kinds(counts)[("linear",)] == 1
    assert ("dropout",) not in kinds(counts)


def test_what_is_read_twice_is_not_fused():
    build = GraphBuilder("branch")
    x = build.conv(build.input((4, 8, 8)), 4, kernel=3)
    counts = operations_of(build.graph(build.add(x, build.activation(x, "relu"))))
    assert kinds(counts) == Counter({("conv2d",): 1, ("relu",): 1, ("add",): 1})


def test_equal_operations_of_different_networks_are_one():
    both = operations_of(network("a")) + operations_of(network("b"))
    assert len(both) == len(operations_of(network()))


@pytest.mark.parametrize("name", ["digits", "nasbench201"])
def test_the_parts_of_a_networks_work_are_its_whole(name):
    space = get_space(name)
    for architecture in space.sample(5, np.random.default_rng(1)):
        graph = space.graph(architecture)
        parts = operations_of(graph)
        assert sum(count * operation.macs for operation, count in parts.items()) <= graph.macs
        assert sum(count * operation.macs for operation, count in parts.items()) > 0.4 * graph.macs


def test_each_operation_is_measured_once_and_the_sum_is_the_network(behaviour, store):
    graphs = [network(channels=channels) for channels in (8, 16)]
    device = fake_device(behaviour)
    table = measure_operations(graphs, device, store=MeasurementStore(store), protocol=RULES)
    assert table.call_ms[0] == pytest.approx(CALL_MS)
    prediction = table.predict(graphs)
    np.testing.assert_allclose(prediction.mean_ms, [CALL_MS + 0.5e-6 * graph.macs for graph in graphs], rtol=1e-4)
    assert (prediction.std_ms > 0).all()
    loaded = [name for action, name, _ in behaviour.done if action == "load"]
    operations = {item for graph in graphs for item in operations_of(graph)} | {nearly_nothing()}
    assert sorted(loaded) == sorted(operation_name(item) for item in operations)
    behaviour.done.clear()
    measure_operations(graphs, device, store=MeasurementStore(store), protocol=RULES)
    assert not behaviour.done


def test_an_operation_that_is_not_in_the_table_is_named(behaviour, store):
    table = measure_operations([network()], fake_device(behaviour), store=MeasurementStore(store), protocol=RULES)
    with pytest.raises(PredictorError, match=r"other: conv2d \+ batch_norm \+ relu of 1x8x8 is not in the table"):
        table.predict([network("other", channels=12)])
    assert isinstance(table, OperationTable)


def test_an_operation_that_fails_is_named(behaviour, store):
    behaviour.error = lambda _action, item: (
        MeasurementError("it crashed", "look at it") if item.name.startswith("linear") else None
    )
    with pytest.raises(PredictorError, match="linear of 8 could not be measured alone on 'fake': it crashed"):
        measure_operations([network()], fake_device(behaviour), store=MeasurementStore(store), protocol=RULES)


def test_it_stops_when_told_to(behaviour, store):
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        measure_operations(
            [network()], fake_device(behaviour), store=MeasurementStore(store), protocol=RULES, cancelled=stop
        )
