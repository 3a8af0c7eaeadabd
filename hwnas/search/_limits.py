"""Where to look while next to nothing is complete, since what was measured broke the limits and was not trained.

There is nothing to improve on then, but the limited figures are known, so architectures are drawn by how probably they
keep to all limits.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from hwnas.search._data import outcome_data
from hwnas.search._strategy import Proposals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

    from hwnas.search._config import SaasSettings
    from hwnas.search._data import OutcomeData
    from hwnas.search._objective import Objective
    from hwnas.search._trial import Trial
    from hwnas.space import SearchSpace

#: Fewer values of a figure say nothing of where its limit runs.
_LEAST_VALUES = 4
#: The trials nearest to the limits, whose neighbours are looked at too.
_NEAREST = 8


def towards_limits(
    space: SearchSpace,
    objectives: Sequence[Objective],
    trials: Sequence[Trial],
    n: int,
    rng: np.random.Generator,
    settings: SaasSettings,
) -> Proposals | None:
    """Return new architectures, drawn by the probability of keeping to the limits; `None` where little is known of it.

    A Gaussian process is fitted to each limited figure. Of candidates from the whole space, and of the neighbours of
    the trials that break the limits least, `n` are drawn without replacement, each in proportion to its probability.

    Args:
        space: where they come from.
        objectives: the study's.
        trials: all trials of the study.
        n: how many.
        rng: the only source of chance.
        settings: how many candidates there are.
    """
    limited = [objective for objective in objectives if objective.limit is not None]
    data = [outcome_data(space, objective, trials) for objective in limited]
    data = [one for one in data if len(one.Y) >= _LEAST_VALUES and not one.is_flat]
    known = [trial for trial in trials if any(objective.name in trial.values for objective in limited)]
    if not data or all(_excess(limited, trial) == 0.0 for trial in known):
        return None
    from hwnas.search._candidates import first_candidates
    from hwnas.search._surrogate import one_thread

    began = time.perf_counter()
    nearest = sorted(known, key=lambda trial: (_excess(limited, trial), trial.number))[:_NEAREST]
    seen = {trial.id for trial in trials}
    good = [trial.architecture for trial in nearest]
    candidates, _ = first_candidates(space, good, settings.candidates, rng, seen)
    points = space.encode(candidates)
    fitted = time.perf_counter()
    with one_thread():
        logp = np.sum([_log_probability(one, points, settings, rng) for one in data], axis=0)
    fit_s = time.perf_counter() - fitted
    order = np.argsort(-(logp + rng.gumbel(size=len(logp))), kind="stable")  # draws in proportion to the probabilities
    chosen = tuple(candidates[place] for place in order[:n])
    return Proposals(chosen, "towards-limits", fit_s, time.perf_counter() - began - fit_s)


def _excess(limited: Sequence[Objective], trial: Trial) -> float:
    """Return by how much a trial breaks the limits, in scores, as far as its values are known."""
    return sum(
        max(0.0, objective.score(objective.limit) - objective.score(trial.values[objective.name].value))
        for objective in limited
        if objective.limit is not None and objective.name in trial.values
    )


def _log_probability(
    data: OutcomeData, points: Float[np.ndarray, "b d"], settings: SaasSettings, rng: np.random.Generator
) -> Float[np.ndarray, " b"]:
    """Return the log probability of keeping to the figure's limit at each point."""
    from scipy.special import log_ndtr, logsumexp

    from hwnas.search._surrogate import fit_surrogate

    limit = data.objective.limit
    assert limit is not None  # noqa: S101 -- tells the type checker what the caller chose
    fast = settings.model_copy(update={"fit": "map"})
    mean, variance = fit_surrogate(data, fast, int(rng.integers(2**31))).predict(points)
    margin = (mean - data.standardise(data.objective.score(limit))) / np.sqrt(variance)
    return np.asarray(logsumexp(log_ndtr(margin), axis=0) - np.log(len(margin)))
