"""What proposes architectures: one interface, and the space-filling one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from hwnas.errors import SpaceError

if TYPE_CHECKING:
    import threading
    from collections.abc import Collection, Mapping, Sequence

    from hwnas.search._config import SearchSettings
    from hwnas.search._objective import Objective
    from hwnas.search._trial import Trial
    from hwnas.space import Architecture, SearchSpace

#: How often more points are drawn, twice as many each time, where limits rule some out.
_DOUBLINGS = 6


@dataclass(frozen=True, slots=True)
class Proposals:
    """What a strategy proposes, and what it cost.

    Attributes:
        architectures: valid, distinct, and none of them tried or pending.
        origin: the name of the strategy that made them.
        fit_s, acquisition_s: seconds of wall clock.
        fit_cpu_s, acquisition_cpu_s: seconds of processor time, of all threads of this process.
        diagnostics: what the strategy says of itself; JSON data.
        notices: what a person should know, such as a fit that fell back to something simpler.
    """

    architectures: tuple[Architecture, ...]
    origin: str
    fit_s: float = 0.0
    acquisition_s: float = 0.0
    fit_cpu_s: float = 0.0
    acquisition_cpu_s: float = 0.0
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


class Strategy(Protocol):
    """Proposes architectures from what the trials so far have shown. What it keeps between calls only saves time."""

    @property
    def name(self) -> str:
        """The word that names it in a study file."""
        ...

    def propose(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        trials: Sequence[Trial],
        n: int,
        rng: np.random.Generator,
        *,
        cancelled: threading.Event | None = None,
    ) -> Proposals:
        """Return `n` new architectures, or as many as are found; see `SearchSpace.sample`.

        Args:
            space: where they come from.
            objectives: what is to be improved, and within which limits.
            trials: all trials of the study. Those proposed or running are pending: they will be evaluated anyway.
            n: how many.
            rng: the only source of chance.
            cancelled: once it is set, the strategy gives up as soon as it can.

        Raises:
            SpaceError: the space holds no new one.
            StoppedError: `cancelled` was set.
        """
        ...


class SobolStrategy:
    """Fills the space evenly with a scrambled Sobol sequence, and looks at no value.

    Points that break a limit on what can be computed of them (`hwnas.search._computed`) are passed over, as long as
    others are found.

    Attributes:
        seed: where given, one sequence of that seed runs through all calls, and every call goes on where the trials
            end; where it is `None`, every call begins a sequence of its own.
    """

    name = "sobol"

    def __init__(self, seed: int | None = None) -> None:
        """Keep the seed."""
        self.seed = seed

    def propose(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],
        trials: Sequence[Trial],
        n: int,
        rng: np.random.Generator,
        *,
        cancelled: threading.Event | None = None,  # noqa: ARG002  too quick
    ) -> Proposals:
        """Return the next `n` architectures of the sequence that no trial has; see `Strategy.propose`."""
        from hwnas.search._computed import within_limits

        began = time.perf_counter()
        within = within_limits(space, objectives, trials)
        seen = {trial.id for trial in trials}
        kept: list[Architecture] = []
        passed: list[Architecture] = []
        for doubling in range(1 if within is None else _DOUBLINGS):
            if len(kept) >= n:
                break
            chance = rng if self.seed is None else np.random.default_rng(self.seed)
            drawn = _sampled(space, n * 2**doubling, chance, seen, passed)
            seen.update(arch.id for arch in drawn)
            for arch, ok in zip(drawn, [True] * len(drawn) if within is None else within(drawn), strict=True):
                (kept if ok else passed).append(arch)
        few = f"{n - len(kept)} of the proposals break a limit that is computed: nothing within all limits was found"
        notices = (few,) if len(kept) < n and passed else ()
        chosen = tuple([*kept, *passed][:n])
        return Proposals(chosen, self.name, acquisition_s=time.perf_counter() - began, notices=notices)


def _sampled(
    space: SearchSpace, n: int, rng: np.random.Generator, seen: Collection[str], passed: Collection[Architecture]
) -> list[Architecture]:
    """Return up to `n` new architectures; none where there are no more, but some that were passed over."""
    try:
        return space.sample(n, rng, exclude=seen, at_most=True)
    except SpaceError:
        if not passed:
            raise
        return []


def strategy_from_settings(settings: SearchSettings) -> Strategy:
    """Return the strategy that a study file names."""
    if settings.strategy == "sobol":
        return SobolStrategy(settings.seed)
    if settings.strategy in {"random", "nsga2", "local-search"}:
        from hwnas.search._evolution import LocalSearchStrategy, Nsga2Strategy, RandomStrategy

        plain: dict[str, type[Strategy]] = {
            made.name: made for made in (RandomStrategy, Nsga2Strategy, LocalSearchStrategy)
        }
        return plain[settings.strategy]()
    from hwnas.search._saas import SaasQnehviStrategy

    fast = {"fit": "map"} if settings.strategy == "saas-map" else {}
    return SaasQnehviStrategy(settings.saas.model_copy(update=fast), joint=settings.fronts == "joint")
