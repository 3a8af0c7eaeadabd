"""What it costs to choose: CPU seconds of each method for one batch, from the same trials, in one run.

    python -m benchmarks.search.cost [--trials 32 240] [--limit-s 1200] [--only METHOD ...] [--out FOLDER]

Each method is told the same Sobol points of the 24-parameter DTLZ2, with noise, and asked for 16 more (Ax with SAAS:
for one), in a process of its own with one thread. hwnas is asked twice, and the second time counts: the first has what
a study pays once (imports, compilation), and is said beside it. What takes longer than the limit is ended, and said.
Written to `search-cost.json` and `search-cost.md`; what was not asked for keeps the figures it had.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search.methods import BATCH, METHODS
from benchmarks.search.problems import dtlz2
from benchmarks.search.runs import ONE_THREAD, REPOSITORY, cpu_time_s
from hwnas.search import SobolStrategy

COMPARED = ("saas-qnehvi", "saas-map", "optuna-tpe", "optuna-gp", "ax", "ax-saas")


def main() -> None:
    """Measure what was asked for, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", nargs="+", type=int, default=[32, 240], help="how many trials are told")
    parser.add_argument("--only", nargs="+", choices=COMPARED, default=COMPARED)
    parser.add_argument("--limit-s", type=float, default=1200.0, help="seconds for one method and number of trials")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "benchmarks" / "results")
    parser.add_argument("--execute", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.execute:
        print(json.dumps(measured(options.execute[0], int(options.execute[1]))))
        return
    path = options.out / "search-cost.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for trials in options.trials:
        for method in options.only:
            if METHODS[method].installed:
                found[f"{method}/{trials}"] = in_a_process(method, trials, options.limit_s)
                print(f"{method}, {trials} trials: {found[f'{method}/{trials}']}", flush=True)
                path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    text = markdown(found)
    (options.out / "search-cost.md").write_text(text, encoding="utf-8")
    print(text)


def in_a_process(method: str, trials: int, limit_s: float) -> dict[str, Any]:
    """Return what `measured` says in a process with one thread, or that it took too long."""
    command = [sys.executable, "-m", "benchmarks.search.cost", "--execute", method, str(trials)]
    try:
        done = subprocess.run(
            command, cwd=REPOSITORY, env=os.environ | ONE_THREAD, stdout=subprocess.PIPE, timeout=limit_s, check=True
        )
    except subprocess.TimeoutExpired:
        return {"over_s": limit_s}
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def measured(name: str, trials: int) -> dict[str, Any]:
    """Return the CPU seconds of one choice, of the one before it where there was one, and how many were chosen."""
    problem, entry = dtlz2(), METHODS[name]
    method = entry.make(problem, 0)
    told = SobolStrategy(0).propose(problem.space, problem.objectives, (), trials, np.random.default_rng(0))
    settings = [dict(arch.values) for arch in told.architectures]
    for first in range(0, trials, BATCH):
        batch = settings[first : first + BATCH]
        seen = [problem.observe(v, np.random.default_rng([first + i, 77])) for i, v in enumerate(batch)]
        method.tell(batch, seen)
    asked: list[float] = []
    for _ in range(2 if entry.ours or entry.batch == 1 else 1):  # Ax's first candidate is the middle of the space
        cpu_s, wall_s = cpu_time_s(), time.perf_counter()
        chosen = method.ask(entry.batch, trials // BATCH)
        asked.append(cpu_time_s() - cpu_s)
        wall_s = time.perf_counter() - wall_s
    return {"cpu_s": asked[-1], "wall_s": wall_s, "first_cpu_s": asked[0], "chosen": len(chosen)}


def markdown(found: dict[str, Any]) -> str:
    """Return the results as a page."""
    lines = [
        "# What a choice costs",
        "",
        "CPU seconds of one thread to choose from the same trials of the 24-parameter DTLZ2, by",
        "`python -m benchmarks.search.cost`; in brackets the first choice of a study, with imports and compilation.",
        "",
        "| method | trials | chosen | CPU s | CPU s each | to hwnas, NUTS | to hwnas, fast |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for trials in sorted({int(key.split("/")[1]) for key in found}):
        for method in COMPARED:
            row = found.get(f"{method}/{trials}")
            if row is None:
                continue
            label = METHODS[method].label
            if "over_s" in row:
                lines.append(f"| {label} | {trials} | – | over {row['over_s']:.0f} | – | – | – |")
                continue
            each = row["cpu_s"] / row["chosen"]
            own = [found.get(f"{name}/{trials}", {}) for name in ("saas-qnehvi", "saas-map")]
            ratios = [f"{each * one['chosen'] / one['cpu_s']:.3g}" if "cpu_s" in one else "–" for one in own]
            first = f" ({row['first_cpu_s']:.3g})" if METHODS[method].ours else ""
            cells = [label, str(trials), str(row["chosen"]), f"{row['cpu_s']:.3g}{first}", f"{each:.3g}", *ratios]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
