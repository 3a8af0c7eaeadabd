"""How much a figure varies between trainings of one architecture, and the best estimate that several of them give.

The figures of one training are a draw: other initial weights and another order of the data would have given others. A
trial that was trained again (`Trial.replicas`) shows by how much. Few repetitions say little by themselves, so they are
pooled over all trials that have any, as in a one-way analysis of variance: with `k_i` trainings of trial `i`

    sigma² = sum_i sum_j (y_ij - mean_i)² / dof,    dof = sum_i (k_i - 1)

on the modelled scale, a logarithm for an objective with `log`. The variance is unbiased; its root is a little too small
where `dof` is small, by 1 / (4 dof) of itself, and intervals have Student's t instead of a correction. It takes the
noise to be the same for all architectures; one whose trainings disagree far more than those of all others (some of them
diverge, say) is left out of the pool and has a noise of its own.

The first training of a trial that was chosen for its good value is luckier than those that follow. That makes sigma
somewhat too large, and leaves a share of the luck in the mean; the two make up for each other. Of 64 networks the eight
best trained once to three times again: the 95 % interval of the mean holds the truth in 95 to 97 of 100 cases, whatever
the networks' spread (0 to 3 times the noise). Sigma from the further trainings alone gives 89 to 95.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwnas.search._trial import Provenance, Trial, Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwnas.search._objective import Objective

#: A trial is erratic where spread like its own comes by chance in one of so many pools.
_ERRATIC_P = 1e-4
#: Fewer degrees of freedom of all others say nothing of what is usual.
_ERRATIC_DOF = 4
#: Spread below this share of a figure is that of rounding.
_NOTHING = 1e-12


@dataclass(frozen=True, slots=True)
class Noise:
    """The spread of one figure between trainings of the same architecture.

    Attributes:
        sigma: the standard deviation of a single training, on the modelled scale: in the figure's unit, or as a share
            of it where `relative`.
        dof: degrees of freedom: trainings beyond the first, summed over the trials that were pooled.
        relative: whether the figure is modelled as a logarithm.
        erratic: by number, the standard deviation of a trial that was left out of the pool for its own, far larger one,
            with its degrees of freedom.
    """

    sigma: float
    dof: int
    relative: bool = False
    erratic: Mapping[int, tuple[float, int]] | None = None

    def at(self, value: float, number: int | None = None) -> float:
        """Return the standard deviation of one training in the figure's unit, where the figure is `value`.

        Args:
            value: the figure.
            number: of the trial, for one that is erratic has its own.
        """
        sigma = self._own(number)[0]
        return sigma * abs(value) if self.relative else sigma

    def dof_of(self, number: int) -> int:
        """Return the degrees of freedom of what `at` says of a trial."""
        return self._own(number)[1]

    def _own(self, number: int | None) -> tuple[float, int]:
        return (self.erratic or {}).get(-1 if number is None else number, (self.sigma, self.dof))


def pooled_noise(objective: Objective, trials: Sequence[Trial]) -> Noise | None:
    """Return how much an objective varies between trainings; `None` where no two of one trial are known.

    `None` as well where all trainings of each trial agree to the last digit: then the seed changes nothing, and how
    much the figure varies is not known.
    """
    groups = {trial.number: _scores(objective, trial) for trial in trials if objective.name in trial.values}
    squares = {number: float(((y - y.mean()) ** 2).sum()) for number, y in groups.items() if len(y) > 1}
    size = max((float(np.abs(groups[number]).max()) for number in squares), default=0.0)
    dof = {number: len(groups[number]) - 1 for number in squares}
    if not squares or math.sqrt(max(squares.values())) <= _NOTHING * size:
        return None
    erratic = _erratic(squares, dof)
    kept = [number for number in squares if number not in erratic]
    total = sum(dof[number] for number in kept)
    return Noise(
        math.sqrt(sum(squares[number] for number in kept) / total),
        total,
        bool(objective.log),
        {number: (math.sqrt(squares[number] / dof[number]), dof[number]) for number in sorted(erratic)},
    )


def _scores(objective: Objective, trial: Trial) -> np.ndarray:
    name = objective.name
    values = [trial.values[name], *(replica[name] for replica in trial.replicas if name in replica)]
    return np.array([objective.score(value.value) for value in values], dtype=np.float64)


def _erratic(squares: Mapping[int, float], dof: Mapping[int, int]) -> set[int]:
    """Return the trials whose variance is far above that of all others together, by an F test; the worst one first."""
    from scipy.stats import f

    left, found = set(squares), set()
    while len(left) > 1:
        worst = max(left, key=lambda number: (squares[number] / dof[number], number))
        others = left - {worst}
        beside = sum(dof[number] for number in others)
        usual = sum(squares[number] for number in others) / beside
        if beside < _ERRATIC_DOF or usual <= 0.0:
            break
        ratio = squares[worst] / dof[worst] / usual
        if float(f.sf(ratio, dof[worst], beside)) * len(left) >= _ERRATIC_P:
            break
        found.add(worst)
        left = others
    return found


def best_estimate(trial: Trial, name: str, noise: Noise | None = None) -> Value:
    """Return the best estimate of a figure from all that is known of it, with its standard error.

    - Trained several times: the mean over all trainings. Its standard error is the noise of one training over the root
      of their number; without `noise`, that of its own trainings.
    - Trained once: its value, with `noise` for its standard error, where it has no larger one.
    - Measured twice on its device: the mean weighted by inverse variances; where the two disagree by more than their
      standard errors allow, these are made larger to fit (Birge's ratio).

    A prediction stays as it is.

    Args:
        trial: of which the figure is known.
        name: the figure's.
        noise: between trainings, for a figure that a training reports.
    """
    first = trial.values[name]
    values = [first, *(replica[name] for replica in trial.replicas if name in replica)]
    if len(values) == 1:
        if name in trial.again:
            return _combined(first, trial.again[name])
        if noise is None or first.provenance != Provenance.REPORTED:
            return first
        return Value(first.value, max(first.sigma or 0.0, noise.at(first.value, trial.number)), first.provenance)
    numbers = np.array([value.value for value in values])
    mean = float(numbers.mean())
    spread = float(numbers.std(ddof=1)) if noise is None else noise.at(mean, trial.number)
    told = [value.sigma for value in values if value.sigma is not None]
    single = max(spread, math.sqrt(sum(sigma**2 for sigma in told) / len(told)) if told else 0.0)
    return Value(mean, single / math.sqrt(len(values)) if single > 0.0 else None, Provenance.AVERAGED)


def _combined(first: Value, second: Value) -> Value:
    gap = abs(first.value - second.value)
    if not first.sigma or not second.sigma:
        return Value((first.value + second.value) / 2, gap / 2 or None, Provenance.AVERAGED)
    weights = np.array([first.sigma, second.sigma]) ** -2.0
    mean = float(weights @ [first.value, second.value] / weights.sum())
    birge = max(1.0, gap / math.hypot(first.sigma, second.sigma))
    return Value(mean, birge / math.sqrt(float(weights.sum())), Provenance.AVERAGED)
