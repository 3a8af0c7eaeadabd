"""Run the language example's study by SAAS + qNEHVI and by Sobol points, and draw the figures of the method's paper.

    python -m benchmarks.nlu [--workspace FOLDER] [--only saas|sobol|figures] [--trials N] [--out FOLDER]

Both studies are `examples/nlu/search-small.toml`, an ordinary study file; the second has another name and strategy.
They lie in one workspace, so they share the measurements of networks that both try, and their first trials are the same
architectures with the same seeds. What was interrupted, by Ctrl-C or by a power cut, goes on with the same command.

The figures are what these commands make:

    hwnas search diagnose nlu-small                      # leave-one-out: SAAS beside a plain Gaussian process
    hwnas search compare nlu-small nlu-small-sobol       # both relative to the production model at (1, 1)
    hwnas search front nlu-small
    hwnas report nlu-small                               # one HTML page

Their files are copied to `benchmarks/results/nlu/`, the page compressed, with a CSV file of all trials of each study.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hwnas.cli._stop import stopping
from hwnas.device import DeviceRegistry
from hwnas.errors import DeviceNotFoundError
from hwnas.search import (
    BatchProposed,
    Event,
    Study,
    StudyConfig,
    StudyResult,
    TrialCompleted,
    TrialFailed,
    Warned,
    load_study_config,
    run_study,
)
from hwnas.store import Store
from hwnas.workspace import Workspace

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLE = REPOSITORY / "examples" / "nlu"
FILE = EXAMPLE / "search-small.toml"
#: The strategy of each study, and how its name differs from the file's.
STUDIES = {"saas": ("saas-qnehvi", ""), "sobol": ("sobol", "-sobol")}
#: What is kept of a study's folder.
KEPT = (
    "front.png",
    "front.json",
    "diagnosis.png",
    "diagnosis.json",
    "compare.png",
    "compare.json",
)


def main() -> None:
    """Run what is left to run, then make the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, default=REPOSITORY / "searches" / "benchmark-nlu")
    parser.add_argument("--only", choices=(*STUDIES, "figures"), help="one part of it")
    parser.add_argument("--trials", type=int, help="trials of each study; the file's number by default")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "benchmarks" / "results" / "nlu")
    options = parser.parse_args()

    config = load_study_config(FILE)
    workspace = Workspace.create(options.workspace)
    register_devices(config, workspace)
    if options.only != "figures":
        make_data()
    for name in STUDIES:
        if options.only in (None, name):
            search(name, config.search.name, workspace, options.trials)
    if options.only in (None, "figures"):
        figures(config.search.name, workspace, options.out)


def register_devices(config: StudyConfig, workspace: Workspace) -> None:
    """Register the devices that the study names and the workspace lacks, as this repository has them."""
    registry = DeviceRegistry(workspace)
    names = [objective.device for objective in config.resolved_objectives() if objective.device is not None]
    for name in dict.fromkeys(names):
        try:
            registry.get(name)
        except DeviceNotFoundError as exc:
            profile = REPOSITORY / "devices" / f"{name}.toml"
            if not profile.exists():
                raise SystemExit(f"{exc.message}: {exc.hint}") from exc
            (workspace.devices / profile.name).write_bytes(profile.read_bytes())
            print(f"registered {name} in {workspace.root}", flush=True)


def make_data() -> None:
    """Make the example's data, where there is none."""
    if not any((EXAMPLE / "data").glob("*_train.tsv")):
        subprocess.run([sys.executable, "generate.py"], cwd=EXAMPLE, check=True)


def search(which: str, name: str, workspace: Workspace, trials: int | None) -> None:
    """Run one of the two studies to its end, or go on with it."""
    strategy, suffix = STUDIES[which]
    changes: dict[str, Any] = {"name": name + suffix, "strategy": strategy}
    if trials is not None:
        changes["trials"] = trials
    print(f"{name + suffix}: {strategy}", flush=True)
    with stopping() as stop:
        result = run_study(FILE, workspace, changes=changes, on_event=say, stop=stop)
    check(result)


def say(event: Event) -> None:
    """Print what a reader of the log should know."""
    if isinstance(event, BatchProposed):
        numbers = ", ".join(str(number) for number in event.trials)
        print(f"  batch {event.batch} by {event.origin}, fit {event.fit_s:.0f} s: trials {numbers}", flush=True)
    elif isinstance(event, TrialCompleted):
        figures = ", ".join(f"{name} {value.value:.4g}" for name, value in event.trial.values.items())
        print(f"  trial {event.trial.number}: {figures}", flush=True)
    elif isinstance(event, TrialFailed):
        print(f"  trial {event.number} failed: {event.error}", flush=True)
    elif isinstance(event, Warned):
        print(f"  {event.message}", flush=True)


def check(result: StudyResult) -> None:
    """Stop where a study has not come to its end."""
    if not result.finished:
        raise SystemExit(f"{result.name} is not finished; the same command goes on with it")


def figures(name: str, workspace: Workspace, out: Path) -> None:
    """Make the figures of the studies that are there, and copy them with all trials."""
    with_sobol = name + STUDIES["sobol"][1]
    for command in (
        ("search", "front", name),
        ("search", "diagnose", name),
        ("search", "compare", name, with_sobol),
        ("report", name),
    ):
        print("hwnas", *command, flush=True)
        subprocess.run([sys.executable, "-m", "hwnas", "--workspace", str(workspace.root), *command], check=True)
    keep(name, workspace, out)


def keep(name: str, workspace: Workspace, out: Path) -> None:
    """Copy what the commands have made, the page compressed, and write all trials of both studies."""
    out.mkdir(parents=True, exist_ok=True)
    folder = workspace.searches / name
    for file in KEPT:
        if (folder / file).exists():
            shutil.copyfile(folder / file, out / file)
    page = (folder / "report.html").read_bytes()
    (out / "report.html.gz").write_bytes(gzip.compress(page, mtime=0))
    store = Store.open(workspace.store_url)
    for study in (name, name + STUDIES["sobol"][1]):
        write_trials(Study.load(store, study), out / f"{study}.csv")
    store.close()


def write_trials(study: Study, path: Path) -> None:
    """Write a line for each trial: what was tried, and what came of it."""
    names = [objective.name for objective in study.objectives]
    parameters = [parameter.name for parameter in study.space.parameters]
    columns = [column for name in names for column in (name, f"{name}_sigma", f"{name}_again")]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["trial", "batch", "origin", "state", "training_s", *columns, *parameters])
        for trial in study.trials():
            row: list[object] = [trial.number, trial.batch, trial.origin, trial.state.value, _rounded(trial.duration_s)]
            for name in names:
                value, again = trial.values.get(name), trial.again.get(name)
                row += [
                    _rounded(None if value is None else value.value),
                    _rounded(None if value is None else value.sigma),
                    _rounded(None if again is None else again.value),
                ]
            row += [_rounded(trial.architecture.values.get(name)) for name in parameters]
            writer.writerow(row)


def _rounded(value: object) -> object:
    """Return a number with six digits, nothing for `None`, and anything else as it is."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else value


if __name__ == "__main__":
    main()
