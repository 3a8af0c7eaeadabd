"""What a batch is to improve: the fronts, with their reference points, and the good trials to look beside.

Where several devices are targets, each has a front. What a candidate improves one by counts as a share of that front's
hypervolume now, so that no device counts more for the unit or the spread of its figures.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwnas.search._data import complete_trials
from hwnas.search._front import eligible, given_references, pareto_front, scores
from hwnas.search._improvement import Front
from hwnas.search._pareto import hypervolume, infer_reference, non_dominated
from hwnas.search._targets import NO_DEVICE, targets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwnas.search._data import OutcomeData
    from hwnas.search._objective import Objective
    from hwnas.search._trial import Trial
    from hwnas.space import Architecture


@dataclass(frozen=True, slots=True)
class Aim:
    """One front that a batch is to improve.

    Attributes:
        objectives: its own.
        reference: its reference point, in scores, by the name of each optimised objective.
        volume: the hypervolume of the trials so far above that point, in scores; positive.
    """

    objectives: tuple[Objective, ...]
    reference: Mapping[str, float]
    volume: float

    def front(self, data: Sequence[OutcomeData], *, alone: bool) -> Front:
        """Return the front as the acquisition takes it.

        Args:
            data: of all outcomes of the study, in order.
            alone: whether there is no other front; its weight is 1 then.
        """
        own = {objective.name for objective in self.objectives}
        scales = {one.objective.name: one.scale for one in data if one.objective.name in self.reference}
        return Front(
            tuple(
                one.standardise(self.reference[one.objective.name]) if one.objective.name in scales else None
                for one in data
            ),
            [place for place, one in enumerate(data) if one.objective.name in own],
            1.0 if alone else math.prod(scales.values()) / self.volume,
        )


def aims(objectives: Sequence[Objective], trials: Sequence[Trial], *, joint: bool = False) -> dict[str, Aim]:
    """Return by device what is to be improved; with `joint` the one front of all objectives, by no name.

    Args:
        objectives: the study's.
        trials: the study's; at least one complete.
        joint: see above.
    """
    own = {NO_DEVICE: tuple(objectives)} if joint else targets(objectives)
    return {device: _aim(part, trials) for device, part in own.items()}


def good_architectures(found: Mapping[str, Aim], trials: Sequence[Trial]) -> list[Architecture]:
    """Return the members of all fronts, one of each front after the other, best in the first objective first.

    Where no trial keeps to a front's limits, those that break them least stand in its place.
    """
    best = [_best(aim.objectives, trials) for aim in found.values()]
    mixed = [trial for trials_ in itertools.zip_longest(*best) for trial in trials_ if trial is not None]
    return list({trial.id: trial.architecture for trial in mixed}.values())


def _aim(objectives: Sequence[Objective], trials: Sequence[Trial]) -> Aim:
    optimised = [objective for objective in objectives if objective.optimize]
    found = eligible(objectives, trials)
    Y = scores(objectives, found or complete_trials(trials))
    inferred = infer_reference(Y)
    references = given_references(optimised, trials)
    given = np.array([o.score(references[o.name]) if o.name in references else math.nan for o in optimised])
    point = np.where(np.isnan(given), inferred, given)
    if not found or not (point < Y).all(axis=1).any():
        point = inferred
    reference = {objective.name: float(score) for objective, score in zip(optimised, point, strict=True)}
    return Aim(tuple(objectives), reference, hypervolume(Y[non_dominated(Y)], point))


def _best(objectives: Sequence[Objective], trials: Sequence[Trial]) -> list[Trial]:
    """Return the front; where no trial keeps to the limits, those that break them least."""
    front = pareto_front(objectives, trials)
    if front:
        return front

    def excess(trial: Trial) -> float:
        return sum(
            max(0.0, o.score(o.limit) - o.score(trial.values[o.name].value)) for o in objectives if o.limit is not None
        )

    return sorted(complete_trials(trials), key=excess)
