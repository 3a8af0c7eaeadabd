"""A lookup table whose entries are measured: each operation alone, as a network of its own, on the device.

As FBNet (Wu et al. 2019, section 3.3) and MobileNetV3 use it: the latency of a network is the sum of its operations'.
An entry is one launch as runtimes fuse it: a convolution or a linear layer with the batch normalisation and the
activation behind it, a sum with its activation, and any other operation alone. What a call of the runtime costs before
it computes anything is measured by a network that does next to nothing, taken off every entry, and counted once.

What such a table cannot know is what operations do to each other: parallel branches, what stays in the caches, layouts
that change between two operations, further fusions.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import PredictorError
from hwnas.measurement import Measurement, measure
from hwnas.network import Graph, GraphBuilder, Input, Node, foldable, simplified, write_network
from hwnas.network.operations import ACTIVATIONS
from hwnas.predictor._model import Prediction

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from hwnas.device import Device
    from hwnas.measurement import MeasurementEvent, MeasurementProtocol, MeasurementStore
    from hwnas.measurement._measurement import Quantile

#: What takes the activation behind it along.
_FUSING = ("conv2d", "linear", "add")


def operations_of(graph: Graph) -> Counter[Graph]:
    """Return the operations that a network launches once it is deployed, each as a network, and how often."""
    deployed = simplified(graph)
    readers, layer_of = deployed.consumers(), foldable(deployed)
    found: Counter[Graph] = Counter()
    taken: set[str] = set()
    for node in deployed.nodes:
        if node.name in taken:
            continue
        chain = [node]
        while chain[-1].name != deployed.output and len(readers[chain[-1].name]) == 1:
            (following,) = readers[chain[-1].name]
            folds = layer_of.get(following.name) == chain[-1].name
            fuses = node.operation.kind in _FUSING and following.operation.kind in ACTIVATIONS
            if not (folds or (fuses and chain[-1].operation.kind not in ACTIVATIONS)):
                break
            chain.append(following)
        taken.update(item.name for item in chain)
        found[_alone(deployed, chain)] += 1
    return found


def _alone(graph: Graph, chain: Sequence[Node]) -> Graph:
    """Return some nodes in a row as a network; it is equal to that of the same nodes elsewhere."""
    names = {name: f"x{i}" for i, name in enumerate(dict.fromkeys(chain[0].inputs))}
    inputs = tuple(Input(new, graph.shapes[name]) for name, new in names.items())
    nodes = []
    for i, node in enumerate(chain):
        nodes.append(Node(f"n{i}", node.operation, tuple(names[name] for name in node.inputs)))
        names[node.name] = f"n{i}"
    return Graph(chain[0].operation.kind, inputs, tuple(nodes), nodes[-1].name)


def operation_name(operation: Graph) -> str:
    """Return what the network of an operation is called where it is measured: its kind, and which it is."""
    return f"{operation.name}-{operation.hash[:8]}"


def nearly_nothing() -> Graph:
    """Return the network whose latency is that of a call: one operation on one number."""
    build = GraphBuilder("nearly_nothing")
    return build.graph(build.activation(build.input((1,)), "relu"))


@dataclass(frozen=True, slots=True, eq=False)
class OperationTable:
    """Latencies of operations on one device; thread-safe.

    Attributes:
        call_ms: what a call costs before it computes anything, and its standard error.
        entries_ms: what each operation costs beyond that, and its standard error.
    """

    call_ms: tuple[float, float]
    entries_ms: Mapping[Graph, tuple[float, float]]

    @classmethod
    def of(cls, measured: Mapping[Graph, tuple[float, float]]) -> OperationTable:
        """Return the table of measured operations, `nearly_nothing()` among them.

        Args:
            measured: latency in milliseconds, and the standard error of its logarithm, by operation.
        """
        errors = {operation: value * sigma_log for operation, (value, sigma_log) in measured.items()}
        floor, error = measured[nearly_nothing()][0], errors[nearly_nothing()]
        beyond = {operation: max(0.0, value - floor) for operation, (value, _) in measured.items()}
        return cls((floor, error), {item: (beyond[item], float(np.hypot(errors[item], error))) for item in measured})

    def predict(self, graphs: Sequence[Graph]) -> Prediction:
        """Return the predicted latencies of n networks.

        The standard deviation is that of the entries alone: how far a network is from the sum of its operations no
        entry tells. `ProxyModel` fitted to sums and some measured networks adds that.

        Raises:
            PredictorError: an operation is not in the table; it is named.
        """
        means, variances = [], []
        for graph in graphs:
            counts = operations_of(graph)
            missing = [operation for operation in counts if operation not in self.entries_ms]
            if missing:
                raise PredictorError(
                    f"{graph.name}: {_text(missing[0])} is not in the table ({len(missing)} operations are not)",
                    "measure the operations of this network too",
                )
            parts = np.array([(count, *self.entries_ms[operation]) for operation, count in counts.items()])
            means.append(self.call_ms[0] + float(parts[:, 0] @ parts[:, 1]))
            variances.append(self.call_ms[1] ** 2 + float(((parts[:, 0] * parts[:, 2]) ** 2).sum()))
        return Prediction(np.array(means), np.sqrt(np.array(variances)))


def measure_operations(
    graphs: Sequence[Graph],
    device: Device,
    *,
    store: MeasurementStore,
    metric: Quantile = "p99_ms",
    protocol: MeasurementProtocol | None = None,
    wait_s: float = 0.0,
    on_progress: Callable[[MeasurementEvent], None] = lambda _event: None,
    cancelled: threading.Event | None = None,
) -> OperationTable:
    """Return the table of all operations of some networks, each measured alone on a device.

    What the store knows is not measured again, so a call that was stopped goes on where it was. Entries are of the
    quantile that is wanted: the sum of 99th percentiles is above the 99th percentile of a sum, the more the noisier the
    device is; ranks suffer little.

    Args:
        graphs: the networks.
        device: connected.
        store: where measurements are kept.
        metric: which quantile the entries are of.
        protocol: of the measurements; the device's own by default.
        wait_s: how long to wait for a device that is in use.
        on_progress: told of the measurements.
        cancelled: ends the call when it is set; what is stored stays.

    Raises:
        PredictorError: an operation could not be measured; it is named.
        StoppedError: `cancelled` was set.
    """
    call = nearly_nothing()
    wanted = list(dict.fromkeys([call, *(operation for graph in graphs for operation in operations_of(graph))]))
    formats, batch = device.runtime.formats, device.profile.batch
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        files = [
            write_network(item, Path(folder) / item.hash, formats, batch=batch, name=operation_name(item))
            for item in wanted
        ]
        results = measure(
            files,
            device,
            store=store,
            protocol=protocol,
            wait_s=wait_s,
            on_progress=on_progress,
            cancelled=cancelled,
        )
    figures: dict[Graph, tuple[float, float]] = {}
    for operation, result in zip(wanted, results, strict=True):
        if not isinstance(result, Measurement):
            raise PredictorError(
                f"{_text(operation)} could not be measured alone on {device.profile.name!r}: {result.error.message}",
                result.error.hint,
            )
        figures[operation] = (result.figure(metric)[0], result.sigma_log_of(metric))
    return OperationTable.of(figures)


def _text(operation: Graph) -> str:
    kinds = " + ".join(node.operation.kind for node in operation.nodes)
    return f"{kinds} of {' and '.join('x'.join(map(str, value.shape)) for value in operation.inputs)}"
