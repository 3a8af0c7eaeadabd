"""Distinct valid architectures at random: scrambled Sobol points or uniform ones, kept where they are valid.

A space that is small enough to be listed is not guessed at for long: what is left of it is listed, and drawn from.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwnas.errors import SpaceError
from hwnas.space._count import LISTABLE, combinations, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from hwnas.space._architecture import Architecture
    from hwnas.space._parameter import FloatArray
    from hwnas.space._structure import Structure
    from hwnas.space._values import Value

_BLOCK = 256


@dataclass(frozen=True, slots=True)
class Draw:
    """What was found.

    Attributes:
        archs: distinct, valid and not excluded; as many as were asked for, or fewer.
        tries: how many points were looked at.
        valid: how many of them met all constraints.
        exhausted: whether there are no others.
        broken: how often each constraint was broken.
    """

    archs: list[Architecture]
    tries: int
    valid: int
    exhausted: bool
    broken: Mapping[str, int]

    def error(self, space: str, wanted: int) -> SpaceError:
        """Return the error that says why there are fewer than `wanted`."""
        found = len(self.archs)
        if self.exhausted:
            return SpaceError(
                f"space {space!r} holds {found} architectures that are valid and not excluded; {wanted} were asked for",
                "ask for fewer, or widen the space",
            )
        worst = max(self.broken, key=self.broken.__getitem__, default=None)
        blame = f"; {worst!r} fails most often, at {self.broken[worst]}" if worst is not None else ""
        return SpaceError(
            f"found {found} of {wanted} architectures in space {space!r}: of {self.tries} points tried "
            f"{self.valid} were valid, and {found} of those distinct and not excluded{blame}",
            "loosen the constraints, or choose parameters that meet them by themselves, such as a ratio for a width",
        )


def draw(
    structure: Structure,
    wrap: Callable[[dict[str, Value]], Architecture],
    n: int,
    rng: np.random.Generator,
    method: str,
    exclude: Collection[str],
) -> Draw:
    """Return up to `n` distinct valid architectures whose ids are not in `exclude`.

    At most 10,000 + 200 `n` points are tried; in a space of at most 100,000 combinations 256 + 8 `n`, and then the rest
    of it is listed. Up to where a sequence meets an excluded one for the first time, points do not count: it may be one
    that goes on where an earlier call ended.
    """
    total = combinations(structure, structure.parameters)
    listable = total is not None and total <= LISTABLE
    most = 256 + 8 * n if listable else 10_000 + 200 * n
    found: dict[str, Architecture] = {}
    broken: Counter[str] = Counter()
    tries = valid = counted = 0
    met: set[str] = set()
    for values in points(structure, rng, method):
        if len(found) >= n or counted >= most:
            break
        tries, counted = tries + 1, counted + 1
        failed = structure.broken(values)
        broken.update(constraint.text for constraint in failed)
        if not failed:
            valid += 1
            arch = wrap(values)
            if arch.id not in exclude:
                found.setdefault(arch.id, arch)
            elif not listable and arch.id not in met:
                met.add(arch.id)
                counted = 0
    exhausted = listable and len(found) < n
    if exhausted:
        rest = [arch for arch in map(wrap, listed(structure)) if arch.id not in exclude and arch.id not in found]
        for place in rng.permutation(len(rest))[: n - len(found)].tolist():
            found[rest[place].id] = rest[place]
    return Draw(list(found.values()), tries, valid, exhausted, broken)


def points(structure: Structure, rng: np.random.Generator, method: str) -> Iterator[dict[str, Value]]:
    """Yield the values of active parameters at random points, without end; constraints are not looked at.

    Each parameter takes one dimension, whatever columns it encodes to, and is uniform on its scale.
    """
    d = len(structure.parameters)
    for block in _sobol(d, rng) if method == "sobol" else _uniform(d, rng):
        lists = [parameter.draw(block[:, place]) for place, parameter in enumerate(structure.parameters)]
        for row in zip(*lists, strict=True):
            yield structure.prune(dict(zip(structure.by_name, row, strict=True)))


def _uniform(d: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    while True:
        yield rng.random((_BLOCK, d))


def _sobol(d: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    from scipy.stats import qmc  # slow to import

    while True:
        engine = qmc.Sobol(d, scramble=True, rng=np.random.default_rng(int(rng.integers(2**63))))
        for _ in range(2**30 // _BLOCK):  # as many points as a sequence has; blocks of a power of two keep it balanced
            yield engine.random(_BLOCK)
