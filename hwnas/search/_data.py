"""What the trials have shown, as arrays for the surrogate: one data set for each outcome.

An outcome is an objective, or a figure that is only limited. Each has a data set of its own, for a trial may have some
values and not others: its latency is measured before it is trained, and stays true where the training fails.

- Scores are on the modelled scale, a logarithm for latencies, with more being better; then standardised.
- The bad side is winsorised: a score below the far-out fence of Tukey's box plot (the lower quartile less three times
  the interquartile range) is raised to it, as one training that diverged would else set the scale for all. No score
  that keeps to its limit is raised.
- A trial that was trained or measured several times counts by its best estimate. Where trainings were repeated often
  enough, their pooled noise is the standard error of those that were not, and means of several have less: the model is
  given the noise instead of inferring it, which costs it something at a few dozen trials.
- A trial that breaks a limit is data like any other; it has only no place on the front. A trial without a value for an
  outcome is not in that outcome's data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwnas.search._noise import pooled_noise
from hwnas.search._pareto import non_dominated
from hwnas.search._trial import TrialState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

    from hwnas.search._inputs import Inputs
    from hwnas.search._objective import Objective
    from hwnas.search._trial import Trial

_FENCE = 3.0
_FLAT = 1e-9
#: Degrees of freedom from which the noise between trainings is given to the model instead of inferred by it.
_ENOUGH_DOF = 8


@dataclass(frozen=True, slots=True)
class OutcomeData:
    """The data of one outcome.

    Attributes:
        objective: what it is.
        X: `n x d` float64 in [0, 1], or little beyond, what models see of the architectures.
        Y: `n` float64, standardised scores; more is better.
        Yvar: `n` float64, the variances of `Y`, where every trial has a standard error; else `None`.
        location, scale: `score = location + scale * Y`.
        raised: how many scores were raised to the fence.
    """

    objective: Objective
    X: Float[np.ndarray, "n d"]
    Y: Float[np.ndarray, " n"]
    Yvar: Float[np.ndarray, " n"] | None
    location: float
    scale: float
    raised: int

    @property
    def is_flat(self) -> bool:
        """Whether all scores are alike, so that there is nothing to fit."""
        return not self.Y.any()

    def standardise(self, score: float) -> float:
        """Return a score on the scale of `Y`."""
        return (score - self.location) / self.scale


def outcome_data(inputs: Inputs, objective: Objective, trials: Sequence[Trial]) -> OutcomeData:
    """Return the data of one outcome: every trial that has its value; `inputs` makes the rows."""
    known = [trial for trial in trials if objective.name in trial.values]
    noise = pooled_noise(objective, trials) if objective.source == "evaluation" else None
    noise = noise if noise is not None and noise.dof >= _ENOUGH_DOF else None
    values = [trial.best_estimate(objective.name, noise) for trial in known]
    score = np.array([objective.score(value.value) for value in values], dtype=np.float64)
    score, raised = _winsorise(score, objective)
    location = float(score.mean()) if len(score) else 0.0
    scale = float(score.std(ddof=1)) if len(score) > 1 else 0.0
    flat = scale <= _FLAT * max(1.0, abs(location))
    scale = 1.0 if flat else scale
    Y = np.zeros(len(score)) if flat else (score - location) / scale
    Yvar = None
    sigmas = [value.sigma for value in values]
    if values and None not in sigmas:
        errors = [objective.score_sigma(value.value, value.sigma or 0.0) for value in values]
        Yvar = (np.array(errors, dtype=np.float64) / scale) ** 2
    X = inputs.encode([trial.architecture for trial in known]).reshape(len(known), inputs.dim)
    return OutcomeData(objective, X, Y, Yvar, location, scale, raised)


def complete_trials(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials with all their values, whether or not they keep to the limits."""
    return [trial for trial in trials if trial.state == TrialState.COMPLETE]


def pending_trials(trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials that will be evaluated anyway."""
    return [trial for trial in trials if not trial.state.finished]


def most_telling(objectives: Sequence[Objective], trials: Sequence[Trial], most: int) -> list[Trial]:
    """Return at most `most` of the trials with values: all of them, in order, or the most telling ones.

    Those are, one half, the best: the front, then the front of the rest, and so on; and the latest of the others.
    Trials without any value are kept as they are.
    """
    known = [trial for trial in trials if trial.values]
    if len(known) <= most:
        return list(trials)
    complete = [trial for trial in known if trial.state == TrialState.COMPLETE]
    optimised = [objective for objective in objectives if objective.optimize]
    Y = np.array([[o.score(trial.mean(o.name)) for o in optimised] for trial in complete])
    left = np.arange(len(complete))
    kept: list[Trial] = []
    while len(left) and len(kept) < most // 2:
        first = non_dominated(Y[left])
        kept += [complete[place] for place in left[first]][: most // 2 - len(kept)]
        left = left[~first]
    taken = {trial.number for trial in kept}
    latest = [trial for trial in reversed(known) if trial.number not in taken]
    return [*kept, *latest[: most - len(kept)], *(trial for trial in trials if not trial.values)]


def _winsorise(score: Float[np.ndarray, " n"], objective: Objective) -> tuple[Float[np.ndarray, " n"], int]:
    if len(score) < 5:  # quartiles of fewer say nothing
        return score, 0
    low, high = np.quantile(score, [0.25, 0.75])
    fence = low - _FENCE * (high - low)
    if objective.limit is not None:
        fence = min(fence, objective.score(objective.limit))
    raised = score < fence
    return np.where(raised, fence, score), int(raised.sum())
