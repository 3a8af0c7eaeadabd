"""What a candidate is expected to improve one front by, given draws of it; see `hwnas.search._acquisition`.

Symbols: `m` optimised outcomes of the front, `P` draws, `N` candidates, `C` boxes, `r` base points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from jaxtyping import Bool, Float
    from torch import Tensor

#: Integrals are computed in single precision: a step of the local search is worth a twentieth, and their relative error
#: is below a thousandth down to the far tail. They are scaled, so that products of tails do not underflow.
SCALE = 2.0**80
#: Where Gaussian tails end and fat ones begin, in standard deviations.
_FAR = 8.0


@dataclass(frozen=True, slots=True)
class Front:
    """A front that is to be improved, in some of the outcomes.

    Attributes:
        references: for each outcome, the worst value worth having; `None` where this front has no part in it.
        limited: the places of the outcomes whose limits hold here.
        weight: what an improvement counts.
    """

    references: tuple[float | None, ...]
    limited: Collection[int]
    weight: float = 1.0


class Improvement:
    """The expected improvement of one front.

    Attributes:
        reference: the corner of its space.
    """

    def __init__(self, front: Front, limits: Sequence[float | None]) -> None:
        """Say which front, and the least value of each outcome that is allowed; `None` where all are."""
        self._limits = [limit if place in front.limited else None for place, limit in enumerate(limits)]
        self._optimised = [place for place, reference in enumerate(front.references) if reference is not None]
        self._weight = front.weight
        self.reference = torch.tensor(
            [reference for reference in front.references if reference is not None], dtype=torch.float64
        )

    @property
    def boxes(self) -> int:
        """How many boxes there are, of all draws."""
        return self._lower.shape[0] * self._lower.shape[1]

    def front_draws(self, draws: Sequence[Float[Tensor, "P r"]]) -> tuple[Float[Tensor, "P r m"], Bool[Tensor, "P r"]]:
        """Return the draws of the optimised outcomes, and which points keep to all limits in them."""
        F = torch.stack([draws[place] for place in self._optimised], dim=-1)
        kept = torch.ones(F.shape[:2], dtype=torch.bool)
        for draw, limit in zip(draws, self._limits, strict=True):
            if limit is not None:
                kept &= draw >= limit
        return F, kept

    def set_front(self, draws: Sequence[Float[Tensor, "P r"]]) -> None:
        """Take the draws of all outcomes at the base points, whose front is to be improved."""
        lower, upper = undominated_boxes(*self.front_draws(draws), self.reference)
        self._lower, self._upper = lower.float(), upper.float()

    def value(self, means: list[Tensor], deviations: list[Tensor]) -> Float[Tensor, " N"]:
        """Return `SCALE` times the weighted value of candidates.

        Args:
            means: for each outcome, `P x N`, given each draw.
            deviations: as `means`.
        """
        total, kept = torch.ones(1), torch.ones(1)
        scale = SCALE ** (1.0 / len(self._optimised))
        for place, (mean, sd, limit) in enumerate(zip(means, deviations, self._limits, strict=True)):
            if place in self._optimised:
                column = self._optimised.index(place)
                lower, upper = self._lower[:, None, :, column], self._upper[:, None, :, column]
                total = total * _lengths(mean[..., None], sd[..., None], lower, upper, limit, scale)
            elif limit is not None:
                kept = kept * _probability(mean, sd, limit)
        value: Tensor = (total.sum(dim=-1) * kept).mean(dim=0)
        return value if self._weight == 1.0 else value * self._weight


def undominated_boxes(
    F: Float[Tensor, "P r m"], kept: Bool[Tensor, "P r"], reference: Float[Tensor, " m"]
) -> tuple[Float[Tensor, "P C m"], Float[Tensor, "P C m"]]:
    """Return lower and upper corners of disjoint boxes that cover what each draw leaves undominated above `reference`.

    Args:
        F: the draws; more is better.
        kept: which points count.
        reference: the corner of the space.
    """
    P, r, m = F.shape
    if m == 1 or r == 0:
        best = torch.where(kept[..., None], F, reference).amax(dim=1, keepdim=True) if r else reference.expand(P, 1, m)
        lower = best.maximum(reference)
        return lower, torch.full_like(lower, math.inf)
    if m == 2:
        return _strips(torch.where((kept & (reference < F).all(dim=-1))[..., None], F, reference), reference)
    from botorch.utils.multi_objective.box_decompositions import BoxDecompositionList, FastNondominatedPartitioning

    parts = [FastNondominatedPartitioning(reference, Y=draw[keep]) for draw, keep in zip(F, kept, strict=True)]
    lower, upper = BoxDecompositionList(*parts).get_hypercell_bounds()
    return lower, upper


def _strips(F: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Return the boxes for two outcomes: strips between neighbours of the front, open above."""
    P = len(F)
    order = F[..., 0].argsort(dim=1, descending=True, stable=True)
    F = F.gather(1, order[..., None].expand(-1, -1, 2))
    best = F[..., 1].cummax(dim=1).values
    before = torch.cat([reference[1].expand(P, 1), best[:, :-1]], dim=1)
    on_front = before < F[..., 1]
    count = int(on_front.sum(dim=1).max())
    first = (~on_front).to(torch.int8).argsort(dim=1, stable=True)[:, :count]  # the front's members, in order
    there = on_front.gather(1, first)
    edges = torch.where(there, F[..., 0].gather(1, first), reference[0])
    floors = torch.where(there, F[..., 1].gather(1, first), reference[1]).cummax(dim=1).values
    top = torch.full((P, 1), math.inf, dtype=F.dtype)
    lower = torch.stack(
        [torch.cat([edges, reference[0].expand(P, 1)], dim=1), torch.cat([reference[1].expand(P, 1), floors], dim=1)],
        dim=-1,
    )
    upper = torch.stack([torch.cat([top, edges], dim=1), top.expand(P, count + 1)], dim=-1)
    return lower, upper


def _lengths(mean: Tensor, sd: Tensor, lower: Tensor, upper: Tensor, limit: float | None, scale: float) -> Tensor:
    """Return `scale` times what `_expected_length` returns; strips share their edges, which are then taken once."""
    mean, sd, lower, upper = mean * scale, sd * scale, lower * scale, upper * scale
    stacked = (
        lower.shape[-1] > 1 and torch.equal(upper[..., 1:], lower[..., :-1]) and bool((upper[..., 0] > 3e38).all())
    )
    if limit is not None or not stacked:
        return _expected_length(mean, sd, lower, upper, None if limit is None else limit * scale)
    excess = _expected_excess(mean, sd, lower)
    excess[..., 1:] -= excess[..., :-1].clone()
    return excess.clamp_min_(0.0)


def _expected_length(mean: Tensor, sd: Tensor, lower: Tensor, upper: Tensor, limit: float | None) -> Tensor:
    """Return the expectation of `min(y, upper) - lower`, where `y` is above `lower` and keeps to `limit`, else 0."""
    start, below = lower, None
    if limit is not None:
        start = torch.full_like(lower, limit).clamp(lower, upper)
        below = (start - lower) * _probability(mean, sd, limit)
    length = _expected_excess(mean, sd, start)
    if not bool(torch.isinf(upper).all()):
        length = length - _expected_excess(mean, sd, upper)
    length = length.clamp_min(0.0)
    return length if below is None else length + below


def _expected_excess(mean: Tensor, sd: Tensor, edge: Tensor) -> Tensor:
    """Return the expectation of `max(y - edge, 0)`, with a fat tail; 0 at an infinite edge."""
    u = (mean - edge) / sd
    near = u.clamp_min(-_FAR)
    excess: Tensor = near.square().mul_(-0.5).exp_().mul_(1.0 / math.sqrt(2.0 * math.pi))
    return excess.addcmul_(near, _gaussian_cdf(near)).mul_(_fat_tail(u)).mul_(sd)


def _probability(mean: Tensor, sd: Tensor, limit: float) -> Tensor:
    """Return the probability that `y` is at least `limit`, with a fat tail."""
    u = (mean - limit) / sd
    probability: Tensor = _gaussian_cdf(u.clamp_min(-_FAR)) * _fat_tail(u)
    return probability


def _gaussian_cdf(u: Tensor) -> Tensor:
    """Return the Gaussian distribution function; `torch.special.ndtr` is 0 below -5 in single precision."""
    return torch.erfc(u * -math.sqrt(0.5)).mul_(0.5)


def _fat_tail(u: Tensor) -> Tensor:
    """Return 1 down to `-_FAR`, and a slow decay below: what is next to impossible still has an order.

    A Gaussian tail underflows, and a search whose candidates are all worth nothing is blind. BoTorch's smoothed
    acquisitions have fat tails for the same reason. Values above 1e-15 of a typical one are not touched.
    """
    return u.clamp_max(-_FAR).reciprocal_().mul_(_FAR).square_()
