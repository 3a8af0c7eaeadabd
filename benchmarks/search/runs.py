"""Runs: one file each, written after every batch, so that all of it can go on another day.

A run is one problem, one method and one seed, in a process of its own with one thread. Its file holds, for each batch,
the CPU seconds that the method took to choose it and the true values of what it chose; while the run is not finished,
also the settings and what the method was told, from which another process goes on.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from benchmarks.search.methods import BATCH, METHODS
from benchmarks.search.nasbench201 import nasbench201
from benchmarks.search.problems import Problem, branin_currin, dtlz2, network
from hwnas.search._pareto import hypervolume, non_dominated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).resolve().parents[2]
FORMAT = 1
PROBLEMS: dict[str, Callable[[], Problem]] = {
    "dtlz2": dtlz2,
    "branincurrin": branin_currin,
    "network": network,
    "nasbench201": nasbench201,
}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1") | {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
}


@dataclass(frozen=True, slots=True)
class Run:
    """One problem, one method, one seed."""

    problem: str
    method: str
    seed: int

    def __str__(self) -> str:
        """Return it as `--only` takes it."""
        return f"{self.problem}/{self.method}/{self.seed}"

    def path(self, folder: Path) -> Path:
        """Return its file."""
        return folder / f"{self.problem}.{self.method}.{self.seed}.json"

    def load(self, folder: Path) -> dict[str, Any] | None:
        """Return what there is of it."""
        path = self.path(folder)
        if not path.is_file():
            return None
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise SystemExit(f"{path}: format {data['format']} is not {FORMAT}; move the file away")
        return data


def execute(run: Run, folder: Path, evaluations: int) -> None:
    """Do what is left of a run, here and now, and write its file after every batch."""
    problem, entry = PROBLEMS[run.problem](), METHODS[run.method]
    method = entry.make(problem, run.seed)
    data = run.load(folder)
    if data is None or (data["batches"] and not entry.replays):
        data = {"format": FORMAT, "problem": run.problem, "method": run.method, "seed": run.seed, "batches": []}
    data |= {"versions": _versions(entry.needs)}
    for batch in data["batches"]:
        method.tell(batch["values"], batch["seen"])
    target = min(evaluations, entry.most or evaluations)
    while (done := sum(batch["n"] for batch in data["batches"])) < target:
        n = min(BATCH if done < BATCH else entry.batch, target - done)
        cpu_s, wall_s = cpu_time_s(), time.perf_counter()
        values = method.ask(n, len(data["batches"]))
        if not values:
            raise SystemExit(f"{run}: no more proposals after {done}")
        asked_s, wall_s = cpu_time_s() - cpu_s, time.perf_counter() - wall_s
        seen = [problem.observe(v, np.random.default_rng([run.seed, done + i, 77])) for i, v in enumerate(values)]
        truth = [[float(f"{figure:.6g}") for figure in problem.truth(v)] for v in values]
        cpu_s = cpu_time_s()
        method.tell(values, seen)
        told_s = cpu_time_s() - cpu_s
        times = {"cpu_s": round(asked_s + told_s, 3), "wall_s": round(wall_s, 3)}
        data["batches"].append({"n": len(values), **times, "truth": truth, "values": values, "seen": seen})
        _write(data, run.path(folder), finished=done + len(values) >= target)
        above = hypervolumes(problem, data)[-1]
        print(f"  {run}: {done + len(values)} evaluations, {above:.4g}, {times['cpu_s']:.1f} CPU s", flush=True)


def hypervolumes(problem: Problem, data: dict[str, Any]) -> list[float]:
    """Return the true hypervolume after each evaluation."""
    front = np.empty((0, len(problem.objectives)))
    found = []
    for row in problem.scores(np.array([row for batch in data["batches"] for row in batch["truth"]])):
        front = np.vstack([front, row])
        front = front[non_dominated(front)]
        found.append(hypervolume(front, problem.reference))
    return found


def cpu_time_s() -> float:
    """Return the CPU seconds of this process and of its children, dead and alive."""
    own, dead = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    alive = 0.0
    for child in psutil.Process().children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.Error:
            continue
        alive += times.user + times.system
    return own.ru_utime + own.ru_stime + dead.ru_utime + dead.ru_stime + alive


def unfinished(runs: list[Run], folder: Path, evaluations: int) -> Iterator[Run]:
    """Yield the runs that lack evaluations."""
    for run in runs:
        data = run.load(folder)
        done = sum(batch["n"] for batch in data["batches"]) if data else 0
        if done < min(evaluations, METHODS[run.method].most or evaluations):
            yield run


def start(run: Run, folder: Path, evaluations: int) -> subprocess.Popen[bytes]:
    """Start a run in a process of its own with one thread."""
    command = [sys.executable, "-m", "benchmarks.search", "--execute", str(run), "--out", str(folder)]
    environment = os.environ | ONE_THREAD
    return subprocess.Popen([*command, "--evaluations", str(evaluations)], cwd=REPOSITORY, env=environment)


def _write(data: dict[str, Any], path: Path, *, finished: bool) -> None:
    """Write the file at once and whole; a finished run needs no settings any more."""
    if finished:
        for batch in data["batches"]:
            batch.pop("values", None), batch.pop("seen", None)
    lines = ",\n  ".join(json.dumps(batch, separators=(",", ":")) for batch in data["batches"])
    head = json.dumps({key: value for key, value in data.items() if key != "batches"})
    beside = path.with_suffix(".tmp")
    beside.write_text(f'{head[:-1]},\n "batches": [\n  {lines}\n]}}\n', encoding="utf-8")
    beside.replace(path)


def _versions(needs: str) -> dict[str, str]:
    names = {"ax": ("ax-platform", "botorch"), "optuna": ("optuna",), "hwnas": ("hwnas", "botorch")}[needs]
    found = {name: version(name) for name in names}
    if "hwnas" in found:
        described = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=False
        )
        found["hwnas"] += f"+{described.stdout.strip()}" if described.returncode == 0 else ""
    return found
