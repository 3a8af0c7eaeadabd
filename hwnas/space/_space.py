"""The search space: parameters, who is active when, constraints, and optionally the networks they stand for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import numpy as np

from hwnas.errors import HwnasError, SpaceError
from hwnas.space import _count, _encoding, _moves, _repair, _sampling
from hwnas.space._architecture import Architecture
from hwnas.space._kinds import make_parameter
from hwnas.space._structure import Structure

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    import numpy.typing as npt
    from torch import nn

    from hwnas.network import Graph
    from hwnas.space._constraint import Constraint
    from hwnas.space._encoding import Column
    from hwnas.space._parameter import FloatArray, Parameter
    from hwnas.space._values import Value

Made = TypeVar("Made")
_METHODS = ("sobol", "uniform")
_ANCHORS = 128
_NEAREST_ANCHORS = 8


class SearchSpace:
    """Ordered parameters and what binds them. Immutable, and safe to share between threads.

    Symbols: `n` architectures, `d` columns, `X` of `n x d` float64 in [0, 1].

    Attributes:
        name: part of every architecture's id.
        version: part of every architecture's id; change it when the same values come to mean another network.
        parameters: in order, parents before children.
        constraints: all of them hold for every architecture.
    """

    def __init__(
        self,
        name: str,
        parameters: Sequence[Parameter],
        constraints: Sequence[Constraint | str] = (),
        version: str = "1",
        graph: Callable[[Architecture], Graph] | None = None,
        build: Callable[[Architecture], nn.Module] | None = None,
    ) -> None:
        """Check that the parts fit together.

        Args:
            name: a short name for people.
            parameters: parents before children.
            constraints: `Constraint`s or their texts; one is applied where all parameters that it names are active.
            version: of the meaning of the values.
            graph: makes an architecture's network as a graph of hwnas.
            build: makes it as a PyTorch module; without it, `build` makes one of the graph.

        Raises:
            SpaceError: what is wrong is named.
        """
        for word, text in (("name", name), ("version", version)):
            if not isinstance(text, str) or not text.strip():
                raise SpaceError(f"the {word} of a space is {text!r}", f"give it a {word}, as a string")
        self._structure = Structure(parameters, constraints)
        self.name: Final = name
        self.version: Final = version
        self.parameters: Final = self._structure.parameters
        self.constraints: Final = self._structure.constraints
        self._graph = graph
        self._build = build

    def __repr__(self) -> str:
        """Show the name and the size."""
        return f"SearchSpace({self.name!r}, {len(self.parameters)} parameters, version={self.version!r})"

    def __eq__(self, other: object) -> bool:
        """Say whether both describe the same architectures; the networks they make are not compared."""
        return self._described() == other._described() if isinstance(other, SearchSpace) else NotImplemented

    def __hash__(self) -> int:
        """Hash what `__eq__` compares."""
        return hash(self._described())

    def __reduce__(self) -> tuple[type[SearchSpace], tuple[Any, ...]]:
        """Travel between processes; `graph` and `build` must be functions of a module for that."""
        return SearchSpace, (*self._described(), self._graph, self._build)

    def architecture(self, values: Mapping[str, object]) -> Architecture:
        """Return the architecture of these values, checked and in their parameters' own types.

        Args:
            values: one for each active parameter; those of others are absent, or `None`.

        Raises:
            SpaceError: see `validate`.
        """
        return self._wrap(self._structure.check(values))

    def validate(self, values: Mapping[str, object]) -> None:
        """Check that `values` are an architecture: every active parameter has a value, and no other.

        Raises:
            SpaceError: an unknown, missing or inactive parameter, a value that its parameter cannot take, or a
                constraint that does not hold.
        """
        self._structure.check(values)

    def with_constraints(self, *constraints: Constraint | str) -> SearchSpace:
        """Return the same space with more constraints. Its architectures keep their ids: they are the same networks."""
        bound = (*self.constraints, *constraints)
        return SearchSpace(self.name, self.parameters, bound, self.version, self._graph, self._build)

    @cached_property
    def size(self) -> int | None:
        """How many architectures there are.

        Exact, conditions and constraints included. `None`: infinitely many (a float), or not counted, because
        constraints join parameters of more than 100,000 combinations or conditions are too entangled.
        """
        return _count.count(self._structure)

    def sample(
        self,
        n: int,
        rng: np.random.Generator,
        method: Literal["sobol", "uniform"] = "sobol",
        exclude: Collection[str] = frozenset(),
        *,
        at_most: bool = False,
    ) -> list[Architecture]:
        """Return `n` distinct, valid architectures.

        Each parameter is uniform on its scale, constraints are met by rejection, and small spaces are listed, so that
        their last architecture is found too.

        Args:
            n: how many.
            rng: all that is random derives from it.
            method: `"sobol"`: a scrambled Sobol sequence, spread evenly; `"uniform"`: independent points.
            exclude: ids of architectures that are not wanted again.
            at_most: whether fewer will do, as long as there is one.

        Raises:
            SpaceError: the space holds fewer, or fewer were found; it says how many points were tried and how many of
                them were valid.
        """
        if method not in _METHODS:
            raise SpaceError(f"unknown sampling method {method!r}", f"the methods are {' and '.join(_METHODS)}")
        if n < 0:
            raise SpaceError(f"{n} architectures cannot be sampled", "ask for none or more")
        found = _sampling.draw(self._structure, self._wrap, n, rng, method, frozenset(exclude))
        if len(found.archs) < n and not (at_most and found.archs):
            raise found.error(self.name, n)
        return found.archs

    def neighbours(self, arch: Architecture, rng: np.random.Generator, *, float_moves: int = 4) -> list[Architecture]:
        """Return what changes of one parameter lead to: valid, distinct, and without `arch` itself.

        A categorical takes each other choice; an ordinal the values beside it and one drawn from all; an int the values
        one step away, a Gaussian step and one drawn from all; a float `float_moves` Gaussian steps, of standard
        deviations 0.2, 0.05, 0.0125 ... of its scale. Where the change makes other parameters active, they are drawn
        uniformly; the values of those that become inactive are dropped. The list is empty where constraints allow no
        change of one parameter alone.

        Args:
            arch: of this space.
            rng: all that is random derives from it.
            float_moves: steps tried for each float.
        """
        self._own(arch)
        return self._distinct(_moves.neighbours(self._structure, arch.values, rng, float_moves), arch)

    def perturb(self, arch: Architecture, rng: np.random.Generator, n: int) -> list[Architecture]:
        """Return up to `n` random mutations of two or more parameters: valid, distinct, and without `arch` itself.

        Each changed parameter makes one of the moves that `neighbours` lists. There are fewer than `n` where the space
        is small or tightly constrained, so that 100 + 20 `n` tries do not find as many.

        Args:
            arch: of this space.
            rng: all that is random derives from it.
            n: how many.
        """
        self._own(arch)
        return self._distinct(_moves.mutations(self._structure, arch.values, rng, 100 + 20 * n), arch, n)

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """What each column of an encoding means."""
        return _encoding.columns_of(self.parameters)

    @property
    def dim(self) -> int:
        """How many columns an encoding has, `d`."""
        return len(self.columns)

    def encode(self, archs: Sequence[Architecture]) -> FloatArray:
        """Return `X`, `n x d` float64 in [0, 1], for `n` architectures; 10,000 of 24 parameters take some 0.03 s.

        A float and an int take one column, linear or logarithmic; an ordinal one, by place in its list; a categorical
        one a choice, the square root of 1/2 where chosen and 0 elsewhere, so that two choices lie at distance 1. A
        parameter that is not active takes 0.5, or zeros if categorical.

        Raises:
            SpaceError: an architecture is not of this space.
        """
        if any(own != (self.name, self.version) for own in {(arch.space, arch.space_version) for arch in archs}):
            for arch in archs:
                self._own(arch)
        return _encoding.encode(self.parameters, archs)

    def decode(self, X: npt.ArrayLike) -> list[Architecture]:
        """Return the `n` architectures nearest to the rows of `X`, `n x d`; `decode(encode(archs)) == archs` exactly.

        Each parameter takes its nearest value. Where that breaks a constraint, the row becomes a valid architecture
        near by: one that is reached from the nearest of 128 known ones by moving towards the row as far as it stays
        valid.

        Raises:
            SpaceError: `X` has another shape or holds what is not finite, or no valid architecture is known.
        """
        rows = np.asarray(X, dtype=np.float64)
        archs = []
        for row, dense in zip(rows, _encoding.decode_dense(self.parameters, rows), strict=True):
            values = self._structure.prune(dense)
            archs.append(self._wrap(values) if self._structure.holds(values) else self._near(row, dense))
        return archs

    @property
    def has_graph(self) -> bool:
        """Whether `graph` can make a network."""
        return self._graph is not None

    def graph(self, arch: Architecture) -> Graph:
        """Return the network of `arch` as a graph.

        Raises:
            SpaceError: the space makes no graphs, or failed to make this one.
        """
        if self._graph is None:
            raise SpaceError(
                f"space {self.name!r} makes no graphs",
                "give SearchSpace(graph=...), or let the study's [network] name a command",
            )
        from hwnas.network import Graph

        found = self._make(self._graph, arch)
        if not isinstance(found, Graph):
            raise self._no(found, "hwnas.network.Graph")
        return found

    def build(self, arch: Architecture) -> nn.Module:
        """Return the network of `arch` as a PyTorch module, from `build` or else from the graph.

        Raises:
            SpaceError: the space makes no networks, or failed to make this one.
        """
        if self._build is not None:
            from torch import nn

            found = self._make(self._build, arch)
            if not isinstance(found, nn.Module):
                raise self._no(found, "torch.nn.Module")
            return found
        if self._graph is None:
            raise SpaceError(f"space {self.name!r} makes no networks", "give SearchSpace(graph=...) or (build=...)")
        from hwnas.network import to_module  # imports torch

        return to_module(self.graph(arch))

    def to_json(self) -> dict[str, Any]:
        """Return the space as JSON data, without the functions that make networks."""
        return {
            "name": self.name,
            "version": self.version,
            "parameters": [parameter.to_json() for parameter in self.parameters],
            "constraints": [constraint.text for constraint in self.constraints],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SearchSpace:
        """Return the space that `to_json` wrote.

        Raises:
            SpaceError: `data` is something else.
        """
        try:
            tables = [dict(table) for table in data["parameters"]]
            parameters = [make_parameter(table.pop("name"), table) for table in tables]
            return cls(data["name"], parameters, data["constraints"], data["version"])
        except (KeyError, TypeError, ValueError) as exc:
            raise SpaceError(f"this is no search space: {exc}", "give what SearchSpace.to_json wrote") from exc

    def _described(self) -> tuple[str, tuple[Parameter, ...], tuple[Constraint, ...], str]:
        return self.name, self.parameters, self.constraints, self.version

    def _wrap(self, values: Mapping[str, Value]) -> Architecture:
        return Architecture(self.name, self.version, values)

    def _own(self, arch: Architecture) -> None:
        if arch.space != self.name or arch.space_version != self.version:
            raise SpaceError(
                f"architecture {arch.id} is of space {arch.space!r}, version {arch.space_version!r}, "
                f"not of {self.name!r}, version {self.version!r}",
                "make it with this space's architecture(...)",
            )

    def _distinct(
        self, found: Iterable[dict[str, Value]], arch: Architecture, most: int | None = None
    ) -> list[Architecture]:
        """Return the first `most` distinct architectures among `found`, without `arch`."""
        distinct: dict[str, Architecture] = {}
        for values in found:
            if most is not None and len(distinct) >= most:
                break
            other = self._wrap(values)
            if other != arch:
                distinct.setdefault(other.id, other)
        return list(distinct.values())

    @cached_property
    def _anchors(self) -> list[Architecture]:
        """Valid architectures spread over the space, the same in every process."""
        found = _sampling.draw(self._structure, self._wrap, _ANCHORS, np.random.default_rng(0), "sobol", frozenset())
        if not found.archs:
            raise found.error(self.name, 1)
        return found.archs

    def _near(self, row: FloatArray, dense: Mapping[str, Value]) -> Architecture:
        """Return a valid architecture near to `row`, whose nearest values are `dense` and break a constraint."""
        gaps = (self.encode(self._anchors) - row) ** 2
        found = []
        for place in np.argsort(gaps.sum(axis=1), kind="stable")[:_NEAREST_ANCHORS].tolist():
            by_gap = sorted(self.columns, key=lambda column: -gaps[place, column.index])
            order = list(dict.fromkeys(column.parameter for column in by_gap))
            found.append(self._wrap(_repair.approach(self._structure, self._anchors[place].values, dense, order)))
        return found[int(np.argmin(((self.encode(found) - row) ** 2).sum(axis=1)))]

    def _no(self, made: object, wanted: str) -> SpaceError:
        return SpaceError(
            f"space {self.name!r}: its function made {type(made).__name__}, and not a {wanted}", "let it return one"
        )

    def _make(self, function: Callable[[Architecture], Made], arch: Architecture) -> Made:
        """Return what a space's own function makes of `arch`; its errors name the architecture."""
        self._own(arch)
        try:
            return function(arch)
        except HwnasError:
            raise
        except Exception as exc:  # the user's function may raise anything
            raise SpaceError(
                f"space {self.name!r} cannot make the network of {dict(arch.values)}: {type(exc).__name__}: {exc}",
                "mend the function that makes it, or add a constraint",
            ) from exc
