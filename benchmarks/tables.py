"""Latency tables of our own: the same networks of a space on several targets, of this machine and of others.

    python benchmarks/tables.py --space digits [--networks 500] [--targets ort1 litert ...] [--minutes 30]
    python benchmarks/tables.py --space digits --plan        # what is there, what is missing, about how long it takes
    python benchmarks/tables.py --space digits --export      # write the files from what is there, measure nothing

It measures with the product's own protocol and store, in the workspace that --workspace names, and writes
measurements/SPACE.parquet (one row a network and target), SPACE-again.parquet (what was measured a second time),
SPACE-partial.parquet (columns that are not complete), and a card that says how and on what, SPACE.json and SPACE.md.

It goes target by target, 24 networks at a time, so that it may be ended at any moment, by --minutes, Ctrl-C or the
kernel, and be called again: what the workspace or the files in measurements/ hold is not measured again. The files are
written whenever a target is complete, and every ten minutes. More networks are always the same ones and some more.

A column is of one target on one machine, and named for both, for two machines give two columns. Before one is gone on
with, eight of its networks are measured once more: where their medians moved by more than 5 %, this is another machine,
or another state of it, and nothing is added. A target that is complete on some machine is done; --here measures it on
this one too.

Some networks, spread over all, are measured twice: how well the two agree is about as well as any predictor can do.
Where all networks are made of a hundred operations at most (nasbench201: 48), each of these is measured alone too, for
the lookup table that predictors are compared with: SPACE-operations.parquet.
One target is measured at a time: side by side, each on a core of its own, medians were the same, but other programs
then had no core to go to, and p99 told of them (rank correlation of two campaigns .5, alone .9).

Networks are drawn uniformly with a fixed seed. No two of them are the same when deployed, and those without a live
path from input to output are left out.
"""

from __future__ import annotations

import argparse
import contextlib
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from _table_column import AnotherMachineError, Column
from _table_targets import TARGETS, USUAL, in_order, machine_name, parts
from table_files import import_back, is_complete, write_files

from hwnas.cli._stop import stopping
from hwnas.errors import StoppedError
from hwnas.measurement import MeasurementStore
from hwnas.network import simplified
from hwnas.predictor import nearly_nothing, operations_of
from hwnas.space import get_space
from hwnas.space.nasbench201 import is_live
from hwnas.store import Store
from hwnas.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwnas.network import Graph
    from hwnas.space import Architecture, SearchSpace

ROOT = Path(__file__).resolve().parent.parent
SEED = 2026
CHUNK = 24  # three groups of what the protocol interleaves
MOST_OPERATIONS = 100
AT_ONCE = 8  # as many as the protocol interleaves
WRITE_EVERY_S = 600.0
USUAL_S = {"digits": 0.9, "nasbench201": 2.9}  # a network and target, about, until there are figures


def main() -> None:
    """Measure what is missing, as long as there is time, and write the files."""
    options = arguments()
    workspace = Workspace.create(options.workspace or ROOT / "searches" / "tables")
    space = get_space(options.space)
    with contextlib.closing(Store.open(workspace.store_url)) as store:
        import_back(options.out, space.name, store)
        chosen = networks(space, options.networks)
        if not options.export:
            table = Tables(space, chosen, options, store, workspace)
            print(table.plan(), flush=True)
            if options.plan:
                return
            with stopping() as stop:
                clock = threading.Timer(options.minutes * 60, stop.set)
                clock.daemon = True
                clock.start()
                table.run(stop)
                clock.cancel()
        write_files(store, space.name, options.out, options.networks, few_operations(space, chosen))


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", choices=tuple(USUAL_S), required=True)
    parser.add_argument("--networks", type=int, default=500)
    parser.add_argument("--again", type=int, default=40, help="how many of the networks are measured twice")
    parser.add_argument("--targets", nargs="+", choices=tuple(TARGETS), default=USUAL, metavar="TARGET")
    parser.add_argument("--samples", type=int, default=1000, help="inferences that count, of each network and target")
    parser.add_argument("--minutes", type=float, default=24 * 60, help="stop then; the same command goes on")
    parser.add_argument("--machine", default=machine_name(), help="what this machine is called (default: %(default)s)")
    parser.add_argument("--here", action="store_true", help="also targets that are complete on another machine")
    parser.add_argument("--workspace", type=Path, help="where the store of all samples is; searches/tables by default")
    parser.add_argument("--out", type=Path, default=ROOT / "measurements", help="folder of the files")
    parser.add_argument("--plan", action="store_true", help="measure nothing, and say what is missing")
    parser.add_argument("--export", action="store_true", help="measure nothing, and write the files")
    return parser.parse_args()


def networks(space: SearchSpace, count: int) -> list[Architecture]:
    """Return the first `count` networks of the table; a longer list begins with a shorter one."""
    found: dict[str, Architecture] = {}
    drawn = space.sample(min(space.size or 4096, 4096), np.random.default_rng(SEED), method="uniform")
    for architecture in drawn:
        if len(found) == count:
            break
        if space.name != "nasbench201" or is_live(architecture):
            found.setdefault(simplified(space.graph(architecture)).hash, architecture)
    if len(found) < count:
        raise SystemExit(f"error: there are {len(found)} networks for this table; ask for no more with --networks")
    return list(found.values())


def few_operations(space: SearchSpace, architectures: Sequence[Architecture]) -> tuple[Graph, ...]:
    """Return the operations that the networks are made of; none where they are too many to be measured."""
    found: dict[Graph, None] = {}
    for architecture in architectures:
        found.update(dict.fromkeys(operations_of(space.graph(architecture))))
        if len(found) > MOST_OPERATIONS:
            return ()
    return (nearly_nothing(), *found)


class Tables:
    """All columns: what is known of each, which of them this machine is to measure, and in what order."""

    def __init__(
        self,
        space: SearchSpace,
        architectures: Sequence[Architecture],
        options: argparse.Namespace,
        store: Store,
        workspace: Workspace,
    ) -> None:
        """Count what is known."""
        self._space, self._architectures, self._options = space, architectures, options
        self._store, self._workspace = store, workspace
        every = max(1, round(len(architectures) / max(1, options.again)))
        self._twice = {item.id for item in architectures[::every][: options.again]}
        self._known: dict[str, Counter[str]] = {}
        self._spent_s, self._made, self._written = 0.0, 0, time.monotonic()
        self._refused: set[str] = set()
        self._operations = few_operations(space, architectures)
        wanted = {architecture.id for architecture in architectures}
        for found in MeasurementStore(store).list(space=space.name):
            if found.architecture_id in wanted and parts(found.device)[0] in TARGETS:
                self._of(found.device)[found.architecture_id] += 1

    @property
    def mine(self) -> list[str]:
        """The columns that this machine is to measure or to complete; those that it began come first."""
        options = self._options
        complete = (name for name, known in self._known.items() if is_complete(len(known), options.networks))
        elsewhere = {target for target, machine in map(parts, complete) if machine != options.machine}
        names = [f"{target}.{options.machine}" for target in options.targets if options.here or target not in elsewhere]
        left = [name for name in names if name not in self._refused and self._left(name)]
        return sorted(left, key=lambda name: not self._of(name))

    def plan(self) -> str:
        """Return what is there and what is to be done, as lines of text."""
        mine = self.mine
        lines = [
            f"{name:<44} {len(self._of(name)):>4} of {self._options.networks} networks"
            f"{'  (to be measured here)' if name in mine else ''}"
            for name in in_order([name for name in {*self._known, *mine} if self._of(name) or name in mine])
        ]
        return "\n".join([*lines, self.left()])

    def left(self) -> str:
        """Return how much is left for this machine, as words."""
        mine = self.mine
        count = sum(self._left(name) for name in mine)
        each_s = self._spent_s / self._made if self._made else USUAL_S[self._space.name]
        return f"{count} measurements left on {len(mine)} targets, about {count * each_s / 60:.0f} min"

    def run(self, stop: threading.Event) -> None:
        """Measure column by column until all are complete, the time is over or Ctrl-C came."""
        with contextlib.suppress(StoppedError):
            for name in self.mine:
                with Column(name, self._space, self._store, self._workspace, self._options.samples, stop) as column:
                    try:
                        self._fill(column)
                        column.measure_operations(self._operations)
                    except AnotherMachineError as exc:
                        print(exc, flush=True)
                        self._refused.add(name)
                self._write()
        print(self.left(), flush=True)

    def _fill(self, column: Column) -> None:
        """Measure what a column lacks: networks that are new to it, and some minutes later those that come twice."""
        known = self._of(column.name)
        if known:
            column.check([item for item in self._architectures if known[item.id]][:AT_ONCE])
        for start in range(0, len(self._architectures), CHUNK):
            chunk = self._architectures[start : start + CHUNK]
            self._measure(column, [item for item in chunk if not known[item.id]])
            due = [item for item in self._due(known) if item not in chunk]
            if len(due) >= AT_ONCE:
                self._measure(column, due)
        self._measure(column, self._due(known))

    def _measure(self, column: Column, architectures: Sequence[Architecture]) -> None:
        """Measure networks once more, say how it went, and write the files now and then."""
        if not architectures:
            return
        began = time.monotonic()
        self._of(column.name).update(column.measure(architectures))
        self._spent_s, self._made = self._spent_s + time.monotonic() - began, self._made + len(architectures)
        print(f"{column.said}; {self.left()}", flush=True)
        if time.monotonic() - self._written > WRITE_EVERY_S:
            self._write()

    def _of(self, name: str) -> Counter[str]:
        """Return how often each network is measured in a column."""
        return self._known.setdefault(name, Counter())

    def _due(self, known: Mapping[str, int]) -> list[Architecture]:
        """Return the networks that are to be measured twice and were once."""
        return [item for item in self._architectures if item.id in self._twice and known[item.id] == 1]

    def _left(self, name: str) -> int:
        """Return how many measurements a column still wants."""
        known = self._of(name)
        return sum(max(0, (2 if item.id in self._twice else 1) - known[item.id]) for item in self._architectures)

    def _write(self) -> None:
        write_files(self._store, self._space.name, self._options.out, self._options.networks, self._operations)
        self._written = time.monotonic()


if __name__ == "__main__":
    main()
