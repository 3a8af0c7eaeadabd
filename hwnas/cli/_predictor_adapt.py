"""What `hwnas predictor adapt` does, and how the commands find a predictor's space and what was measured of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

from hwnas.cli import _output
from hwnas.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hwnas.cli._options import Settings
    from hwnas.predictor import Adaptation, Corpus, StoredPredictor, TrainingSpace
    from hwnas.space import SearchSpace


def space_of(stored: StoredPredictor, space: str | None) -> tuple[TrainingSpace, SearchSpace | None]:
    """Return a predictor's space, from what the user names or from its card."""
    from hwnas.predictor import TrainingSpace

    if space is not None:
        where = TrainingSpace.named(space)
        stored.featuriser(where.space)  # says whether it is the right one
        return where, where.space
    told = stored.trained["space"]
    if told.get("definition") is None:
        return TrainingSpace(str(told["source"]), None), None
    own = stored.space()
    return TrainingSpace(str(told["source"]), own), own


def corpus_of(
    chosen: Settings,
    where: TrainingSpace,
    metric: str,
    tables: Sequence[Path] | None,
    duplicates: Literal["error", "median"],
    *,
    tables_only: bool,
) -> Corpus:
    from hwnas.measurement import measurement_records
    from hwnas.predictor import gather

    if tables_only and not tables:
        raise ConfigError("--tables-only without a table", "name one with --table FILE")
    records: list[Any] = []
    if not tables_only:
        with chosen.store() as store:
            records = list(measurement_records(store, space=where.name))
    corpus = gather(
        where, records=records, tables=tables or (), metric=cast("Any", f"{metric}_ms"), duplicates=duplicates
    )
    for text in corpus.notes:
        _output.note(text)
    return corpus


def adapt_to_known(
    stored: StoredPredictor,
    space: SearchSpace | None,
    corpus: Corpus,
    device: str,
    metric: str,
    samples: int | None,
) -> None:
    from hwnas.predictor import graph_features

    architectures, latencies_ms = corpus.device(device)
    if samples is not None and len(architectures) < samples:
        count = _output.plural(len(architectures), "network")
        raise ConfigError(
            f"{count} of this space measured on {device!r}, and {samples} are wanted",
            "give fewer --samples, 3 at least; or a table with more",
        )
    main = stored.main(space)
    blocks = main.featuriser(architectures)
    rows = list(range(len(architectures))) if samples is None else main.suggest_support(samples, blocks)
    picked = [architectures[i] for i in rows]
    errors = corpus.errors_of(picked, device)
    adapted = main.adapt(blocks[rows], latencies_ms[rows], sigma_log=errors, device=device)
    record = {"metric": f"{metric}_ms", "source": list(corpus.sources), "architectures": [_plain(a) for a in picked]}
    stored.keep(adapted, graph=graph_features(space, blocks[rows], picked), record=record)


def adapt_to_measured(
    chosen: Settings,
    stored: StoredPredictor,
    name: str,
    space: str | None,
    metric: str,
    samples: int,
    precision: str | None,
    protocol: list[str] | None,
    wait: float,
) -> None:
    from hwnas.cli._device import assignments
    from hwnas.cli._measure import share, stoppable
    from hwnas.cli._measuring import progress
    from hwnas.device import Device, DeviceRegistry
    from hwnas.measurement import MeasurementProtocol, MeasurementStore
    from hwnas.predictor import adapt_by_measuring, graph_features

    profile = DeviceRegistry(chosen.workspace()).get(name)
    own = space_of(stored, space)[1] or stored.space()
    rules = MeasurementProtocol.for_device(profile, **assignments("--protocol", protocol))
    tolerance = None if precision is None else share(precision)
    main = stored.main(own)
    with (
        Device.open(profile) as opened,
        chosen.store() as store,
        progress([name], total=samples) as listener,
        stoppable() as stop,
    ):
        done = adapt_by_measuring(
            main,
            own,
            opened,
            store=MeasurementStore(store),
            samples=samples,
            tolerance=tolerance,
            metric=cast("Any", f"{metric}_ms"),
            protocol=rules,
            wait_s=wait,
            on_progress=listener(name),
            on_step=_tell if tolerance is not None else lambda _step: None,
            cancelled=stop,
        )
    if done.predictor is None:  # adapt_by_measuring has raised
        return
    record = {
        "metric": f"{metric}_ms",
        "source": ["measured"],
        "stopped_early": len(done.measurements) < samples and not done.failures,
        "architectures": [_plain(item) for item in done.architectures],
        "measurement_ids": [item.id for item in done.measurements],
        "verdicts": [str(item.verdict) for item in done.measurements],
        "device_hash": done.measurements[0].device_hash,
        "protocol_hash": done.measurements[0].protocol_hash,
        "failures": [f"{item.network_name}: {item.error.message}" for item in done.failures],
    }
    stored.keep(done.predictor, graph=graph_features(own, done.predictor.support, done.architectures), record=record)


def _tell(step: Adaptation) -> None:
    if step.predictor is not None:
        count = _output.plural(len(step.measurements), "measurement")
        _output.note(f"{count}: expected error {step.predictor.expected_error:.1%}")


def _plain(architecture: Any) -> Any:
    return dict(architecture.values) if hasattr(architecture, "values") else architecture
