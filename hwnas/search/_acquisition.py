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

There may be several fronts, one for each device that is a target. Expectations add, so the value of a candidate is the
sum of what it is expected to improve each front by; the draws of an outcome that fronts share, such as the accuracy,
are the same in all of them.

Symbols: `m` optimised outcomes, `P` draws (all samples of the hyperparameters times draws for each), `N` candidates,
`C` boxes, `r` base points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from hwnas.search._improvement import SCALE, Front, Improvement
from hwnas.search._known import paths_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float
    from torch import Tensor

    from hwnas.search._known import Known
    from hwnas.search._paths import Projection
    from hwnas.search._surrogate import Surrogate

#: How many numbers a temporary array may hold where fronts are drawn and pruned.
_CHUNK = 2_000_000
#: The same for the integrals: such an array stays in the processor's cache.
_CACHED = 100_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """An outcome in the acquisition, on its surrogate's scale, where more is better.

    Attributes:
        surrogate: its model; or that it needs none, for it is computed.
        reference: the worst value worth having, where all outcomes have one front; `None` where it is not optimised.
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
        fronts: Sequence[Front] = (),
    ) -> None:
        """Draw the fronts.

        Args:
            outcomes: of all fronts.
            baseline: evaluated architectures. Those that no draw puts on its front are left out, as BoTorch's
                `prune_baseline` does.
            pending: architectures that will be evaluated anyway.
            draws: for each sample of the hyperparameters.
            room: how many candidates will be chosen.
            seed: for the draws, which are quasi-random.
            fronts: what is to be improved; by default one front, of all outcomes with a reference.
        """
        samples = max(len(outcome.surrogate.mean) for outcome in outcomes)
        self._surrogates = tuple(outcome.surrogate.expand(samples) for outcome in outcomes)
        if not fronts:
            fronts = [Front(tuple(outcome.reference for outcome in outcomes), range(len(outcomes)))]
        limits = [outcome.limit for outcome in outcomes]
        self._improvements = tuple(Improvement(front, limits) for front in fronts)
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
        step = max(1, _CACHED // sum(improvement.boxes for improvement in self._improvements))
        means = [part.mean.flatten(0, 1).float() for part in candidates]
        deviations = [_deviations(part) for part in candidates]
        parts = [
            self._value([mean[:, at : at + step] for mean in means], [sd[:, at : at + step] for sd in deviations])
            for at in range(0, means[0].shape[-1], step)
        ]
        if not parts:
            return torch.empty(0, dtype=torch.float64)
        return torch.cat(parts).double().log() - math.log(SCALE)

    def _value(self, means: list[Tensor], deviations: list[Tensor]) -> Float[Tensor, " N"]:
        """Return `SCALE` times the value of candidates, whose outcomes have means and deviations `P x N` by draw."""
        first, *others = (improvement.value(means, deviations) for improvement in self._improvements)
        return sum(others, start=first)

    def _set_boxes(self) -> None:
        draws = [paths.f.flatten(0, 1) for paths in self._paths]
        for improvement in self._improvements:
            improvement.set_front(draws)

    def _prune(self, baseline: Tensor, samples: int, draws: int, seed: int) -> Bool[Tensor, " b"]:
        """Return which points some draw puts on one of its fronts and above the reference there."""
        noise = _white_noise(len(self._surrogates), samples, draws, len(baseline), seed)
        paths = [paths_of(model, baseline, white) for model, white in zip(self._surrogates, noise, strict=True)]
        drawn = [path.f.flatten(0, 1) for path in paths]
        on_front = torch.zeros(len(baseline), dtype=torch.bool)
        for improvement in self._improvements:
            on_front |= _ever_on_front(*improvement.front_draws(drawn), improvement.reference)
        return on_front


def _ever_on_front(
    F: Float[Tensor, "P r m"], kept: Bool[Tensor, "P r"], reference: Float[Tensor, " m"]
) -> Bool[Tensor, " r"]:
    """Return which points are above the reference, and undominated by those that count, in some draw."""
    kept = kept & (reference < F).all(dim=-1)
    on_front = torch.zeros(F.shape[1], dtype=torch.bool)
    step = max(1, _CHUNK // (F.shape[1] ** 2 * F.shape[2]))
    for at in range(0, len(F), step):
        part, ok = F[at : at + step], kept[at : at + step]
        worse = (part[:, None, :, :] >= part[:, :, None, :]).all(dim=-1)
        worse &= (part[:, None, :, :] > part[:, :, None, :]).any(dim=-1)
        dominated = (worse & ok[:, None, :]).any(dim=-1)
        on_front |= (ok & ~dominated).any(dim=0)
    return on_front


def _deviations(part: Projection) -> Float[Tensor, "P N"]:
    """Return the standard deviation of each candidate, for each draw."""
    return part.variance.sqrt()[:, None, :].expand_as(part.mean).flatten(0, 1).float()


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
