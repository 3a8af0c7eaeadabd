"""What can be computed of an architecture before it is tried: figures of its network, and predicted latencies.

Where an objective's value follows from the architecture alone, the search computes it for every candidate and does not
model it: parameters and multiply-accumulates of the space's own network, or a latency that a predictor foretells and
nobody measures.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hwnas.errors import HwnasError
from hwnas.search._trial import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jaxtyping import Float

    from hwnas.search._objective import Objective
    from hwnas.search._trial import Trial
    from hwnas.space import Architecture, SearchSpace

#: An oracle is asked about some of the trials first: whether it says what they were told, and how long it takes.
_ASKED = 8
#: How long it may take for all that a batch looks at, and how many architectures that is, roughly.
_MOST_CPU_S, _LOOKED_AT = 30.0, 6000
_SAME = 1e-6


class Oracle(Protocol):
    """Knows some objectives' values of any architecture of a space. What it says of one never changes.

    Attributes:
        names: of the objectives, in the order of its columns.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """The objectives' names, in the order of the columns."""
        ...

    def values(self, architectures: Sequence[Architecture]) -> Float[np.ndarray, "n k"]:
        """Return the values in the objectives' own units; NaN where an architecture has none."""
        ...


class NetworkOracle:
    """Counts the parameters and the multiply-accumulates of a space's own networks."""

    def __init__(self, space: SearchSpace, objectives: Sequence[Objective]) -> None:
        """Take a space with a graph, and those of the objectives that are figures of its networks."""
        self._space = space
        self._metrics = [o.metric for o in objectives]
        self.names = tuple(objective.name for objective in objectives)

    def values(self, architectures: Sequence[Architecture]) -> Float[np.ndarray, "n k"]:
        """Return the figures; NaN where the space fails to make the network."""
        rows = np.full((len(architectures), len(self.names)), np.nan)
        for place, architecture in enumerate(architectures):
            try:
                graph = self._space.graph(architecture)
            except HwnasError:
                continue
            rows[place] = [graph.params if metric == "params" else graph.macs for metric in self._metrics]
        return rows


class Remembered:
    """An oracle that is asked about each architecture once.

    Attributes:
        names: see `Oracle`.
        each_s: processor seconds an answer took, on average; 0 before the second one, for the first may import modules.
    """

    def __init__(self, oracle: Oracle) -> None:
        """Take the oracle."""
        self._oracle = oracle
        self._rows: dict[str, Float[np.ndarray, " k"]] = {}
        self._cpu_s, self._timed = 0.0, 0
        self.names = oracle.names

    @property
    def each_s(self) -> float:
        """See the class."""
        return self._cpu_s / max(1, self._timed)

    def values(self, architectures: Sequence[Architecture]) -> Float[np.ndarray, "n k"]:
        """Return the values; see `Oracle.values`."""
        new = list({arch.id: arch for arch in architectures if arch.id not in self._rows}.values())
        for part in [new] if self._rows else [new[:1], new[1:]]:
            if not part:
                continue
            began = time.thread_time()
            answers = self._oracle.values(part)
            if self._rows:
                self._cpu_s += time.thread_time() - began
                self._timed += len(part)
            self._rows.update(zip((arch.id for arch in part), answers, strict=True))
        rows = [self._rows[arch.id] for arch in architectures]
        return np.array(rows, dtype=np.float64).reshape(len(architectures), len(self.names))


def trusted(oracle: Remembered, trials: Sequence[Trial]) -> tuple[list[int], list[str]]:
    """Return which columns of an oracle can be relied on, and in a sentence each why others cannot.

    It must say what the trials were told (a figure may come from somewhere else, such as a file that a command wrote),
    and it must answer fast enough for thousands of candidates a batch.

    Args:
        oracle: what is to be relied on.
        trials: of the study; measured values are not compared.
    """
    told = [trial for trial in trials if any(_comparable(trial, name) for name in oracle.names)][-_ASKED:]
    rows = oracle.values([trial.architecture for trial in told])
    if oracle.each_s * _LOOKED_AT > _MOST_CPU_S:
        slow = f"computing it takes {1000 * oracle.each_s:.0f} ms a network, too long: it is modelled instead"
        return [], [f"{' and '.join(oracle.names)}: {slow}"]
    columns, notices = [], []
    for column, name in enumerate(oracle.names):
        pairs = [(row[column], trial) for row, trial in zip(rows, told, strict=True) if _comparable(trial, name)]
        other = [t for value, t in pairs if not abs(value - t.values[name].value) <= _SAME * abs(value)]
        if other:
            notices.append(
                f"{name}: trial {other[0].number} was told {other[0].values[name].value:g}, which is not what its "
                "architecture gives: it is modelled instead of computed"
            )
        else:
            columns.append(column)
    return columns, notices


def _comparable(trial: Trial, name: str) -> bool:
    return name in trial.values and trial.values[name].provenance != Provenance.MEASURED


class Computed:
    """The columns of oracles that are relied on, as scores: more is better.

    Attributes:
        objectives: by column.
    """

    def __init__(self, parts: Sequence[tuple[Oracle, Sequence[int]]], objectives: Sequence[Objective]) -> None:
        """Take oracles with those of their columns that `trusted` found, and the study's objectives."""
        by_name = {objective.name: objective for objective in objectives}
        self._parts = [(oracle, list(columns)) for oracle, columns in parts]
        self.objectives = tuple(by_name[oracle.names[column]] for oracle, columns in parts for column in columns)

    def scores(self, architectures: Sequence[Architecture]) -> Float[np.ndarray, "n k"]:
        """Return the scores; NaN where an architecture has no value, or one that its objective does not admit."""
        values = np.concatenate([oracle.values(architectures)[:, columns] for oracle, columns in self._parts], axis=1)
        scores = np.full(values.shape, np.nan)
        for place, objective in enumerate(self.objectives):
            for row, value in enumerate(values[:, place].tolist()):
                if objective.admits(value):
                    scores[row, place] = objective.score(value)
        return scores


class Oracles:
    """What a strategy can compute, kept between its batches: answers are remembered, and each notice is given once."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._foretold: Remembered | None = None
        self._network: tuple[SearchSpace, Remembered] | None = None
        self._told: set[str] = set()

    def add(self, oracle: Oracle) -> None:
        """Let an oracle say the values of some objectives from now on."""
        self._foretold = Remembered(oracle)

    def computed(
        self, space: SearchSpace, objectives: Sequence[Objective], trials: Sequence[Trial]
    ) -> tuple[Computed | None, list[str]]:
        """Return what can be computed of architectures, `None` where nothing can; and what a person should know."""
        names = {objective.name for objective in objectives}
        parts, notices = [], []
        for oracle in (self._of_networks(space, objectives), self._foretold):
            if oracle is not None and names.issuperset(oracle.names):
                columns, found = trusted(oracle, trials)
                notices += [notice for notice in found if notice not in self._told]
                self._told.update(found)
                parts += [(oracle, columns)] if columns else []
        return (Computed(parts, objectives) if parts else None), notices

    def _of_networks(self, space: SearchSpace, objectives: Sequence[Objective]) -> Remembered | None:
        wanted = [o for o in objectives if o.source == "network" and o.metric in ("params", "macs")]
        if not wanted or not space.has_graph:
            return None
        if self._network is None or self._network[0] is not space:
            self._network = space, Remembered(NetworkOracle(space, wanted))
        return self._network[1]


def within_limits(
    space: SearchSpace, objectives: Sequence[Objective], trials: Sequence[Trial]
) -> Callable[[Sequence[Architecture]], list[bool]] | None:
    """Return what says which architectures keep to the limits that can be computed; `None` where none can."""
    limited = [objective for objective in objectives if objective.limit is not None]
    computed, _ = Oracles().computed(space, limited, trials)
    if computed is None:
        return None
    least = np.array([o.score(o.limit) for o in computed.objectives if o.limit is not None])

    def within(architectures: Sequence[Architecture]) -> list[bool]:
        return [bool((row >= least).all()) for row in computed.scores(architectures)]

    return within
