"""Run what is missing of the comparison, and write the table and the plot.

    python -m benchmarks.search                          run everything that is missing, cheap methods first
    python -m benchmarks.search --minutes 60             stop after an hour; the same command goes on
    python -m benchmarks.search --only dtlz2/saas-qnehvi --seeds 0 1
    python -m benchmarks.search --report                 only the table and the plot

Peers come from the extra `bench`: pip install -c constraints.txt -e '.[bench]'. A finished batch is never done again.
"""

from __future__ import annotations

import argparse
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.search.methods import METHODS
from benchmarks.search.nasbench201 import table
from benchmarks.search.report import write_report
from benchmarks.search.runs import PROBLEMS, REPOSITORY, Run, execute, start, unfinished

if TYPE_CHECKING:
    import subprocess


def main() -> None:
    """Do what the command line says."""
    options = parse()
    if options.execute:
        problem, method, seed = options.execute.split("/")
        execute(Run(problem, method, int(seed)), options.out, options.evaluations)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.report:
        work(options)
    write_report(options.out, options.evaluations)


def parse() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.search", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="PROBLEM[/METHOD]", help="or */METHOD; several")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--evaluations", type=int, default=240)
    parser.add_argument("--minutes", type=float, help="stop in the middle of a batch after so long")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; CPU seconds suffer where cores are few")
    parser.add_argument("--report", action="store_true", help="run nothing")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "benchmarks" / "results" / "search")
    parser.add_argument("--execute", help=argparse.SUPPRESS)
    return parser.parse_args()


def work(options: argparse.Namespace) -> None:
    """Start run after run until none is missing or the time is over."""
    runs = list(unfinished(wanted(options), options.out, options.evaluations))
    end = None if options.minutes is None else time.monotonic() + 60 * options.minutes
    print(f"{len(runs)} runs are not finished", flush=True)
    live: dict[subprocess.Popen[bytes], Run] = {}
    for number in (signal.SIGINT, signal.SIGTERM):  # so that the runs end with us, in the background too
        signal.signal(number, signal.default_int_handler)
    try:
        while (runs or live) and (end is None or time.monotonic() < end):
            while runs and len(live) < options.jobs:
                run = runs.pop(0)
                live[start(run, options.out, options.evaluations)] = run
            for process in [process for process in live if process.poll() is not None]:
                run = live.pop(process)
                if process.returncode:
                    print(f"  {run} failed with exit code {process.returncode}", flush=True)
            time.sleep(0.2)
    except KeyboardInterrupt:
        print("stopped; the same command goes on", flush=True)
    finally:
        for process in live:
            process.terminate()
        for process in live:
            process.wait()


def wanted(options: argparse.Namespace) -> list[Run]:
    """Return the runs that the options name: seed by seed, and cheap methods before dear ones."""
    patterns = [f"{pattern}/*" if "/" not in pattern else pattern for pattern in options.only] or ["*/*"]
    problems = list(PROBLEMS)
    if table() is None:
        print("nasbench201 is skipped: there is no table; HWNAS_PUBLIC_DATA names its folder", flush=True)
        problems.remove("nasbench201")
    for name, entry in METHODS.items():
        if not entry.installed:
            print(f"{name} is skipped: {entry.needs} is not installed; the extra `bench` has it", flush=True)
    methods = [name for name, entry in METHODS.items() if entry.installed]
    networked = {problem for problem in problems if PROBLEMS[problem]().space.has_graph}
    named = [tuple(pattern.split("/", 1)) for pattern in patterns]
    for problem, method in named:
        if problem not in ("*", *PROBLEMS) or method not in ("*", *METHODS):
            raise SystemExit(f"{problem}/{method}: problems are {', '.join(PROBLEMS)}, methods {', '.join(METHODS)}")
    return [
        Run(problem, method, seed)
        for method in sorted(methods, key=list(METHODS).index)
        for seed in options.seeds
        for problem in problems
        if problem in networked or not METHODS[method].networks
        if any(a in ("*", problem) and b in ("*", method) for a, b in named)
    ]


if __name__ == "__main__":
    main()
