"""Which architectures are looked at: the acquisition is maximised on architectures, so all are valid and new.

A pool is drawn from three places: evenly from the whole space, the neighbours of the front's members, and mutations of
the front and of other good trials. While nothing reaches the reference point, mutations are wide too: parts of a good
trial and parts of any architecture, which is how what seems not to matter comes to vary. For each proposal the pool's
best are valued; from them local search follows the best neighbour until none is better by a twentieth. What the search
looked at joins the pool, so that the next proposal starts from it. Where limits can be computed, what breaks them may
be a step of the search, but is not chosen.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import torch

from hwnas.search._paths import Projection
from hwnas.search._points import Points

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from hwnas.search._acquisition import Acquisition
    from hwnas.space import Architecture, SearchSpace

#: Local searches run from so many of the pool's best at a time, and take so many steps at most.
_STARTS, _STEPS = 4, 12
#: What a step must add to the logarithm of the value. Parameters that do not matter gain a little towards their limits,
#: where the model knows least; steps for so little would take whole batches into the corners of the space, and a search
#: on a function that is bad there would stand still.
_LEAST_GAIN = 0.05
#: Every so manieth choice is the best of those beside good trials. Where the model knows little, improvement is
#: likeliest where it knows least: in the corners, and a batch that goes there alone learns little of where the
#: good ones are.
_CLOSE = 2
#: How many members are valued again at first; then as many again.
_BLOCK = 64
#: How many steps a local search looks at, at most: a space of a hundred parameters has many times more.
_LOOKS = 96
#: How many architectures of the whole space are looked at, for each that is wanted, where limits rule some out.
_SEARCHED = 4
#: The front's members whose neighbours join the pool, and mutations of each.
_MEMBERS, _MUTATIONS = 16, 16
#: How large a part of the parameters a wide mutation takes from elsewhere.
_PARTS = (0.1, 0.25, 0.5)


def first_candidates(
    space: SearchSpace,
    good: Sequence[Architecture],
    n: int,
    rng: np.random.Generator,
    seen: Collection[str],
    points: Points | None = None,
    *,
    wide: bool = False,
) -> tuple[list[Architecture], set[str]]:
    """Return the pool's first members, distinct and unseen, and the ids of those beside good trials.

    Args:
        space: where they come from.
        good: the front's members and other good trials, best first.
        n: how many come from the whole space.
        rng: the source of chance.
        seen: ids of architectures that have a trial.
        points: says which are within the limits that can be computed; all are where it is `None`.
        wide: whether mutations are wide too.

    Raises:
        SpaceError: the space holds no new one.
    """
    found = {arch.id: arch for arch in _from_everywhere(space, n, rng, seen, points)}
    everywhere = set(found)
    members = good[:_MEMBERS]
    beside = [(*_some(space.neighbours(one, rng), rng), *space.perturb(one, rng, _MUTATIONS)) for one in members]
    if wide:
        beside.append(tuple(_crossed(space, members, rng)))
    for arch in itertools.chain(*beside):
        if arch.id not in seen:
            found.setdefault(arch.id, arch)
    return list(found.values()), set(found) - everywhere


def _crossed(space: SearchSpace, members: Sequence[Architecture], rng: np.random.Generator) -> list[Architecture]:
    """Return wide mutations of each member: some of its parameters are those of an architecture from anywhere."""
    donors = space.encode(space.sample(_MUTATIONS * len(members), rng, at_most=True))
    own = np.repeat(space.encode(members), _MUTATIONS, axis=0)[: len(donors)]
    names = list(dict.fromkeys(column.parameter for column in space.columns))
    column_of = [names.index(column.parameter) for column in space.columns]
    taken = rng.random((len(donors), len(names))) < rng.choice(_PARTS, size=(len(donors), 1))
    return space.decode(np.where(taken[:, column_of], donors, own))


def _from_everywhere(
    space: SearchSpace, n: int, rng: np.random.Generator, seen: Collection[str], points: Points | None
) -> list[Architecture]:
    """Return architectures drawn evenly: the first `n` within the limits, or, where those are too few, others too."""
    if points is None or not points.is_limited:
        return space.sample(n, rng, exclude=seen, at_most=True)
    drawn = space.sample(_SEARCHED * n, rng, exclude=seen, at_most=True)
    allowed = points.allowed(points.rows(drawn)).tolist()
    within = [arch for arch, ok in zip(drawn, allowed, strict=True) if ok]
    return [*within, *(arch for arch, ok in zip(drawn, allowed, strict=True) if not ok)][:n]


class Pool:
    """Candidates and their projections; chooses one at a time.

    Attributes:
        valued: how often a value was computed.
        over: how many choices break a limit that can be computed, for nothing within was found.
    """

    def __init__(
        self,
        space: SearchSpace,
        acquisition: Acquisition,
        candidates: Sequence[Architecture],
        seen: Collection[str],
        rng: np.random.Generator,
        near: Collection[str] = (),
        points: Points | None = None,
    ) -> None:
        """Take the first members.

        Args:
            space: theirs.
            acquisition: what values them.
            candidates: distinct and unseen; at least one.
            seen: ids of architectures that must not be proposed.
            rng: the source of chance for steps of the local search.
            near: ids of candidates beside good trials; every second choice is one of them.
            points: what a row of numbers says of an architecture; the encoding alone by default.
        """
        self._space = space
        self._points = Points(space) if points is None else points
        self._acquisition = acquisition
        self._rng = rng
        self._taken = set(seen)
        self._most = len(candidates)
        self._architectures = list(candidates)
        self._projections = self._project(candidates)
        self.valued = self.over = 0
        self._near, self._picks = frozenset(near), 0
        self._bound = torch.full((len(candidates),), torch.inf, dtype=torch.float64)

    def choose(self) -> tuple[Architecture, float] | None:
        """Return the best candidate found and the logarithm of its value, and make it pending; `None` where none is."""
        if not self._architectures:
            return None
        value = self._refreshed()
        self._picks += 1
        close = torch.tensor([arch.id in self._near for arch in self._architectures]) & self._allowed()
        if self._picks % _CLOSE == 0 and bool(close.any()):
            value[close] = self._value([part.glance(close.nonzero()[:, 0]) for part in self._projections])
            chosen = int(torch.where(close, value, -torch.inf).argmax())
        else:
            value = self._search(value)
            allowed = self._allowed()
            self.over += not bool(allowed.any())
            chosen = int((torch.where(allowed, value, -torch.inf) if bool(allowed.any()) else value).argmax())
        best, log_value = self._architectures[chosen], float(value[chosen])
        self._taken.add(best.id)
        self._projections = self._acquisition.add(self._projections, chosen)
        value[chosen] = -torch.inf
        kept = self._worth_keeping(value)
        self._bound = value[kept]
        self._keep(kept)
        return best, log_value

    def _worth_keeping(self, value: torch.Tensor) -> torch.Tensor:
        """Return the best members' places, as many as there were at first; those beside good trials stay."""
        wanted = value.clone()
        for place, arch in enumerate(self._architectures):
            if arch.id in self._near and arch.id not in self._taken:
                wanted[place] += 1e6
        return wanted.topk(min(self._most, len(value) - 1)).indices

    def _refreshed(self) -> torch.Tensor:
        """Return the members' values: exact for the best, upper bounds for those that cannot be among them.

        The value is submodular: what joins a batch never makes another candidate worth more. So values from before are
        bounds, and members are valued again, best bound first, until no bound left is above the best values (lazy
        greedy selection: Minoux, "Accelerated greedy algorithms for maximizing submodular set functions", 1978).
        """
        value = self._bound.clone()
        order = value.argsort(descending=True)
        done = 0
        while done < len(order):
            if done >= _STARTS and value[order[:done]].topk(_STARTS).values[-1] >= value[order[done]]:
                break
            block = order[done : max(2 * done, _BLOCK)]
            value[block] = self._value([part.glance(block) for part in self._projections])
            done += len(block)
        return value

    def _search(self, value: torch.Tensor) -> torch.Tensor:
        """Climb from the best members, all at a time, and return the values of the pool with what was looked at."""
        looked_at = {arch.id for arch in self._architectures} | self._taken
        tops = value.topk(min(_STARTS, len(value))).indices.tolist()
        climbers = [(self._architectures[top], float(value[top])) for top in tops]
        found: list[list[Projection]] = [self._projections]
        for _ in range(_STEPS):
            steps: list[Architecture] = []
            origin: list[int] = []
            for place, (arch, _height) in enumerate(climbers):
                for other in _some(self._space.neighbours(arch, self._rng), self._rng):
                    if other.id not in looked_at:
                        looked_at.add(other.id)
                        steps.append(other)
                        origin.append(place)
            if not steps:
                break
            projections = self._project(steps)
            heights = self._value(projections)
            self._architectures += steps
            found.append(projections)
            value = torch.cat([value, heights])
            climbers = _climb(climbers, steps, origin, heights.tolist())
            if not climbers:
                break
        self._projections = [Projection.concatenate(parts) for parts in zip(*found, strict=True)]
        return value

    def _keep(self, index: torch.Tensor) -> None:
        self._architectures = [self._architectures[place] for place in index.tolist()]
        self._projections = [part.take(index) for part in self._projections]

    def _allowed(self) -> torch.Tensor:
        """Return which members keep to the limits that can be computed."""
        return self._points.allowed(self._projections[0].X)

    def _project(self, architectures: Sequence[Architecture]) -> list[Projection]:
        return self._acquisition.project(self._points.rows(architectures))

    def _value(self, projections: list[Projection]) -> torch.Tensor:
        self.valued += projections[0].mean.shape[-1]
        return self._points.weighed(self._acquisition.log_value(projections), projections[0].X)


def _some(steps: list[Architecture], rng: np.random.Generator) -> list[Architecture]:
    """Return steps, or some of them where there are too many to look at."""
    if len(steps) <= _LOOKS:
        return steps
    return [steps[place] for place in np.sort(rng.choice(len(steps), _LOOKS, replace=False)).tolist()]


def _climb(
    climbers: list[tuple[Architecture, float]],
    steps: list[Architecture],
    origin: list[int],
    heights: list[float],
) -> list[tuple[Architecture, float]]:
    """Return the climbers after one step each; those that found nothing worth a step have arrived and are left out."""
    best: dict[int, tuple[Architecture, float]] = {}
    for arch, place, height in zip(steps, origin, heights, strict=True):
        worth = best[place][1] if place in best else climbers[place][1] + _LEAST_GAIN
        if height > worth:
            best[place] = (arch, height)
    return list(best.values())
