"""What the models see of an architecture: its encoding, and, where the space makes its network, figures of that.

Six choices of an operation say nothing of how deep a network is, or that a part of it is cut off; a model would have to
learn it from trials. Where the space makes the network, this is computed instead, and stands beside the encoding as
further columns. A model with the SAAS prior takes from them what helps, and shrinks the others away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from hwnas.errors import HwnasError
from hwnas.search._computed import Remembered
from hwnas.space import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jaxtyping import Float

    from hwnas.space import Architecture, SearchSpace

#: Architectures from which the range of each figure is taken.
_SAMPLE = 256
#: A figure that goes with one before it, by the correlation, says nothing new.
_SAME = 0.99
#: Processor milliseconds a network, beyond which thousands of candidates a batch would take too long.
_MOST_MS = 10.0


class Inputs(Protocol):
    """Turns architectures into the rows that models are fitted to; a `SearchSpace` is one."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns."""
        ...

    @property
    def dim(self) -> int:
        """How many there are."""
        ...

    def encode(self, archs: Sequence[Architecture]) -> Float[np.ndarray, "n d"]:
        """Return a row for each architecture, in [0, 1] or little beyond."""
        ...


class NetworkInputs:
    """The encoding of a space, and figures of its networks.

    A figure enters by the logarithm of one more than it, scaled to [0, 1] on a sample of the space. Figures that are
    the same for all of the sample, or go with another, are left out. Answers are remembered.

    Attributes:
        columns: those of the space, then one for each figure, named `network: depth` and alike.
        dim: how many there are.
        each_ms: processor time that the figures of a network took, on the sample.
    """

    def __init__(self, space: SearchSpace, figures: Callable[..., np.ndarray], names: Sequence[str]) -> None:
        """Look at a sample of the space.

        Args:
            space: of the architectures.
            figures: gives `n x k` figures of n architectures, none negative.
            names: `k`, of the figures.

        Raises:
            HwnasError: the network of none of the sample can be made.
        """
        self._space = space
        self._figures = Remembered(_LogFigures(figures, names))
        found = self._figures.values(space.sample(min(_SAMPLE, space.size or _SAMPLE), np.random.default_rng(0)))
        self.each_ms = 1000 * self._figures.each_s
        found = found[np.isfinite(found).all(axis=1)]
        if not len(found):
            raise HwnasError(f"space {space.name!r} makes none of its networks", "look at what its graph function does")
        self._kept = _telling(found)
        self._low = found.min(axis=0)[self._kept]
        self._span = np.ptp(found, axis=0)[self._kept]
        more = [Column(space.dim + i, f"network: {names[j]}", "float") for i, j in enumerate(self._kept)]
        self.columns = (*space.columns, *more)
        self.dim = len(self.columns)

    def encode(self, archs: Sequence[Architecture]) -> Float[np.ndarray, "n d"]:
        """Return a row for each of n architectures; figures of a network that cannot be made lie in the middle."""
        X = self._space.encode(archs).reshape(len(archs), self._space.dim)
        scaled = (self._figures.values(archs)[:, self._kept] - self._low) / self._span
        return np.hstack([X, np.nan_to_num(scaled, nan=0.5)])


class _LogFigures:
    """An oracle of the logarithms of figures, each of one more than it."""

    def __init__(self, figures: Callable[..., np.ndarray], names: Sequence[str]) -> None:
        self._figures = figures
        self.names = tuple(names)

    def values(self, architectures: Sequence[Architecture]) -> Float[np.ndarray, "n k"]:
        """Return them; NaN where a network cannot be made."""
        try:
            found: np.ndarray = np.log1p(self._figures(architectures))
        except HwnasError:
            if len(architectures) == 1:
                return np.full((1, len(self.names)), np.nan)
            found = np.concatenate([self.values([one]) for one in architectures])
        return found


def inputs_of(space: SearchSpace, *, network: bool = True) -> tuple[Inputs, str]:
    """Return what models see of architectures, and why that is the encoding alone where a person may wonder.

    Args:
        space: of the architectures.
        network: whether figures of the network are wanted where the space makes it.
    """
    if not (network and space.has_graph):
        return space, ""
    from hwnas.predictor import NetworkFigures

    figures = NetworkFigures(space)
    try:
        found = NetworkInputs(space, figures, figures.names)
    except HwnasError as exc:
        return space, f"the models see the choices alone: {exc.message}"
    if found.each_ms > _MOST_MS:
        slow = f"computing figures of a network takes {found.each_ms:.0f} ms, too long for thousands of candidates"
        return space, f"the models see the choices alone: {slow}"
    return found, ""


def _telling(found: Float[np.ndarray, "n k"]) -> list[int]:
    """Return the columns that vary, and say something that those before do not."""
    kept: list[int] = []
    for column in np.flatnonzero(np.ptp(found, axis=0) > 0).tolist():
        alike = [abs(np.corrcoef(found[:, column], found[:, other])[0, 1]) for other in kept]
        if max(alike, default=0.0) < _SAME:
            kept.append(column)
    return kept
