"""What a batch is to improve: the fronts, with their reference points, and the good trials to look beside.

Where several devices are targets, each has a front. What a candidate improves one by counts as a share of that front's
hypervolume now, so that no device counts more for the unit or the spread of its figures.

A reference point that is given may lie where nothing is yet. Then no candidate seems to improve anything; and were the
whole front to be improved instead, batch after batch would go to its ends, which the point rules out. So it is eased:
moved towards the worse in all objectives by the same share of what they spread, as little as lets one trial be better.
What counts is where the models think that the trials lie, for the luckiest of noisy observations is no sign.
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

    from jaxtyping import Float

    from hwnas.search._data import OutcomeData
    from hwnas.search._models import Models
    from hwnas.search._objective import Objective
    from hwnas.search._trial import Trial
    from hwnas.space import Architecture


#: What the reference point leaves to the best trial, as a share of what the objectives spread.
_ROOM = 0.1


@dataclass(frozen=True, slots=True)
class Aim:
    """One front that a batch is to improve.

    Attributes:
        objectives: its own.
        reference: its reference point, in scores, by the name of each optimised objective.
        volume: the hypervolume of the trials so far above that point, in scores; positive.
        eased: whether that point is worse than the one that was given, which nothing reaches yet.
    """

    objectives: tuple[Objective, ...]
    reference: Mapping[str, float]
    volume: float
    eased: bool = False

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


def aims(
    objectives: Sequence[Objective], trials: Sequence[Trial], models: Models | None = None, *, joint: bool = False
) -> dict[str, Aim]:
    """Return by device what is to be improved; with `joint` the one front of all objectives, by no name.

    Args:
        objectives: the study's.
        trials: the study's; at least one complete.
        models: of the objectives, which tell where trials lie behind their noise; as they were observed by default.
        joint: see above.
    """
    own = {NO_DEVICE: tuple(objectives)} if joint else targets(objectives)
    return {device: _aim(part, trials, models) for device, part in own.items()}


def good_architectures(found: Mapping[str, Aim], trials: Sequence[Trial]) -> list[Architecture]:
    """Return the members of all fronts, one of each front after the other, best in the first objective first.

    Where no trial keeps to a front's limits, those that break them least stand in its place.
    """
    best = [_best(aim.objectives, trials) for aim in found.values()]
    mixed = [trial for trials_ in itertools.zip_longest(*best) for trial in trials_ if trial is not None]
    return list({trial.id: trial.architecture for trial in mixed}.values())


def _aim(objectives: Sequence[Objective], trials: Sequence[Trial], models: Models | None) -> Aim:
    optimised = [objective for objective in objectives if objective.optimize]
    found = eligible(objectives, trials)
    Y = scores(objectives, found or complete_trials(trials))
    point, room = infer_reference(Y), 0.0
    references = given_references(optimised, trials)
    given = np.array([o.score(references[o.name]) if o.name in references else math.nan for o in optimised])
    if found and not np.isnan(given).all():
        point, room = _eased(given, point, Y, optimised, found, models)
    reference = {objective.name: float(score) for objective, score in zip(optimised, point, strict=True)}
    volume = max(hypervolume(Y[non_dominated(Y)], point), room)
    return Aim(tuple(objectives), reference, volume, eased=bool((point < given).any()))


def _eased(
    given: Float[np.ndarray, " m"],
    inferred: Float[np.ndarray, " m"],
    Y: Float[np.ndarray, "n m"],
    optimised: Sequence[Objective],
    found: Sequence[Trial],
    models: Models | None,
) -> tuple[Float[np.ndarray, " m"], float]:
    """Return the reference point, eased as far as it must be, and the volume of the room that it leaves.

    Args:
        given: scores; NaN where none is given.
        inferred: those that stand in for them.
        Y: as the trials were observed.
        optimised: the objectives of all these.
        found: the trials, within the limits.
        models: see `aims`.
    """
    spread = Y.std(axis=0)
    if models is not None:
        expected = models.expected([trial.architecture for trial in found])
        Y = np.stack([expected[objective.name] for objective in optimised], axis=1)
        spread = np.array([models.spread(objective.name) for objective in optimised])
    spread = np.where(spread > 0.0, spread, 1.0)
    lack = np.nanmax((given - Y) / spread, axis=1).min()
    eased = given - max(0.0, float(lack) + _ROOM) * spread
    return np.where(np.isnan(given), inferred, eased), float(np.prod(_ROOM * spread))


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
