"""Figures relative to the baseline's, which is at (1, 1), and which configurations beat it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hwnas.search import Difference, Objective, Trial


@dataclass(frozen=True, slots=True)
class Gain:
    """What can be had of one objective without giving up anything of the first.

    Attributes:
        objective: the name of the objective that is better.
        kept: the name of the first objective, in which the trial is at least as good as the baseline.
        trial: the trial that is best then.
        ratio: its figure over the baseline's.
    """

    objective: str
    kept: str
    trial: int
    ratio: float


@dataclass(frozen=True, slots=True)
class Beaten:
    """Which configurations beat the baseline.

    One does where it is at least as good in every optimised objective and better in one, and keeps to every limit.

    Attributes:
        baseline: the baseline's trial.
        better: the trials that beat it.
        surely: those among them that are significantly better in some objective: the 95 % interval of the difference
            leaves out none.
        compared: how many trials were compared with it.
        gains: for each objective but the first, the best figure at no loss in the first; none where nothing is as good.
    """

    baseline: int
    better: tuple[int, ...]
    surely: tuple[int, ...]
    compared: int
    gains: tuple[Gain, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "baseline": self.baseline,
            "compared": self.compared,
            "better": list(self.better),
            "surely": list(self.surely),
            "gains": [
                {"objective": gain.objective, "kept": gain.kept, "trial": gain.trial, "ratio": gain.ratio}
                for gain in self.gains
            ],
        }


def ratio(objective: Objective, trial: Trial, baseline: Trial) -> float | None:
    """Return a trial's figure over the baseline's; `None` where one has none, or a ratio says nothing."""
    if objective.name not in trial.values or objective.name not in baseline.values:
        return None
    base = baseline.mean(objective.name)
    found = trial.mean(objective.name) / base if base > 0 else math.nan
    return found if math.isfinite(found) else None


def beaten(
    objectives: Sequence[Objective],
    trials: Sequence[Trial],
    baseline: Trial,
    differ: Callable[[Trial, Trial, Objective], Difference],
) -> Beaten:
    """Return which trials beat the baseline.

    Args:
        objectives: those that count.
        trials: complete ones; the baseline may be among them.
        baseline: complete.
        differ: says by how much a trial differs from the baseline, and whether significantly.
    """
    optimised = [objective for objective in objectives if objective.optimize]
    others = [trial for trial in trials if trial.id != baseline.id]
    within = [t for t in others if all(objective.feasible(t.mean(objective.name)) for objective in objectives)]
    better = [trial for trial in within if _beats(optimised, trial, baseline)]
    surely = [
        trial
        for trial in better
        if any(_gap(o, trial, baseline) > 0 and differ(trial, baseline, o).significant for o in optimised)
    ]
    first = optimised[0]
    as_good = [trial for trial in within if _gap(first, trial, baseline) >= 0.0]
    return Beaten(
        baseline.number,
        tuple(trial.number for trial in better),
        tuple(trial.number for trial in surely),
        len(others),
        tuple(gain for o in optimised[1:] if (gain := _gain(first, o, as_good, baseline)) is not None),
    )


def _gain(first: Objective, objective: Objective, as_good: Sequence[Trial], baseline: Trial) -> Gain | None:
    best = max(as_good, key=lambda trial: objective.score(trial.mean(objective.name)), default=None)
    found = None if best is None else ratio(objective, best, baseline)
    return None if best is None or found is None else Gain(objective.name, first.name, best.number, found)


def _beats(optimised: Sequence[Objective], trial: Trial, baseline: Trial) -> bool:
    gaps = [_gap(objective, trial, baseline) for objective in optimised]
    return min(gaps) >= 0.0 and max(gaps) > 0.0


def _gap(objective: Objective, trial: Trial, baseline: Trial) -> float:
    """Return by how much the trial is better, on the modelled scale."""
    return objective.score(trial.mean(objective.name)) - objective.score(baseline.mean(objective.name))
