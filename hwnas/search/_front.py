"""What a study has found so far: its front, the best trial within limits, and hypervolumes.

Hypervolumes are volumes on the modelled scale, a logarithm for latencies: halving a latency counts the same everywhere.
Only complete trials that keep to every limit count. A trial that was trained several times counts by the means of its
trainings (`Trial.mean`), so that one lucky seed does not hold a place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import StudyError
from hwnas.search._objective import BASELINE
from hwnas.search._pareto import hypervolume, infer_reference, non_dominated
from hwnas.search._trial import Trial, TrialState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jaxtyping import Float

    from hwnas.search._objective import Objective


def eligible(objectives: Sequence[Objective], trials: Sequence[Trial]) -> list[Trial]:
    """Return the complete trials that keep to every limit, in the order in which they were completed."""
    return [
        trial
        for trial in completed(trials)
        if all(objective.feasible(trial.mean(objective.name)) for objective in objectives)
    ]


def completed(trials: Sequence[Trial]) -> list[Trial]:
    """Return the complete trials in the order in which they were completed."""
    found = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    return sorted(found, key=lambda trial: (trial.ended_at or trial.created_at, trial.number))


def scores(objectives: Sequence[Objective], trials: Sequence[Trial]) -> Float[np.ndarray, "n m"]:
    """Return the trials' scores in the objectives that are optimised: the modelled scale, more is better."""
    optimised = [objective for objective in objectives if objective.optimize]
    rows = [[objective.score(trial.mean(objective.name)) for objective in optimised] for trial in trials]
    return np.asarray(rows, dtype=np.float64).reshape(len(trials), len(optimised))


def pareto_front(objectives: Sequence[Objective], trials: Sequence[Trial]) -> list[Trial]:
    """Return the eligible trials that no other one dominates, best in the first objective first."""
    found = eligible(objectives, trials)
    Y = scores(objectives, found)
    front = [trial for trial, keep in zip(found, non_dominated(Y), strict=True) if keep]
    first = next(objective for objective in objectives if objective.optimize)
    return sorted(front, key=lambda trial: (-first.score(trial.mean(first.name)), trial.number))


def best_under(objectives: Sequence[Objective], trials: Sequence[Trial], limits: Mapping[str, float]) -> Trial | None:
    """Return the eligible trial that is best in the first objective not limited here; `None` where none keeps to them.

    Args:
        objectives: the study's.
        trials: the study's.
        limits: by objective name the worst value that will do.

    Raises:
        StudyError: a name is no objective, or none is left to be best in.
    """
    by_name = {objective.name: objective for objective in objectives}
    unknown = [name for name in limits if name not in by_name]
    if unknown:
        raise StudyError(f"{unknown[0]!r} is no objective of this study", f"its objectives are {', '.join(by_name)}")
    free = [objective for objective in objectives if objective.optimize and objective.name not in limits]
    if not free:
        raise StudyError("every objective is limited, and none is left to be best in", "leave one out")
    within = [
        trial
        for trial in eligible(objectives, trials)
        if all(by_name[name].sign * trial.mean(name) >= by_name[name].sign * limit for name, limit in limits.items())
    ]
    return max(
        within,
        key=lambda trial: tuple(objective.score(trial.mean(objective.name)) for objective in free),
        default=None,
    )


def baseline_trial(trials: Sequence[Trial]) -> Trial | None:
    """Return the trial of the configuration that the study is compared with; `None` where it has none yet."""
    return next((trial for trial in trials if trial.origin == BASELINE), None)


def given_references(objectives: Sequence[Objective], trials: Sequence[Trial]) -> dict[str, float]:
    """Return the references that are not to be inferred, by objective name.

    One that is the baseline's is the figure that the baseline has; until it has one, there is none.
    """
    baseline = baseline_trial(trials)
    given = {}
    for objective in objectives:
        if isinstance(objective.reference, str):
            if baseline is not None and objective.name in baseline.values:
                given[objective.name] = baseline.mean(objective.name)
        elif objective.reference is not None:
            given[objective.name] = objective.reference
    return given


def reference_values(objectives: Sequence[Objective], trials: Sequence[Trial]) -> dict[str, float] | None:
    """Return the reference point by objective name, in the objectives' own units; `None` while nothing tells it.

    An objective's `reference` is taken where it has one. The others' are inferred from the eligible trials, see
    `infer_reference`, so they move as the search goes on.
    """
    optimised = [objective for objective in objectives if objective.optimize]
    given = given_references(optimised, trials)
    if len(given) == len(optimised):
        return given
    found = eligible(objectives, trials)
    if not found:
        return None
    point = infer_reference(scores(objectives, found))
    return {
        objective.name: given[objective.name] if objective.name in given else objective.unscore(float(score))
        for objective, score in zip(optimised, point, strict=True)
    }


def hypervolumes_now(
    objectives: Sequence[Objective], trials: Sequence[Trial], latest: int
) -> tuple[float, float] | None:
    """Return the hypervolume, and what it is without the `latest` complete trials, above the same reference point.

    `None` before the first trial is complete. They are two entries of the history, without the cost of all others.
    """
    complete = completed(trials)
    if not complete:
        return None
    reference = reference_values(objectives, trials)
    if reference is None:
        return 0.0, 0.0
    point = _scored(objectives, reference)
    now, before = (
        scores(objectives, eligible(objectives, some))
        for some in (complete, complete[: max(0, len(complete) - latest)])
    )
    return hypervolume(now[non_dominated(now)], point), hypervolume(before[non_dominated(before)], point)


def _scored(objectives: Sequence[Objective], point: Mapping[str, float]) -> Float[np.ndarray, " m"]:
    """Return the scores of a point in the objectives that are optimised."""
    return np.array([objective.score(point[objective.name]) for objective in objectives if objective.optimize])


def hypervolume_history(
    objectives: Sequence[Objective], trials: Sequence[Trial], reference: Mapping[str, float] | None = None
) -> Float[np.ndarray, " k"]:
    """Return the hypervolume after each of the `k` complete trials, in the order of completion.

    A trial that breaks a limit adds nothing, and has its place in the history all the same.

    Args:
        objectives: the study's.
        trials: the study's.
        reference: by objective name; `reference_values` by default, so that the whole history has one and the same.
    """
    complete = completed(trials)
    reference = reference_values(objectives, trials) if reference is None else reference
    if reference is None:
        return np.zeros(len(complete))
    point = _scored(objectives, reference)
    good = {trial.number for trial in eligible(objectives, trials)}
    front = np.empty((0, len(point)))
    history, volume = [], 0.0
    for trial in complete:
        if trial.number in good:
            score = scores(objectives, [trial])
            if not (front >= score).all(axis=1).any():  # else it adds nothing
                front = np.vstack([front, score])
                front = front[non_dominated(front)]
                volume = hypervolume(front, point)
        history.append(volume)
    return np.asarray(history, dtype=np.float64)
