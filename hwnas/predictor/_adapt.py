"""Adapt a predictor to a device: measure what it suggests, in one campaign or one network at a time."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import PredictorError
from hwnas.measurement import Measurement, MeasurementFailure, measure
from hwnas.network import write_network

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from hwnas.device import Device
    from hwnas.measurement import MeasurementEvent, MeasurementProtocol, MeasurementStore
    from hwnas.measurement._measurement import Quantile
    from hwnas.predictor._device_predictor import DevicePredictor
    from hwnas.predictor._features import FeatureBlocks
    from hwnas.predictor._latency_predictor import LatencyPredictor
    from hwnas.space import Architecture, SearchSpace

#: Architectures that references are chosen from, the same ones in every run of the same space.
_CANDIDATES = 400
_SEED = 20
#: References before the first look at the expected error, where measuring may stop early.
_FIRST = 5
_LEAST = 3
_TRIES = 3  # networks tried for each that is wanted, at most


@dataclass
class Adaptation:
    """What was measured on a device so far, and the predictor that it makes.

    Attributes:
        architectures: n that were measured.
        measurements: `n`.
        failures: of networks that could not be measured; others took their places.
        predictor: adapted to the device; `None` before three are measured.
    """

    architectures: list[Architecture] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    failures: list[MeasurementFailure] = field(default_factory=list)
    predictor: DevicePredictor | None = None


def adapt_by_measuring(
    predictor: LatencyPredictor,
    space: SearchSpace,
    device: Device,
    *,
    store: MeasurementStore,
    samples: int = 10,
    tolerance: float | None = None,
    metric: Quantile = "p99_ms",
    protocol: MeasurementProtocol | None = None,
    wait_s: float = 0.0,
    on_progress: Callable[[MeasurementEvent], None] = lambda _event: None,
    on_step: Callable[[Adaptation], None] = lambda _adaptation: None,
    cancelled: threading.Event | None = None,
) -> Adaptation:
    """Return the predictor adapted to a device, by networks of the space that it chooses and that are measured now.

    Without a tolerance all are chosen before any is measured, and measured together, interleaved. With one, five are;
    then the predictor names one after the other, until the error that it expects is small enough. The candidates are
    the same in every call, and what is measured is kept in the store as it comes: an adaptation that was stopped goes
    on where it was, and one that is asked for again measures nothing.

    Args:
        predictor: trained, of the space's architectures.
        space: it must make networks.
        device: connected.
        store: where measurements are kept.
        samples: how many networks are measured at most.
        tolerance: the median relative error of a prediction at which measuring stops; 0.03 is three per cent.
        metric: which quantile is predicted.
        protocol: of the measurements; the device's own by default.
        wait_s: how long to wait for a device that is in use.
        on_progress: told of the measurements.
        on_step: told of the adaptation after each campaign.
        cancelled: ends the call when it is set; what is stored stays.

    Raises:
        PredictorError: too few networks could be measured.
        StoppedError: `cancelled` was set.
    """
    if samples < _LEAST:
        raise PredictorError(f"{samples} measurements are too few", f"take at least {_LEAST}; 10 is usual")
    count = min(_CANDIDATES, space.size or _CANDIDATES)
    candidates = space.sample(count, np.random.default_rng(_SEED))
    blocks = predictor.featuriser(candidates)
    first = samples if tolerance is None else min(_FIRST, samples)
    done = Adaptation()
    tried: set[int] = set()
    chosen = predictor.suggest_support(min(first, int(blocks.live.sum())), blocks)
    while chosen:
        tried.update(chosen)
        with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
            results = _measured(
                [candidates[i] for i in chosen],
                space,
                device,
                Path(folder),
                store,
                protocol,
                wait_s=wait_s,
                on_progress=on_progress,
                cancelled=cancelled,
            )
        for index, result in zip(chosen, results, strict=True):
            if isinstance(result, Measurement):
                done.architectures.append(candidates[index])
                done.measurements.append(result)
            else:
                done.failures.append(result)
        _refit(done, predictor, device.profile.name, metric)
        on_step(done)
        chosen = _next(done, predictor, blocks, tried, samples, tolerance)
    if done.predictor is None:
        raise PredictorError(
            f"{len(done.measurements)} of {len(tried)} networks could be measured on {device.profile.name!r}; "
            f"{_LEAST} are needed",
            f"the first failure: {done.failures[0].error.message}" if done.failures else "offer more candidates",
        )
    return done


def _measured(
    chosen: Sequence[Architecture],
    space: SearchSpace,
    device: Device,
    folder: Path,
    store: MeasurementStore,
    protocol: MeasurementProtocol | None,
    *,
    wait_s: float,
    on_progress: Callable[[MeasurementEvent], None],
    cancelled: threading.Event | None,
) -> list[Measurement | MeasurementFailure]:
    formats, batch = device.runtime.formats, device.profile.batch
    files = [
        write_network(space.graph(item), folder / item.id, formats, batch=batch, name=f"{space.name}-{item.id[:8]}")
        for item in chosen
    ]
    return measure(
        files,
        device,
        store=store,
        protocol=protocol,
        architectures=chosen,
        wait_s=wait_s,
        on_progress=on_progress,
        cancelled=cancelled,
    )


def _refit(done: Adaptation, predictor: LatencyPredictor, device: str, metric: Quantile) -> None:
    if len(done.measurements) >= _LEAST:
        values = [item.figure(metric)[0] for item in done.measurements]
        sigma = [item.sigma_log_of(metric) for item in done.measurements]
        done.predictor = predictor.adapt(done.architectures, values, sigma_log=sigma, device=device)


def _next(
    done: Adaptation,
    predictor: LatencyPredictor,
    blocks: FeatureBlocks,
    tried: set[int],
    samples: int,
    tolerance: float | None,
) -> list[int]:
    """Return the candidates to measure next; none where measuring is over."""
    rest = [index for index in range(len(blocks)) if index not in tried and blocks.live[index]]
    if len(done.measurements) >= samples or not rest or len(tried) >= _TRIES * samples:
        return []
    offered = blocks[np.array(rest)]
    if done.predictor is None:  # most of them failed
        return [rest[i] for i in predictor.suggest_support(min(_LEAST, len(rest)), offered)]
    index = done.predictor.next_support(offered, tolerance=tolerance)
    return [] if index is None else [rest[index]]
