"""What is not worth a training: networks that break a hard limit, as far as their measurements can be trusted.

Latency and size are known before anything is trained, and a training costs the most. A limit is taken as broken where
the whole interval of the figure lies beyond it: the 95 % interval of what was measured, and the 99 % interval of what
a predictor says, whose doubt is itself an estimate. What was computed has no doubt.

With several devices there is a front for each, see `hwnas.search._targets`, so a network that is too slow for one of
them may still be the best on another: it is left out where it breaks a limit of every front.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.search._targets import targets
from hwnas.search._trial import Provenance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnas.search._objective import Objective
    from hwnas.search._trial import Trial, Value

#: Half the width of an interval in standard errors: of 95 % and of 99 %.
_Z95, _Z99 = 1.959964, 2.575829


def broken_limits(objectives: Sequence[Objective], trial: Trial, *, joint: bool = False) -> str | None:
    """Return which limits a trial breaks, so that no front can take it, in words; `None` where one may.

    Args:
        objectives: the study's. Those that a training reports do not count, for it has not been.
        trial: one whose other figures are known, as far as they are.
        joint: whether there is one front of all objectives, so that any broken limit is enough.
    """
    told: dict[str, None] = {}
    for own in [objectives] if joint else targets(objectives).values():
        broken = [
            said
            for objective in own
            if objective.source != "evaluation"
            and objective.name in trial.values
            and (said := _broken(objective, trial.values[objective.name])) is not None
        ]
        if not broken:
            return None
        told |= dict.fromkeys(broken)
    return "; ".join(told)


def _broken(objective: Objective, value: Value) -> str | None:
    """Return in words that a value is beyond the limit, all of its interval; `None` where it may not be."""
    if objective.limit is None:
        return None
    z = _Z99 if value.provenance == Provenance.PREDICTED else _Z95
    score, doubt = objective.score(value.value), z * objective.score_sigma(value.value, value.sigma or 0.0)
    if score + doubt >= objective.score(objective.limit):
        return None
    low, high = sorted((objective.unscore(score - doubt), objective.unscore(score + doubt)))
    interval = f" ({in_short(low)} to {in_short(high)})" if doubt else ""
    side = "above" if objective.direction == "minimize" else "below"
    guess = " predicted," if value.provenance == Provenance.PREDICTED else ""
    return f"{objective.name} {in_short(value.value)}{interval} is{guess} {side} the limit {in_short(objective.limit)}"


def in_short(value: float) -> str:
    """Return a figure with four digits, or all before the point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
