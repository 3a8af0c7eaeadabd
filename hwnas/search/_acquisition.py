"""The acquisition: expected hypervolume improvement under noise, without drawing at the candidates.

It is the value of qNEHVI (Daulton, Balandat and Bakshy, "Parallel Bayesian Optimization of Multiple Noisy Objectives
with Expected Hypervolume Improvement", NeurIPS 2021), and its logarithm is what BoTorch's
`qLogNoisyExpectedHypervolumeImprovement` returns (Ament et al., "Unexpected Improvements to Expected Improvement for
Bayesian Optimization", NeurIPS 2023, smooths it for gradients, which are not used here). The front is drawn jointly
with what is pending, as there. Given one draw of it, the outcomes of a candidate are independent Gaussians, and the
space that the front leaves undominated is a union of disjoint boxes; so the expected improvement is a sum over boxes of
products of one-dimensional integrals (Yang et al., "Efficient Computation of Expected Hypervolume Improvement Using Box
Decomposition Algorithms", J. Glob. Optim. 2019, section 3), and only the front is averaged over by Monte Carlo. With
one objective it is the value of noisy expected improvement.

A limit counts as in BoTorch: what breaks it improves nothing, and has no place on a draw's front.

Symbols: `m` optimised outcomes, `P` draws (all samples of the hyperparameters times draws for each), `N` candidates,
`C` boxes, `r` base points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from hwnas.search._known import paths_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float
    from torch import Tensor

    from hwnas.search._known import Known, KnownPaths
    from hwnas.search._paths import Paths, Projection
    from hwnas.search._surrogate import Surrogate

#: How many numbers a temporary array may hold where fronts are drawn and pruned.
_CHUNK = 2_000_000
#: The same for the integrals: such an array stays in the processor's cache.
_CACHED = 100_000
#: Integrals are computed in single precision: a step of the local search is worth a twentieth, and their relative error
#: is below a thousandth down to the far tail. They are scaled, so that products of tails do not underflow.
_SCALE = 2.0**80
#: Where Gaussian tails end and fat ones begin, in standard deviations.
_FAR = 8.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """An outcome in the acquisition, on its surrogate's scale, where more is better.

    Attributes:
        surrogate: its model; or that it needs none, for it is computed.
        reference: the worst value worth having; `None` where it is not optimised.
        limit: the least value that is allowed; `None` where all are.
    """

    surrogate: Surrogate | Known
    reference: float | None
    limit: float | None


class Acquisition:
    """Values candidates, one at a time given those chosen before: sequential greedy selection of a batch.

    Candidates are given once, as projections, and updated when one is chosen.
    """

    def __init__(
        self,
        outcomes: Sequence[Outcome],
        baseline: Float[Tensor, "b d"],
        pending: Float[Tensor, "p d"],
        *,
        draws: int,
        room: int,
        seed: int,
    ) -> None:
        """Draw the front.

        Args:
            outcomes: at least one of them optimised.
            baseline: evaluated architectures. Those that no draw puts on its front are left out, as BoTorch's
                `prune_baseline` does.
            pending: architectures that will be evaluated anyway.
            draws: for each sample of the hyperparameters.
            room: how many candidates will be chosen.
            seed: for the draws, which are quasi-random.
        """
        samples = max(len(outcome.surrogate.mean) for outcome in outcomes)
        self._outcomes = tuple(outcomes)
        self._surrogates = tuple(outcome.surrogate.expand(samples) for outcome in outcomes)
        self._optimised = [place for place, outcome in enumerate(outcomes) if outcome.reference is not None]
        self._reference = torch.tensor(
            [outcome.reference for outcome in outcomes if outcome.reference is not None], dtype=torch.float64
        )
        if len(baseline):
            baseline = baseline[self._prune(baseline, samples, draws, seed)]
        base = torch.cat([baseline, pending])
        noise = _white_noise(len(outcomes), samples, draws, len(base) + room, seed + 1)
        self._paths = [paths_of(model, base, white) for model, white in zip(self._surrogates, noise, strict=True)]
        self.baseline_size = len(baseline)
        self._set_boxes()

    def project(self, X: Float[Tensor, "N d"]) -> list[Projection]:
        """Return candidates as seen from here, one projection an outcome."""
        return [paths.project(X) for paths in self._paths]

    def add(self, candidates: list[Projection], chosen: int) -> list[Projection]:
        """Choose a candidate: it is pending from now on. Return all candidates as seen after that."""
        updated = [paths.add(part, chosen) for paths, part in zip(self._paths, candidates, strict=True)]
        self._set_boxes()
        return updated

    def log_value(self, candidates: list[Projection]) -> Float[Tensor, " N"]:
        """Return the logarithm of the expected hypervolume improvement of each candidate, given what is pending."""
        boxes = self._lower.shape[0] * self._lower.shape[1]
        step = max(1, _CACHED // boxes)
        means = [part.mean.flatten(0, 1).float() for part in candidates]
        deviations = [_deviations(part) for part in candidates]
        parts = [
            self._value([mean[:, at : at + step] for mean in means], [sd[:, at : at + step] for sd in deviations])
            for at in range(0, means[0].shape[-1], step)
        ]
        if not parts:
            return torch.empty(0, dtype=torch.float64)
        return torch.cat(parts).double().log() - math.log(_SCALE)

    def _value(self, means: list[Tensor], deviations: list[Tensor]) -> Float[Tensor, " N"]:
        """Return `_SCALE` times the value of candidates, whose outcomes have means and deviations `P x N` by draw."""
        total, weight = torch.ones(1), torch.ones(1)
        scale = _SCALE ** (1.0 / len(self._optimised))
        for place, outcome in enumerate(self._outcomes):
            mean, sd = means[place], deviations[place]
            if place in self._optimised:
                column = self._optimised.index(place)
                lower, upper = self._lower[:, None, :, column], self._upper[:, None, :, column]
                total = total * _lengths(mean[..., None], sd[..., None], lower, upper, outcome.limit, scale)
            elif outcome.limit is not None:
                weight = weight * _probability(mean, sd, outcome.limit)
        return (total.sum(dim=-1) * weight).mean(dim=0)

    def _set_boxes(self) -> None:
        F, kept = _front_draws(self._paths, self._optimised, self._outcomes)
        lower, upper = undominated_boxes(F, kept, self._reference)
        self._lower, self._upper = lower.float(), upper.float()

    def _prune(self, baseline: Tensor, samples: int, draws: int, seed: int) -> Bool[Tensor, " b"]:
        """Return which points some draw puts on its front and above the reference."""
        noise = _white_noise(len(self._outcomes), samples, draws, len(baseline), seed)
        paths = [paths_of(model, baseline, white) for model, white in zip(self._surrogates, noise, strict=True)]
        F, kept = _front_draws(paths, self._optimised, self._outcomes)
        kept = kept & (self._reference < F).all(dim=-1)
        on_front = torch.zeros(len(baseline), dtype=torch.bool)
        step = max(1, _CHUNK // (F.shape[1] ** 2 * F.shape[2]))
        for at in range(0, len(F), step):
            part, ok = F[at : at + step], kept[at : at + step]
            worse = (part[:, None, :, :] >= part[:, :, None, :]).all(dim=-1)
            worse &= (part[:, None, :, :] > part[:, :, None, :]).any(dim=-1)
            dominated = (worse & ok[:, None, :]).any(dim=-1)
            on_front |= (ok & ~dominated).any(dim=0)
        return on_front


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


def _deviations(part: Projection) -> Float[Tensor, "P N"]:
    """Return the standard deviation of each candidate, for each draw."""
    return part.variance.sqrt()[:, None, :].expand_as(part.mean).flatten(0, 1).float()


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


def _front_draws(
    paths: Sequence[Paths | KnownPaths], optimised: Sequence[int], outcomes: Sequence[Outcome]
) -> tuple[Float[Tensor, "P r m"], Bool[Tensor, "P r"]]:
    """Return the draws of the optimised outcomes, and which points keep to all limits in them."""
    F = torch.stack([paths[place].f.flatten(0, 1) for place in optimised], dim=-1)
    kept = torch.ones(F.shape[:2], dtype=torch.bool)
    for path, outcome in zip(paths, outcomes, strict=True):
        if outcome.limit is not None:
            kept &= path.f.flatten(0, 1) >= outcome.limit
    return F, kept


def _white_noise(outcomes: int, samples: int, draws: int, points: int, seed: int) -> Float[Tensor, "o h s r"]:
    """Return quasi-random standard normal numbers; pseudo-random where Sobol sequences have too few dimensions."""
    from botorch.utils.sampling import draw_sobol_normal_samples
    from torch.quasirandom import SobolEngine

    flat: Tensor
    width = outcomes * points
    if width == 0:
        flat = torch.empty(samples * draws, 0, dtype=torch.float64)
    elif width <= SobolEngine.MAXDIM:
        flat = draw_sobol_normal_samples(width, samples * draws, dtype=torch.float64, seed=seed)
    else:
        generator = torch.Generator().manual_seed(seed)
        flat = torch.randn(samples * draws, width, dtype=torch.float64, generator=generator)
    order = torch.randperm(samples * draws, generator=torch.Generator().manual_seed(seed))
    shuffled: Tensor = flat[order]
    return shuffled.reshape(samples, draws, outcomes, points).permute(2, 0, 1, 3)
