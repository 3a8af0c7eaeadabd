"""Strategies without a model: chance, evolution (NSGA-II) and local search, behind the one interface.

They keep no state: what they propose follows from the trials, so a search that was stopped goes on as if it had not
been, and trials of any origin serve. Trials that failed have no values and are no parents.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import SpaceError, StoppedError
from hwnas.search._data import complete_trials
from hwnas.search._front import scores
from hwnas.search._pareto import non_dominated
from hwnas.search._strategy import Proposals

if TYPE_CHECKING:
    import threading
    from collections.abc import Collection, Iterator, Sequence

    from jaxtyping import Float

    from hwnas.search._objective import Objective
    from hwnas.search._trial import Trial
    from hwnas.space import Architecture, SearchSpace

#: How often a child is made anew because it is known, for each that is wanted.
_TRIES = 50


class RandomStrategy:
    """Draws uniformly from the space, and looks at no value."""

    name = "random"

    def propose(
        self,
        space: SearchSpace,
        objectives: Sequence[Objective],  # noqa: ARG002  the interface's
        trials: Sequence[Trial],
        n: int,
        rng: np.random.Generator,
        *,
        cancelled: threading.Event | None = None,  # noqa: ARG002  too quick
    ) -> Proposals:
        """Return `n` architectures that no trial has; see `Strategy.propose`."""
        return _timed(self.name, _drawn(space, n, rng, {trial.id for trial in trials}))


class Nsga2Strategy:
    """NSGA-II on architectures (Deb et al., "A Fast and Elitist Multiobjective Genetic Algorithm", 2002).

    The population are the best of all complete trials by rank and crowding distance; trials that break limits come
    after all others, those that break them least first (section VI there). The better of two drawn parents counts, and
    a child takes each parameter from either of two; it is brought back into the space where conditions or constraints
    do not hold, and takes Poisson many moves, one on average. So conditional and constrained spaces are searched as
    they are. Ranks and distances are computed by pymoo.

    Attributes:
        population: how many.
    """

    name = "nsga2"

    def __init__(self, population: int = 32) -> None:
        """Keep the size."""
        self.population = population

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
        """Return `n` new architectures, or as many as the space still holds; see `Strategy.propose`."""
        parents = ranked(objectives, complete_trials(trials))[: self.population]
        seen = {trial.id for trial in trials}
        if len(parents) < 2:
            return _timed(self.name, _drawn(space, n, rng, seen))
        children = _children(space, [trial.architecture for trial in parents], rng)
        return _timed(self.name, _fresh(space, children, n, rng, seen, cancelled))


class LocalSearchStrategy:
    """Pareto local search: the neighbours of the front that were not tried yet, the loneliest members' first.

    It suits objectives that cost next to nothing, such as a predictor's (Paquete, Chiarandini and Stützle, "Pareto
    Local Optimum Sets in the Biobjective Traveling Salesman Problem", 2004). Where all neighbours are known, perturbed
    members follow.
    """

    name = "local-search"

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
        """Return `n` new architectures, or as many as the space still holds; see `Strategy.propose`."""
        best = ranked(objectives, complete_trials(trials))
        seen = {trial.id for trial in trials}
        if not best:
            return _timed(self.name, _drawn(space, n, rng, seen))
        front = non_dominated(_penalised(objectives, best))
        members = [trial.architecture for trial, keep in zip(best, front, strict=True) if keep]
        return _timed(self.name, _fresh(space, _around(space, members, rng), n, rng, seen, cancelled))


def ranked(objectives: Sequence[Objective], trials: Sequence[Trial]) -> list[Trial]:
    """Return complete trials, best first: by rank, and within a rank by crowding distance."""
    from pymoo.operators.survival.rank_and_crowding.metrics import calc_crowding_distance
    from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

    if not trials:
        return []
    Y = -_penalised(objectives, trials)
    order: list[int] = []
    for rank in NonDominatedSorting().do(Y):
        distance = calc_crowding_distance(Y[rank])
        order += [int(rank[place]) for place in np.argsort(-distance, kind="stable")]
    return [trials[place] for place in order]


def _penalised(objectives: Sequence[Objective], trials: Sequence[Trial]) -> Float[np.ndarray, "n m"]:
    """Return scores; those of a trial that breaks a limit are below all others, by how much it breaks them."""
    Y = scores(objectives, trials)
    excess = np.zeros(len(trials))
    for objective in objectives:
        if objective.limit is not None:
            limit = objective.score(objective.limit)
            values = np.array([objective.score(trial.values[objective.name].value) for trial in trials])
            excess += np.maximum(0.0, limit - values) / (float(np.std(values)) or 1.0)
    broken = excess > 0
    Y[broken] = Y.min(axis=0) - 1.0 - excess[broken, None]
    return Y


def _children(space: SearchSpace, parents: Sequence[Architecture], rng: np.random.Generator) -> Iterator[Architecture]:
    """Yield children of parents that are given best first, without end."""
    X = space.encode(parents)
    names = [column.parameter for column in space.columns]
    distinct = list(dict.fromkeys(names))
    place = np.array([distinct.index(name) for name in names])
    while True:
        first, second = (int(rng.integers(len(parents), size=2).min()) for _ in range(2))
        mixed = np.where(rng.random(len(distinct))[place] < 0.5, X[first], X[second])
        (child,) = space.decode(mixed[None])
        yield _mutated(space, child, int(rng.poisson(1.0)), rng)


def _mutated(space: SearchSpace, child: Architecture, moves: int, rng: np.random.Generator) -> Architecture:
    """Return a child after some moves; as it is where it has no other."""
    if moves == 0:
        return child
    if moves == 1:
        others = space.neighbours(child, rng, float_moves=2)
        return others[int(rng.integers(len(others)))] if others else child
    return next(iter(space.perturb(child, rng, 1)), child)


def _around(space: SearchSpace, members: Sequence[Architecture], rng: np.random.Generator) -> Iterator[Architecture]:
    """Yield neighbours of members in turn, then perturbed members, without end."""
    rings = []
    for member in members:
        ring = space.neighbours(member, rng)
        rings.append([ring[place] for place in rng.permutation(len(ring)).tolist()])
    for turn in range(max(map(len, rings))):
        for ring in rings:
            yield from ring[turn : turn + 1]
    while True:
        for member in members:
            yield _mutated(space, member, 2, rng)


def _fresh(
    space: SearchSpace,
    source: Iterator[Architecture],
    n: int,
    rng: np.random.Generator,
    seen: Collection[str],
    cancelled: threading.Event | None,
) -> Iterator[Architecture]:
    """Yield `n` architectures of a source that are not known; drawn ones where it has no more."""
    found: dict[str, Architecture] = {}
    for _, architecture in zip(range(_TRIES * n), source, strict=False):
        if cancelled is not None and cancelled.is_set():
            raise StoppedError("told to stop while it chose architectures")
        if architecture.id not in seen:
            found.setdefault(architecture.id, architecture)
        if len(found) == n:
            break
    yield from found.values()
    if len(found) < n:
        try:
            yield from _drawn(space, n - len(found), rng, {*seen, *found})
        except SpaceError:
            if not found:
                raise


def _drawn(space: SearchSpace, n: int, rng: np.random.Generator, seen: Collection[str]) -> Iterator[Architecture]:
    """Yield `n` new architectures drawn uniformly, or as many as the space still holds."""
    yield from space.sample(n, rng, method="uniform", exclude=seen, at_most=True)


def _timed(name: str, made: Iterator[Architecture]) -> Proposals:
    """Return proposals with what it cost to make them."""
    began, began_cpu = time.perf_counter(), time.process_time()
    architectures = tuple(made)
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    diagnostics = {"cpu_s": {"fit": 0.0, "acquisition": cpu}}
    return Proposals(architectures, name, 0.0, seconds, 0.0, cpu, diagnostics)
