"""What `hwnas predictor lookup` does: a lookup table of operations, measured on a device, and what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from hwnas.cli import _output
from hwnas.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnas.cli._options import Settings
    from hwnas.predictor import OperationTable, Prediction, Scores
    from hwnas.space import SearchSpace


def lookup(
    chosen: Settings,
    device: str,
    source: str,
    metric: str,
    count: int,
    seed: int,
    protocol: list[str] | None,
    wait: float,
    *,
    json: bool,
) -> None:
    """Measure the operations of some networks of a space, and predict the networks as their sums."""
    from hwnas.cli._predictor_adapt import corpus_of
    from hwnas.predictor import Scores, TrainingSpace, operations_of

    where = TrainingSpace.named(source)
    space = where.space
    if space is None or not space.has_graph:
        raise ConfigError(f"{source} makes no networks", "a lookup table takes their operations apart")
    corpus = corpus_of(chosen, where, metric, None, "median", tables_only=False)
    architectures, measured = _networks(space, corpus, device, count, seed)
    graphs = [space.graph(item) for item in architectures]
    operations = {item for graph in graphs for item in operations_of(graph)}
    table = _measured(chosen, device, graphs, len(operations) + 1, metric, protocol, wait)
    prediction = table.predict(graphs)
    scores = Scores.of(prediction, measured) if measured is not None else None
    if json:
        _output.emit(_data(device, metric, architectures, prediction, measured, scores, table))
        return
    shown = [[item.id[:12], f"{mean:.4g}"] for item, mean in zip(architectures, prediction.mean_ms, strict=True)]
    if measured is not None:
        shown = [[*row, f"{value:.4g}"] for row, value in zip(shown, measured, strict=True)]
    heads = ["network", f"sum {metric} ms>", *(["measured ms>"] if measured is not None else [])]
    _output.show(_output.table(heads, shown))
    _output.note(
        f"{_output.plural(len(table.entries_ms) - 1, 'operation')} of {_output.plural(len(graphs), 'network')} on "
        f"{device}, a call {table.call_ms[0]:.4g} ms"
    )
    if scores is not None:
        rank = "too few for a rank" if scores.spearman is None else f"Spearman {scores.spearman:.3f}"
        _output.note(f"against what was measured: {rank}, median error {scores.median_error:.1%}")


def _networks(space: SearchSpace, corpus: Any, device: str, count: int, seed: int) -> tuple[list[Any], Any]:
    """Return networks that were measured on the device, with their latencies; where there are none, others."""
    import numpy as np

    if device in corpus.table.devices:
        architectures, measured = corpus.device(device)
        return list(architectures)[:count], measured[:count]
    return space.sample(min(count, space.size or count), np.random.default_rng(seed)), None


def _measured(
    chosen: Settings,
    name: str,
    graphs: Sequence[Any],
    count: int,
    metric: str,
    protocol: list[str] | None,
    wait: float,
) -> OperationTable:
    from hwnas.cli._device import assignments
    from hwnas.cli._measure import stoppable
    from hwnas.cli._measuring import progress
    from hwnas.device import Device, DeviceRegistry
    from hwnas.measurement import MeasurementProtocol, MeasurementStore
    from hwnas.predictor import measure_operations

    profile = DeviceRegistry(chosen.workspace()).get(name)
    rules = MeasurementProtocol.for_device(profile, **assignments("--protocol", protocol))
    with (
        Device.open(profile) as opened,
        chosen.store() as store,
        progress([name], total=count) as listener,
        stoppable() as stop,
    ):
        return measure_operations(
            graphs,
            opened,
            store=MeasurementStore(store),
            metric=cast("Any", f"{metric}_ms"),
            protocol=rules,
            wait_s=wait,
            on_progress=listener(name),
            cancelled=stop,
        )


def _data(
    device: str,
    metric: str,
    architectures: Sequence[Any],
    prediction: Prediction,
    measured: Any,
    scores: Scores | None,
    table: OperationTable,
) -> dict[str, Any]:
    known = [None] * len(architectures) if measured is None else [float(value) for value in measured]
    return {
        "device": device,
        "metric": f"{metric}_ms",
        "call_ms": table.call_ms[0],
        "operations": [
            {**operation.to_json(), "latency_ms": value} for operation, (value, _) in table.entries_ms.items()
        ],
        "networks": [
            {"id": item.id, "architecture": dict(item.values), "sum_ms": float(mean), "measured_ms": value}
            for item, mean, value in zip(architectures, prediction.mean_ms, known, strict=True)
        ],
        "scores": None if scores is None else scores.to_json(),
    }
