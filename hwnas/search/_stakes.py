"""Which predicted figures the front hangs on: those whose error could change it noticeably."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hwnas.search import _front
from hwnas.search._foresight import is_predicted
from hwnas.search._pareto import hypervolume, non_dominated
from hwnas.search._trial import TrialState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

    from hwnas.search._objective import Objective
    from hwnas.search._trial import Trial

_Z95 = 1.959964


def stakes(objectives: Sequence[Objective], trials: Sequence[Trial]) -> dict[int, float]:
    """Return by number, for each complete trial with a predicted figure, how much of the front hangs on it.

    That is the hypervolume of the front were the trial at the good end of its 95 % interval, less that at the bad end,
    as a share of the hypervolume as it is. A trial that is dominated at both ends has nothing at stake, and neither has
    one that breaks a limit at both. The largest comes first; those of 0 are left out.
    """
    optimised = [objective for objective in objectives if objective.optimize]
    reference = _front.reference_values(objectives, trials)
    guessed = [
        trial
        for trial in trials
        if trial.state == TrialState.COMPLETE and any(is_predicted(trial, objective) for objective in objectives)
    ]
    if reference is None or not guessed:
        return {}
    point = np.array([objective.score(reference[objective.name]) for objective in optimised])
    good = _front.eligible(objectives, trials)
    Y = _front.scores(objectives, good)
    numbers = np.array([trial.number for trial in good])
    front = non_dominated(Y)
    whole = hypervolume(Y[front], point)
    found = {}
    for trial in guessed:
        others = Y[front]
        if trial.number in numbers[front]:  # its place may be taken by what it dominates
            others = Y[numbers != trial.number]
            others = others[non_dominated(others)]
        best, worst = (_volume(others, _end(objectives, trial, side), point) for side in (1.0, -1.0))
        if best > worst:
            found[trial.number] = (best - worst) / whole if whole > 0 else math.inf
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _volume(
    others: Float[np.ndarray, "n m"], row: Float[np.ndarray, " m"] | None, point: Float[np.ndarray, " m"]
) -> float:
    rows = others if row is None else np.vstack([others, row])
    return hypervolume(rows[non_dominated(rows)], point)


def _end(objectives: Sequence[Objective], trial: Trial, side: float) -> Float[np.ndarray, " m"] | None:
    """Return a trial's scores with its predictions at one end of their intervals; `None` where it breaks a limit."""
    scores = []
    for objective in objectives:
        value = trial.values[objective.name]
        score = objective.score(value.value)
        if is_predicted(trial, objective):
            score += side * _Z95 * objective.score_sigma(value.value, value.sigma or 0.0)
        if not objective.feasible(objective.unscore(score)):
            return None
        if objective.optimize:
            scores.append(score)
    return np.array(scores)
