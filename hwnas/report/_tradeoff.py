"""What devices make of each other's networks: how alike they order them, and what one's front costs there."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnas.report._summary import StudySummary
    from hwnas.search import Objective, Trial


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """One figure on two devices.

    Attributes:
        across, up: the figure on the one and on the other.
        trials: how many trials have both.
        rank_correlation: Spearman's, over those; `None` for fewer than three, or where one is the same for all.
        price: by the place of the front's device, 0 for `across` and 1 for `up`: what its members cost on the other
            device, over what that one's own front offers at no loss in the first objective. The middle one and the
            worst; `None` where there is nothing to compare with.
    """

    across: Objective
    up: Objective
    trials: int
    rank_correlation: float | None
    price: tuple[tuple[float, float] | None, tuple[float, float] | None]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "objectives": [self.across.name, self.up.name],
            "trials": self.trials,
            "rank_correlation": self.rank_correlation,
            "front_of_first_on_second": _named(self.price[0]),
            "front_of_second_on_first": _named(self.price[1]),
        }


def tradeoffs(summary: StudySummary) -> list[Tradeoff]:
    """Return one for each figure that two devices have both an optimised objective of."""
    own = summary.by_device()
    pairs = [
        (first, second)
        for first, second in itertools.combinations([o for o in summary.optimised if o.device in own], 2)
        if first.metric == second.metric and first.device != second.device
    ]
    return [_tradeoff(own[a.device or ""], own[b.device or ""], a, b) for a, b in pairs]


def _tradeoff(one: StudySummary, other: StudySummary, across: Objective, up: Objective) -> Tradeoff:
    both = [[trial.mean(o.name) for o in (across, up)] for trial in one.complete]
    return Tradeoff(across, up, len(both), _spearman(both), (_price(one, other, up), _price(other, one, across)))


def _spearman(rows: list[list[float]]) -> float | None:
    from scipy.stats import spearmanr

    values = np.asarray(rows, dtype=np.float64).reshape(len(rows), 2)
    if len(values) < 3 or (np.ptp(values, axis=0) == 0.0).any():
        return None
    return float(spearmanr(values[:, 0], values[:, 1]).statistic)


def _price(of: StudySummary, on: StudySummary, objective: Objective) -> tuple[float, float] | None:
    """Return what the members of one device's front cost on the other: the middle and the worst ratio."""
    first = of.optimised[0]
    if first.name not in {o.name for o in on.optimised} or objective.direction != "minimize":
        return None

    def no_worse(member: Trial) -> list[float]:
        least = first.score(member.mean(first.name))
        return [t.mean(objective.name) for t in on.front_trials if first.score(t.mean(first.name)) >= least]

    ratios = [
        member.mean(objective.name) / min(offers)
        for member in of.front_trials
        if (offers := no_worse(member)) and min(offers) > 0
    ]
    return (float(np.median(ratios)), max(ratios)) if ratios else None


def _named(price: Sequence[float] | None) -> dict[str, float] | None:
    return None if price is None else {"median": price[0], "worst": price[1]}
