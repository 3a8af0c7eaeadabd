"""Whether two trials really differ, or only by chance.

For reports: `compare_trials(study, a, b, objective)`; where trials and noises are at hand already, as in a summary,
`difference(objective, a, b, noise)`, which reads nothing from the store. Both compare the trials' best estimates
(`Trial.best_estimate`) on the modelled scale, so two latencies by their ratio:

- What trainings report is compared by Student's t. With `Study.noise` each mean of `k` trainings has the variance
  `sigma² / k`, and the difference the degrees of freedom of the pool; an erratic trial has a variance of its own, and
  Welch's degrees of freedom.
- Measurements and predictions have standard errors, and the interval is the normal one. Two measurements of a trial
  count together, by inverse variances.
- Where the standard error of either is not known, nothing can be said: `significant` is `None`.

An interval holds the true difference of one pair in 95 of 100 cases. Of many pairs that are looked at, some differ
significantly by chance alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwnas.errors import StudyError
from hwnas.search._noise import best_estimate, pooled_noise
from hwnas.search._told import number_of
from hwnas.search._trial import Provenance

if TYPE_CHECKING:
    from hwnas.search._noise import Noise
    from hwnas.search._objective import Objective
    from hwnas.search._study import Study
    from hwnas.search._trial import Trial

_LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much a figure of one trial differs from that of another, with its 95 % interval.

    Attributes:
        value: the first less the second, in the figure's unit; where `relative`, the first over the second.
        low, high: the interval's ends; without bounds where nothing is known of the noise.
        significant: whether the interval leaves out no difference (0, or a ratio of 1); `None` where it is not known.
        relative: whether it is a ratio.
    """

    value: float
    low: float
    high: float
    significant: bool | None
    relative: bool


def compare_trials(study: Study, a: Trial | int, b: Trial | int, objective: str) -> Difference:
    """Return by how much trial `a` differs from trial `b` in an objective; see `Difference`.

    Args:
        study: theirs.
        a: a trial, or its number; as it is in the store now.
        b: another.
        objective: its name.

    Raises:
        StudyError: there is no such trial or objective, or a trial has no value of it.
    """
    by_name = {own.name: own for own in study.objectives}
    if objective not in by_name:
        raise StudyError(f"{objective!r} is no objective of this study", f"its objectives are {', '.join(by_name)}")
    trials = {trial.number: trial for trial in study.trials()}
    pair = []
    for number in (number_of(a), number_of(b)):
        if number not in trials:
            raise StudyError(f"the study has no trial {number}", "trials are numbered from 0")
        if objective not in trials[number].values:
            raise StudyError(f"trial {number} has no {objective} yet", "its state says how far it is")
        pair.append(trials[number])
    noise = pooled_noise(by_name[objective], list(trials.values()))
    return difference(by_name[objective], pair[0], pair[1], noise)


def difference(objective: Objective, a: Trial, b: Trial, noise: Noise | None = None) -> Difference:
    """Return by how much trial `a` differs from trial `b` in an objective that both have a value of.

    Args:
        objective: what is compared.
        a: a trial.
        b: another.
        noise: between trainings, as `Study.noise` has it for this objective.
    """
    name, relative = objective.name, bool(objective.log)
    first, second = best_estimate(a, name, noise), best_estimate(b, name, noise)
    gap = objective.sign * (objective.score(first.value) - objective.score(second.value))
    sigmas = [
        None if value.sigma is None else objective.score_sigma(abs(value.value), value.sigma)
        for value in (first, second)
    ]

    def back(score: float) -> float:
        return math.exp(min(score, 700.0)) if relative else score

    if sigmas[0] is None or sigmas[1] is None:
        return Difference(back(gap), 0.0 if relative else -math.inf, math.inf, None, relative)
    error = math.hypot(sigmas[0], sigmas[1])
    reach = t_quantile(_freedom(a, b, (sigmas[0], sigmas[1]), name, noise)) * error
    return Difference(back(gap), back(gap - reach), back(gap + reach), abs(gap) > reach, relative)


def t_quantile(dof: float) -> float:
    """Return how many standard errors a 95 % interval reaches with `dof` degrees of freedom: 1.96 for many."""
    from scipy.stats import t

    return float(t.ppf(0.5 + _LEVEL / 2, dof)) if math.isfinite(dof) else 1.959964


def freedom(trial: Trial, name: str, noise: Noise | None) -> float:
    """Return the degrees of freedom of the standard error of a trial's best estimate; infinite where it was told."""
    if trial.values[name].provenance != Provenance.REPORTED:
        return math.inf
    if noise is not None:
        return noise.dof_of(trial.number)
    count = trial.trainings(name)
    return count - 1 if count > 1 else math.inf


def _freedom(a: Trial, b: Trial, sigmas: tuple[float, float], name: str, noise: Noise | None) -> float:
    """Return the degrees of freedom of a difference."""
    each = [freedom(trial, name, noise) for trial in (a, b)]
    apart = noise is None or any(trial.number in (noise.erratic or {}) for trial in (a, b))
    if not apart and math.isfinite(each[0]) and math.isfinite(each[1]):
        return min(each)  # one pool, one variance
    parts = [sigma**2 for sigma in sigmas]
    spread = sum(part**2 / dof for part, dof in zip(parts, each, strict=True))
    return sum(parts) ** 2 / spread if spread > 0.0 else math.inf
