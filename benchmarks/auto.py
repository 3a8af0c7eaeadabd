"""Compare a search with `latency = "auto"` with one that measures everything: same seeds, same budget, one run.

    python benchmarks/auto.py [--trials 64] [--seeds 1] [--formula] [--folder FOLDER] [--out FOLDER]

Both are ordinary studies of the digits example with SAAS + qNEHVI, each in a workspace of its own, so that each makes
all the device measurements that it counts. An architecture that both try is trained once. When both are over, the
members of both fronts are measured together, interleaved, in a third workspace, and the hypervolumes are those of these
measurements: above an accuracy of 0.9 and the longest p99 on any front, in log p99. An interrupted run goes on where it
was. It writes `auto.json`, `auto.md` and `auto.png`.

`--formula` takes the accuracy from a formula instead of a training; latencies are measured all the same. It is there to
try the comparison in two minutes, and its figures are not the benchmark's.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomlkit
from digits import EXAMPLE, REPOSITORY, check, say

from hwnas.device import DeviceRegistry
from hwnas.locks import MachineTurns
from hwnas.measurement import MeasurementFailure, MeasurementStore, measure
from hwnas.network import write_onnx
from hwnas.search import Study, Trial, run_study
from hwnas.search._pareto import hypervolume, non_dominated
from hwnas.space import get_space
from hwnas.store import Store
from hwnas.workspace import Workspace

WAYS = ("measured", "auto")
ACCURACY = 0.9  # as in the example: what is less accurate is of no use


@dataclass(frozen=True)
class Run:
    """One finished search."""

    way: str
    seed: int
    study: Study

    @property
    def front(self) -> list[Trial]:
        """The front's members that are accurate enough to count."""
        return [trial for trial in self.study.pareto_front() if trial.values["accuracy"].value > ACCURACY]


def main() -> None:
    """Run what is left to run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from 0")
    parser.add_argument("--formula", action="store_true", help="accuracy by a formula: quick, and not the benchmark")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "searches" / "benchmark-auto")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "benchmarks" / "results")
    options = parser.parse_args()

    runs = []
    for seed in range(options.seeds):
        for way in WAYS:
            workspace = workspace_of(options.folder / way)
            path = write_study(workspace, way, seed, options)
            print(f"{path.stem}: {options.trials} trials ...", flush=True)
            check(run_study(path, workspace, on_event=say))
            runs.append(Run(way, seed, Study.load(Store.open(workspace.store_url), path.stem)))
    report = compare(runs, common_p99_ms(runs, workspace_of(options.folder / "common")), options)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "auto.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    plot(report, options.out / "auto.png")
    text = table(report)
    (options.out / "auto.md").write_text(text, encoding="utf-8")
    print("\n" + text)


def workspace_of(folder: Path) -> Workspace:
    """Return a workspace with the device `host` of the repository."""
    workspace = Workspace.create(folder)
    (workspace.devices / "host.toml").write_bytes((REPOSITORY / "devices" / "host.toml").read_bytes())
    return workspace


def write_study(workspace: Workspace, way: str, seed: int, options: argparse.Namespace) -> Path:
    """Return the example's study file with another name, seed and size, and with trainings that are remembered."""
    file = tomlkit.parse(EXAMPLE.read_text(encoding="utf-8"))
    search: Any = file["search"]
    search.update({"name": f"{way}-{seed}", "seed": seed, "trials": options.trials, "latency": way})
    if options.formula:
        here = Path(__file__).with_name("_formula.py")
        file["evaluation"] = {"python": f"{here}:accuracy"}
    else:
        evaluation: Any = file["evaluation"]
        cache = options.folder / "trainings"
        cache.mkdir(parents=True, exist_ok=True)
        remembered = f"{{python}} {Path(__file__).with_name('_cached_training.py')} {cache.absolute()} "
        evaluation["command"] = evaluation["command"].replace("{python} train.py", remembered + "train.py")
        evaluation["folder"] = str(EXAMPLE.parent)
    path = workspace.root / f"{way}-{seed}.toml"
    path.write_text(tomlkit.dumps(file), encoding="utf-8")
    return path


def common_p99_ms(runs: list[Run], workspace: Workspace) -> dict[str, float]:
    """Return the p99 of every front's members by architecture id, from one campaign that measures them together."""
    members = {trial.id: trial.architecture for run in runs for trial in run.front}
    folder = workspace.root / "networks"
    folder.mkdir(exist_ok=True)
    space = get_space("digits")
    networks = [write_onnx(space.graph(item), folder / f"{key}.onnx") for key, item in members.items()]
    print(f"measuring {len(networks)} members of both fronts together ...", flush=True)
    store = MeasurementStore(Store.open(workspace.store_url))
    profile = DeviceRegistry(workspace).get("host")
    found = measure(networks, profile, store=store, turns=MachineTurns(), wait_s=600.0)
    lost = [item for item in found if isinstance(item, MeasurementFailure)]
    if lost:
        raise SystemExit(f"{lost[0].network_name} could not be measured: {lost[0].error}")
    return {
        key: item.p99_ms for key, item in zip(members, found, strict=True) if not isinstance(item, MeasurementFailure)
    }


def compare(runs: list[Run], p99_ms: dict[str, float], options: argparse.Namespace) -> dict[str, Any]:
    """Return what each search came to, on the common measurements."""
    slowest = max(p99_ms.values())
    point = np.array([ACCURACY, -np.log(slowest)])
    rows = []
    for run in runs:
        front = [
            {
                "accuracy": trial.values["accuracy"].value,
                "p99_ms": trial.values["p99_ms"].value,
                "p99_ms_foretold": trial.foretold["p99_ms"].value if "p99_ms" in trial.foretold else None,
                "p99_ms_common": p99_ms[trial.id],
                "architecture": dict(trial.architecture.values),
            }
            for trial in run.front
        ]
        Y = np.array([[member["accuracy"], -np.log(member["p99_ms_common"])] for member in front]).reshape(-1, 2)
        counts = run.study.latency_counts()[0]
        proposed = run.study.proposals()
        rows.append(
            {
                "latency": run.way,
                "seed": run.seed,
                "complete": sum(str(trial.state) == "complete" for trial in run.study.trials()),
                "measured": counts.measured,
                "again": counts.again,
                "predicted": counts.predicted,
                "hypervolume": hypervolume(Y[non_dominated(Y)], point),
                "best_accuracy": max((member["accuracy"] for member in front), default=None),
                "fit_s": sum(record.fit_s for record in proposed),
                "acquisition_s": sum(record.acquisition_s for record in proposed),
                "front": front,
            }
        )
    total = {way: [row for row in rows if row["latency"] == way] for way in WAYS}
    volume = {way: float(np.mean([row["hypervolume"] for row in found])) for way, found in total.items()}
    made = {way: sum(row["measured"] + row["again"] for row in found) for way, found in total.items()}
    return {
        "trials": options.trials,
        "accuracy_by": "formula" if options.formula else "training",
        "reference": {"accuracy": ACCURACY, "p99_ms": slowest},
        "hypervolume_share": volume["auto"] / volume["measured"],
        "measurements_share": made["auto"] / made["measured"],
        "runs": rows,
    }


def table(report: dict[str, Any]) -> str:
    """Return the comparison as Markdown."""
    reference = report["reference"]
    lines = [
        '# `latency = "auto"` against measuring everything',
        "",
        f"Digits, {report['trials']} trials a search, accuracy by {report['accuracy_by']}. Hypervolume above",
        f"accuracy {reference['accuracy']} and p99 {reference['p99_ms']:.3f} ms, in log p99, of both fronts measured",
        "together.",
        "",
        "| latency | seed | complete | measured | again | predicted | hypervolume | best accuracy | fit + acq. s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in report["runs"]:
        best = "–" if row["best_accuracy"] is None else f"{row['best_accuracy']:.4f}"
        lines.append(
            f"| {row['latency']} | {row['seed']} | {row['complete']} | {row['measured']} | {row['again']} | "
            f"{row['predicted']} | {row['hypervolume']:.4f} | {best} | {row['fit_s'] + row['acquisition_s']:.1f} |"
        )
    lines += [
        "",
        f"`auto` reaches {report['hypervolume_share']:.1%} of the hypervolume (wanted: 97 %) with",
        f"{report['measurements_share']:.1%} of the device measurements, those of the fronts at the end included",
        "(wanted: a third at most).",
    ]
    return "\n".join(lines) + "\n"


def plot(report: dict[str, Any], path: Path) -> None:
    """Draw the fronts as measured together, and the measurements that each search made."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    colours = {"measured": "#0072B2", "auto": "#D55E00"}
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(3, 2), layout="constrained")
    for place, run in enumerate(report["runs"]):
        colour, label = colours[run["latency"]], run["latency"] if run["seed"] == 0 else None
        front = sorted(run["front"], key=lambda member: member["p99_ms_common"])
        x, y = [member["p99_ms_common"] for member in front], [100 * member["accuracy"] for member in front]
        left.plot(x, y, "o", color=colour, label=label, markersize=5)
        left.step(x, np.maximum.accumulate(y) if y else y, where="post", color=colour, alpha=0.6)
        right.barh(place, run["measured"], color=colour)
        right.barh(place, run["again"], left=run["measured"], color=colour, alpha=0.5)
        total = run["measured"] + run["again"]
        right.barh(place, run["predicted"], left=total, fill=False, edgecolor=colour, linestyle="--")
    left.set(xscale="log", xlabel="p99 latency (ms), measured together", ylabel="held-out accuracy (%)", title="Fronts")
    left.legend(title="latency")
    names = [f"{run['latency']}, seed {run['seed']}" for run in report["runs"]]
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    right.set(xlabel="measured, again (pale), predicted (dashed)", title="Device measurements")
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
