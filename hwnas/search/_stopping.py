"""Which trainings cannot reach the front any more, by their learning curves.

All other objectives of a trial are known before it is trained. So its training is hopeless once even an optimistic
final value would not be on the front: some complete trial that is at least as good in all other objectives has more.

What a training may still gain is taken from the complete trials of the same study: of each, its final value less the
best that it had shown at the same epoch. The optimistic gain is one that a further trial exceeds with a probability of
`chance` at most, if its gain is drawn as theirs were: the larger of the order statistic that promises this whatever
their distribution (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005, section 2.2), as far as
there are enough of them for it, and the prediction bound of Student's t.

Related are the median rule (Golovin et al., "Google Vizier", KDD 2017, section 3.1.1), which asks whether a curve is
below the others' and not whether its trial can matter, and extrapolation by a mixture of growth curves (Domhan,
Springenberg and Hutter, IJCAI 2015), which stops by the same criterion and needs to know what curves look like.

What lies between 0 and 1 and is maximised, an accuracy, gains in the logarithm of its error, 1 - value: errors shrink
by factors. Everything else gains on its objective's scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import ConfigError
from hwnas.search._front import eligible
from hwnas.search._gate import in_short
from hwnas.search._trial import Provenance, Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jaxtyping import Float

    from hwnas.evaluation import CurvePoint
    from hwnas.search._config import StoppingSettings
    from hwnas.search._objective import Objective
    from hwnas.search._trial import Trial

#: A training that is past this share of the usual number of epochs is left to come to its end: a true value is worth
#: more than the rest.
_LATE = 0.9
#: An error of less counts as this much.
_LEAST_ERROR = 1e-3
#: Half the width of a 95 % interval, in standard errors.
_Z95 = 1.959964


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a training may come to, given how far it is.

    Attributes:
        value: its final value, half of the time more.
        sigma: the standard error of that.
        most: its final value exceeds this with a probability of `chance` at most.
        trials: how many complete trials say so.
    """

    value: float
    sigma: float
    most: float
    trials: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """A training is hopeless: why, in words, and what its metric would have come to, as a prediction."""

    reason: str
    metric: str
    value: Value


def stopping_metric(objectives: Sequence[Objective], settings: StoppingSettings) -> Objective:
    """Return the objective that is followed along the learning curves.

    Raises:
        ConfigError: it is no optimised objective of the training, or there is another one, which nothing is known of
            before the training is over.
    """
    trained = [objective for objective in objectives if objective.source == "evaluation" and objective.optimize]
    names = ", ".join(objective.name for objective in trained)
    if settings.metric is not None and all(objective.name != settings.metric for objective in trained):
        raise ConfigError(
            f"[search.stopping] metric {settings.metric!r} is no optimised objective that the training reports",
            f"name one of {names}" if names else "a study without one has nothing to stop",
        )
    if len(trained) != 1:
        raise ConfigError(
            f"[search.stopping]: {len(trained)} optimised objectives come from the training ({names or 'none'})",
            "early stopping needs exactly one: what another comes to is not known before the training is over",
        )
    return trained[0]


def hopeless(
    objectives: Sequence[Objective],
    settings: StoppingSettings,
    trial: Trial,
    curves: Mapping[int, Sequence[CurvePoint]],
    trials: Sequence[Trial],
) -> Verdict | None:
    """Return why a training need not go on; `None` where it may still matter, or too little is known.

    Args:
        objectives: the study's.
        settings: when to stop.
        trial: the one that is trained.
        curves: the learning curves so far, its own too, by number.
        trials: all trials of the study.
    """
    metric = stopping_metric(objectives, settings)
    epochs, best = _best_so_far(metric, curves.get(trial.number, ()))
    if len(epochs) < settings.least_epochs:
        return None
    if epochs[-1] > _LATE * _usual_end(metric, curves, trials):
        return None
    seen = outlook(metric, settings, float(epochs[-1]), float(best[-1]), curves, trials)
    if seen is None:
        return None
    beyond = _out_of_reach(objectives, metric, seen.most, trial, trials)
    if beyond is None:
        return None
    reason = (
        f"stopped at epoch {in_short(float(epochs[-1]))} of its training: {metric.name} {in_short(float(best[-1]))}, "
        f"{'at most' if metric.sign > 0 else 'at least'} {in_short(seen.most)} expected, and {beyond}"
    )
    return Verdict(reason, metric.name, Value(seen.value, seen.sigma, Provenance.PREDICTED))


def outlook(
    metric: Objective,
    settings: StoppingSettings,
    epoch: float,
    value: float,
    curves: Mapping[int, Sequence[CurvePoint]],
    trials: Sequence[Trial],
) -> Outlook | None:
    """Return what a training that has shown `value` at best by `epoch` may come to; `None` where too little is known.

    Args:
        metric: what is followed.
        settings: how sure it is to be, and how many complete trials that takes.
        epoch: how far the training is.
        value: the best so far.
        curves: learning curves by number.
        trials: all trials of the study.
    """
    known = _histories(metric, epoch, curves, trials)
    if len(known) < settings.least_trials:
        return None
    pairs = np.array(known)
    as_error = metric.sign > 0 and not metric.log and _are_shares(np.append(pairs, value))
    scaled = _log_error(pairs) if as_error else np.array([[metric.score(item) for item in row] for row in pairs])
    gains = scaled[:, 0] - scaled[:, 1]
    start = float(_log_error(np.array(value))) if as_error else metric.score(value)
    middle, spread = float(np.median(gains)), float(gains.std(ddof=1))

    def back(score: float) -> float:
        return _from_log_error(score) if as_error else metric.unscore(score)

    expected = back(start + middle)
    slope = abs(back(start + middle + 1e-6) - expected) / 1e-6
    return Outlook(expected, slope * spread, back(start + _optimistic(gains, settings.chance)), len(gains))


def _optimistic(gains: Float[np.ndarray, " n"], chance: float) -> float:
    """Return what a further gain exceeds with a probability of `chance` at most."""
    from scipy.special import stdtrit

    n = len(gains)
    rank = math.ceil((n + 1) * (1.0 - chance))
    by_order = np.sort(gains)[min(rank, n) - 1]
    by_t = gains.mean() + stdtrit(n - 1, 1.0 - chance) * gains.std(ddof=1) * math.sqrt(1.0 + 1.0 / n)
    return float(max(by_order, by_t))


def _usual_end(metric: Objective, curves: Mapping[int, Sequence[CurvePoint]], trials: Sequence[Trial]) -> float:
    """Return the last epoch of the trainings that came to their end, in the middle of them."""
    ended = [trial.number for trial in trials if _is_reported(metric, trial)]
    last = [max(point.epoch for point in curves[number]) for number in ended if curves.get(number)]
    return float(np.median(last)) if last else math.inf


def _is_reported(metric: Objective, trial: Trial) -> bool:
    """Whether a trial's training came to its end."""
    return metric.name in trial.values and trial.values[metric.name].provenance != Provenance.PREDICTED


def _histories(
    metric: Objective, epoch: float, curves: Mapping[int, Sequence[CurvePoint]], trials: Sequence[Trial]
) -> list[tuple[float, float]]:
    """Return (final, best by `epoch`) of each trial whose training came to its end and has shown something by then."""
    found = []
    for trial in trials:
        if not _is_reported(metric, trial):
            continue
        epochs, best = _best_so_far(metric, curves.get(trial.number, ()))
        place = int(np.searchsorted(epochs, epoch, side="right")) - 1
        if place >= 0:
            found.append((trial.values[metric.name].value, float(best[place])))
    return found


def _best_so_far(
    metric: Objective, curve: Sequence[CurvePoint]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return the epochs of a curve at which the metric was told, and the best of it by then."""
    told = [(point.epoch, point.values[metric.name]) for point in curve if metric.name in point.values]
    points = np.array([pair for pair in told if metric.admits(pair[1])]).reshape(-1, 2)
    return points[:, 0], metric.sign * np.maximum.accumulate(metric.sign * points[:, 1])


def _out_of_reach(
    objectives: Sequence[Objective], metric: Objective, most: float, trial: Trial, trials: Sequence[Trial]
) -> str | None:
    """Return in words what a trial cannot reach even with `most`; `None` where it may come to the front."""
    if not metric.feasible(most) and metric.limit is not None:
        return f"the limit is {in_short(metric.limit)}"
    others = [objective for objective in objectives if objective.optimize and objective is not metric]
    if any(objective.name not in trial.values for objective in others):
        return None
    ends = {objective: _good_end(objective, trial) for objective in others}
    rivals = [
        rival
        for rival in eligible(objectives, trials)
        if all(objective.score(rival.mean(objective.name)) >= end for objective, end in ends.items())
    ]
    best = max(rivals, key=lambda rival: metric.sign * rival.mean(metric.name), default=None)
    if best is None or metric.sign * best.mean(metric.name) < metric.sign * most:
        return None
    beside = f" at no worse {' and '.join(objective.name for objective in others)}" if others else ""
    return f"trial {best.number} has {in_short(best.mean(metric.name))}{beside}"


def _good_end(objective: Objective, trial: Trial) -> float:
    """Return the score of a trial's value; of a prediction, that of the good end of its 95 % interval."""
    value = trial.values[objective.name]
    doubt = objective.score_sigma(value.value, value.sigma or 0.0) if value.provenance == Provenance.PREDICTED else 0.0
    return objective.score(value.value) + _Z95 * doubt


def _are_shares(values: Float[np.ndarray, " n"]) -> bool:
    return bool(((values >= 0.0) & (values <= 1.0)).all())


def _log_error(values: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Return minus the logarithm of the error: more is better."""
    return np.asarray(-np.log(np.maximum(1.0 - values, _LEAST_ERROR)))


def _from_log_error(score: float) -> float:
    return min(1.0, max(0.0, 1.0 - math.exp(-score)))
