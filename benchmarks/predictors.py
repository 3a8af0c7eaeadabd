"""Latency predictors on the public tables of HELP: the comparison that the README quotes.

    python benchmarks/predictors.py [--quick] [--fresh] [--draws 10] [--results FILE]

It reads nasbench201.csv.gz, fbnet.csv.gz and splits.json in ../shared/data or in the folder that HWNAS_PUBLIC_DATA
names, and says so and ends where they are absent. Each result is kept in the results file as soon as it is there; a
second run goes on where the first was ended. `--quick` takes two draws and leaves HELP's training out.

The protocol. A draw takes a pool of 450 of the 900 training architectures; references come from that pool. Every
measurement on the target is counted. *all*: Spearman over every architecture that was not measured. *trim80*: HELP's
query set, architectures 900 to 1899 less the fastest and slowest tenth. Within 10 %, the median absolute percentage
error and the coverage of the 95 % interval are over all that was not measured. Means are over devices; the standard
deviation is that of a draw's mean.

What is chosen where: source functions and scales by the evidence of the training devices' tables; references before
the target is measured; the weight of learned against broad scales by the target's own few measurements; the prior of
an outlier by leaving out one training device at a time (of .02 and .05, a difference within its noise); the other
constants by hand. Nothing that is fitted sees a test device beyond its counted measurements. But the method was
developed with the test figures in sight: products of features came after a look at raspi4, the block `depth` after
FBNet's F3 failed without it, outliers after samsung_s7. So these are not figures of a blind test.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import spearmanr

import hwnas.predictor
from hwnas.predictor import (
    CellFeaturiser,
    FbnetFeaturiser,
    FeatureBlocks,
    GaussianProcessModel,
    LatencyPredictor,
    LatencyTable,
    LookupTable,
    Prediction,
    ProxyModel,
    RidgeModel,
    cell_graphs,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parent
POOL, TRAINING = 450, 900
HELP_SUPPORTS = 3  # draws of the architectures that a trained HELP is adapted to
FBNET_TASKS = ("FD", "FA", "F1", "F2", "F3", "F4")
GPU = ("1080ti", "2080ti", "titan")
#: From the papers and their released programs, as the tables' README gives them; printed beside ours, never computed.
PUBLISHED = {
    "HELP, published": [0.932],
    "HELP's checkpoint, 20 measurements": [0.920],
}
PUBLISHED_FBNET = {
    "HELP": [0.910, 0.370, 0.793, 0.543, 0.413, 0.799],
    "MultiPredict": [0.960, 0.450, 0.756, 0.567, 0.434, 0.763],
    "NASFLAT": [0.961, 0.577, 0.809, 0.871, 0.814, 0.734],
}


@dataclass(frozen=True)
class Task:
    """One table with its features, and who trains and who is tested."""

    name: str
    table: LatencyTable
    features: FeatureBlocks
    featuriser: Any
    train: list[str]
    test: list[str]

    def training_table(self) -> LatencyTable:
        """Return the 900 training architectures on the training devices."""
        return self.table.select(rows=np.arange(TRAINING), devices=self.train)

    def pool(self, draw: int) -> np.ndarray:
        """Return the 450 architectures that a draw's references come from."""
        return np.random.default_rng(draw).permutation(TRAINING)[:POOL]


class Results:
    """Scores by key, kept in a file of JSON lines."""

    def __init__(self, path: Path, *, fresh: bool) -> None:
        """Read what is there, unless a fresh start is asked for."""
        self.path, self.rows = path, {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if fresh:
            path.unlink(missing_ok=True)
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                self.rows[row["key"]] = row["scores"]

    def get(self, key: str, compute: Callable[[], list[list[float]]]) -> list[list[float]]:
        """Return the scores under a key, computed and kept if they are not there for the code as it is."""
        key = f"{key}@{code_stamp(help_only='/help/' in key)}"
        if key not in self.rows:
            scores = compute()
            self.rows[key] = [[round(float(value), 5) for value in row] for row in scores]
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "scores": self.rows[key]}) + "\n")
        return self.rows[key]


@cache
def code_stamp(*, help_only: bool) -> str:
    """Return a hash of the code that a result depends on, so that a change of the code computes it again."""
    files = sorted(Path(hwnas.predictor.__file__).parent.glob("*.py"))
    used = [file for file in files if file.name.startswith("_help") == help_only]
    return hashlib.sha256(b"".join(file.read_bytes() for file in used)).hexdigest()[:8]


def scores(prediction: Prediction, y: np.ndarray, measured: np.ndarray) -> list[float]:
    """Return all, trim80, share within 10 %, median absolute percentage error, coverage."""
    rest = np.ones(len(y), bool)
    rest[measured] = False
    query = np.arange(900, 1900)
    query = query[np.argsort(y[query], kind="stable")][100:900]
    low, high = prediction.interval_ms(0.95)
    error = np.abs(prediction.mean_ms / y - 1)[rest]
    return [
        spearmanr(prediction.mean_ms[rest], y[rest])[0],
        spearmanr(prediction.mean_ms[query], y[query])[0],
        float(np.mean(error < 0.1)),
        float(np.median(error)),
        float(np.mean((low <= y) & (y <= high), where=rest)),
    ]


def random_references(task: Task, draw: int, count: int) -> np.ndarray:
    """Return live architectures of the draw's pool."""
    pool = task.pool(draw)
    return pool[task.features.live[pool]][:count]


def target_models(task: Task) -> dict[str, tuple[Callable[[], Any], np.ndarray]]:
    """Return the models that know the target alone, each with the features it takes."""
    stacked, counts = task.features.stacked(), task.features.blocks["counts"]
    models: dict[str, tuple[Callable[[], Any], np.ndarray]] = {
        name: (ProxyModel, task.table.facts[name][:, None]) for name in ("macs", "params") if name in task.table.facts
    }
    if not models:
        models["macs"] = (ProxyModel, task.features.blocks["costs"][:, :2].sum(1, keepdims=True))
    models["lookup table"] = (LookupTable, counts)
    models["ridge on the target"] = (RidgeModel, stacked)
    models["Gaussian process on the target"] = (GaussianProcessModel, stacked)
    models["ridge on the target's counts"] = (RidgeModel, counts)
    models["Gaussian process on the target's counts"] = (GaussianProcessModel, counts)
    return models


def run_target_models(task: Task, count: int, draws: int, results: Results) -> dict[str, np.ndarray]:
    """Return scores `draws x devices x 5` of each model that knows the target alone, at random references."""

    def one(model: Callable[[], Any], x: np.ndarray, draw: int) -> list[list[float]]:
        rows = random_references(task, draw, count)
        out = []
        for device in task.test:
            y = task.table.column(device)
            out.append(scores(model().fit(x[rows], y[rows]).predict(x), y, rows))
        return out

    return {
        name: np.array(
            [results.get(f"{task.name}/{name}/{count}/{d}", lambda m=m, x=x, d=d: one(m, x, d)) for d in range(draws)]
        )
        for name, (m, x) in target_models(task).items()
    }


def run_transfer(
    task: Task, count: int, draws: int, results: Results, *, designed: bool = True, broad: float = 0.3
) -> np.ndarray:
    """Return scores `draws x devices x 5` of the latency predictor."""
    trained: list[LatencyPredictor] = []

    def one(draw: int) -> list[list[float]]:
        if not trained:
            predictor = LatencyPredictor(task.featuriser, broad=broad)
            trained.append(predictor.fit(task.training_table(), task.features[np.arange(TRAINING)]))
        pool = task.pool(draw)
        rows = random_references(task, draw, count)
        if designed:
            rows = pool[trained[0].suggest_support(count, task.features[pool])]
        out = []
        for device in task.test:
            y = task.table.column(device)
            adapted = trained[0].adapt(task.features[rows], y[rows], device=device)
            out.append(scores(adapted.predict(task.features), y, rows))
        return out

    label = f"transfer/{'designed' if designed else 'random'}/{broad}"
    return np.array([results.get(f"{task.name}/{label}/{count}/{d}", lambda d=d: one(d)) for d in range(draws)])


def run_help(task: Task, split: dict[str, Any], seeds: int, results: Results) -> dict[str, np.ndarray]:
    """Return the scores of HELP for each seed: adapted to its references alone, and to ten architectures more.

    Those are drawn several times, as everywhere from what is live; and as the authors' program does, from the middle
    eight tenths of the 900 by the *target's* latencies, which nobody knows of a new device.
    """
    from hwnas.predictor import CellGraphs, HelpPredictor

    references = np.array(split["help_reference_indices"])
    devices = [*task.train, *split["validation"]]
    graphs = CellGraphs(*cell_graphs(task.table.architectures))
    latencies = task.table.select(devices=devices).latencies_ms

    def middle(y: np.ndarray, draw: int) -> np.ndarray:
        order = np.argsort(y[:TRAINING], kind="stable")[TRAINING // 10 : -TRAINING // 10]
        return np.random.default_rng(draw).permutation(order)[:10]

    def one(seed: int) -> list[list[float]]:
        print(f"training HELP, seed {seed}: some minutes", flush=True)
        validation = range(len(task.train), len(devices))
        model = HelpPredictor(seed=seed).fit(
            graphs[np.arange(TRAINING)], latencies[:TRAINING], latencies[references], validation=validation
        )

        def adapted(supports: list[np.ndarray]) -> Iterator[list[float]]:
            for device, support in zip(task.test, supports, strict=True):
                y = task.table.column(device)
                prediction = model.adapt(y[references], graphs[support], y[support]).predict(graphs)
                yield scores(prediction, y, np.union1d(references, support))

        columns = [task.table.column(device) for device in task.test]
        out = [*adapted([references] * len(columns))]
        for number in range(HELP_SUPPORTS):
            draw = seed * HELP_SUPPORTS + number
            out += adapted([random_references(task, draw, 10)] * len(columns))
            out += adapted([middle(y, draw) for y in columns])
        return out

    count = len(task.test)
    rows = np.array([results.get(f"{task.name}/help/200/{seed}", lambda s=seed: one(s)) for seed in range(seeds)])
    more = rows[:, count:].reshape(seeds, HELP_SUPPORTS, 2, count, -1)
    return {
        "HELP, ours, its 10 references": rows[:, :count],
        "HELP, ours, 20 measurements": more[:, :, 0].reshape(seeds * HELP_SUPPORTS, count, -1),
        "HELP, ours, 20 measurements drawn as its authors do": more[:, :, 1].reshape(seeds * HELP_SUPPORTS, count, -1),
    }


def line(name: str, cells: list[str]) -> str:
    """Return a row of a Markdown table."""
    return "| " + " | ".join([name, *cells]) + " |"


def print_device_tables(task: Task, found: dict[str, np.ndarray]) -> None:
    """Print the table of README: means by device, then all figures with their standard deviation over draws."""
    for title, index in (("all", 0), ("trim80", 1)):
        print(f"\n{task.name}, 10 measurements, Spearman, {title}\n")
        print(line("", [*task.test, "mean", "sd over draws"]))
        print(line("---", ["---"] * (len(task.test) + 2)))
        for name, values in found.items():
            means = values[:, :, index].mean(0)
            print(line(name, [f"{v:.3f}" for v in [*means, means.mean()]] + [spread(values[:, :, index])]))
        for name, published in PUBLISHED.items() if index else ():
            print(line(name, ["" for _ in task.test] + [f"{published[0]:.3f}", ""]))
    print(f"\n{task.name}, milliseconds and doubt\n")
    print(line("", ["within 10 %", "median error", "95 % coverage", "worst device's coverage", "best"]))
    print(line("---", ["---"] * 5))
    for name, values in found.items():
        within, error, cover = (values[:, :, i].mean() for i in (2, 3, 4))
        by_device = values[:, :, 4].mean(0)
        cells = [f"{within:.1%}", f"{error:.1%}", f"{cover:.1%}", f"{by_device.min():.1%}", f"{by_device.max():.1%}"]
        print(line(name, cells))


def spread(values: np.ndarray) -> str:
    """Return the standard deviation over draws of the mean over devices."""
    return f"{values.mean(1).std(ddof=1):.4f}" if len(values) > 1 else "one draw"


def print_fbnet(found: dict[str, dict[str, np.ndarray]]) -> None:
    """Print Spearman by task, with the geometric mean and the sd over draws."""
    print("\nFBNet, Spearman over all that was not measured, mean of a task's test devices (sd over draws)\n")
    print(line("", [*FBNET_TASKS, "geometric mean", "within 10 %", "95 % coverage"]))
    print(line("---", ["---"] * (len(FBNET_TASKS) + 3)))
    for name, tasks in found.items():
        means = [tasks[t][:, :, 0].mean() for t in FBNET_TASKS]
        cells = [f"{m:.3f} ({spread(tasks[t][:, :, 0])})" for m, t in zip(means, FBNET_TASKS, strict=True)]
        geometric = np.exp(np.mean(np.log(np.maximum(means, 1e-3))))
        further = [np.mean([tasks[t][:, :, i].mean() for t in FBNET_TASKS]) for i in (2, 4)]
        print(line(name, [*cells, f"{geometric:.3f}", *(f"{v:.1%}" for v in further)]))
    for name, values in PUBLISHED_FBNET.items():
        geometric = np.exp(np.mean(np.log(values)))
        print(line(f"{name}, published, 20", [*(f"{v:.3f}" for v in values), f"{geometric:.3f}", "", ""]))


def unlike_tasks(base: Task) -> Iterator[Task]:
    """Yield tasks whose targets are unlike all training devices: GPUs from the rest, and the rest from GPUs."""
    is_gpu = {name: name.startswith(GPU) for name in base.table.devices}
    twins = {second for _, second in base.table.twins()}
    targets = [name for name in base.table.devices if name not in twins]
    for name, train_gpu in (("GPUs from phones and CPUs", False), ("the rest from one GPU's batches", True)):
        train = [d for d in base.train if is_gpu[d] == train_gpu]
        test = [d for d in targets if is_gpu[d] != train_gpu]
        yield Task(f"unlike: {name}", base.table, base.features, base.featuriser, train, test)


def print_unlike(base: Task, draws: int, results: Results) -> None:
    """Print what remains where no training device is like the target, for three priors of the scales."""
    print("\nNAS-Bench-201, devices unlike all training ones, 10 measurements\n")
    print(line("", ["Spearman, all", "trim80", "within 10 %", "95 % coverage", "sd over draws"]))
    print(line("---", ["---"] * 5))
    for task in unlike_tasks(base):
        for label, broad in (("learned and broad scales", 0.3), ("broad alone", 1.0), ("learned alone", 0.001)):
            values = run_transfer(task, 10, draws, results, broad=broad)
            m = values.mean((0, 1))
            cells = [f"{m[0]:.3f}", f"{m[1]:.3f}", f"{m[2]:.1%}", f"{m[4]:.1%}", spread(values[:, :, 0])]
            print(line(f"{task.name}, {label}", cells), flush=True)


def print_times(task: Task) -> None:
    """Print how long training, adapting and predicting take here, now."""
    began = time.process_time()
    predictor = LatencyPredictor(task.featuriser).fit(task.training_table())
    fitted = time.process_time()
    rows = predictor.suggest_support(10, task.features[np.arange(TRAINING)])
    chosen = time.process_time()
    adapted = predictor.adapt(task.features[rows], task.table.column(task.test[0])[rows])
    ready = time.process_time()
    names = list(task.table.architectures) * (100_000 // len(task.table) + 1)
    started = time.process_time()
    features = task.featuriser(names[:100_000])
    seen = time.process_time()
    adapted.predict(features)
    ended = time.process_time()
    from_strings, from_features = (100_000 / (ended - since) for since in (started, seen))
    print(
        f"\n{task.name}, CPU seconds: training {fitted - began:.2f} ({len(task.train)} devices x {TRAINING}), "
        f"choosing 10 references {chosen - fitted:.2f}, adapting {ready - chosen:.3f}; predicting "
        f"{from_strings:,.0f} architectures a second from strings to milliseconds, {from_features:,.0f} from features"
    )


def data_folder() -> Path | None:
    """Return where the public tables are."""
    folder = Path(os.environ.get("HWNAS_PUBLIC_DATA", ROOT.parent.parent / "shared" / "data"))
    return folder if (folder / "splits.json").exists() else None


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="two draws, no HELP")
    parser.add_argument("--fresh", action="store_true", help="forget earlier results")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--help-seeds", type=int, default=3, help="trainings of HELP, minutes each")
    parser.add_argument("--only", choices=("nasbench201", "fbnet"), help="one of the two tables")
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "predictors.jsonl")
    options = parser.parse_args()
    folder = data_folder()
    if folder is None:
        print("skipped: no public tables in ../shared/data, and HWNAS_PUBLIC_DATA names no folder that holds them")
        return
    draws = 2 if options.quick else options.draws
    results = Results(options.results, fresh=options.fresh)
    splits = json.loads((folder / "splits.json").read_text(encoding="utf-8"))

    if options.only != "fbnet":
        seeds = 0 if options.quick else options.help_seeds
        report_cells(folder, splits["nasbench201"]["help"], draws, seeds, results)
    if options.only != "nasbench201":
        report_fbnet(folder, splits["fbnet"], draws, results)


def report_cells(folder: Path, split: dict[str, Any], draws: int, seeds: int, results: Results) -> None:
    """Run and print what is on NAS-Bench-201."""
    table, cells = LatencyTable.read(folder / "nasbench201.csv.gz"), CellFeaturiser()
    task = Task("NAS-Bench-201", table, cells(table.architectures), cells, split["train"], split["test"])
    found = run_target_models(task, 10, draws, results)
    if seeds:
        found |= run_help(task, split, seeds, results)
    found["transfer, random references"] = run_transfer(task, 10, draws, results, designed=False)
    found["transfer, designed references (the default)"] = run_transfer(task, 10, draws, results)
    print_device_tables(task, found)
    print_times(task)
    print_unlike(task, draws, results)


def report_fbnet(folder: Path, splits: dict[str, Any], draws: int, results: Results) -> None:
    """Run and print what is on FBNet."""
    table, blocks = LatencyTable.read(folder / "fbnet.csv.gz"), FbnetFeaturiser()
    features = blocks(table.architectures)
    rows: dict[str, dict[str, np.ndarray]] = {}
    for name in FBNET_TASKS:
        split = splits[name]
        task = Task(f"FBNet {name}", table, features, blocks, split["train"], split["test"])
        for model, values in run_target_models(task, 20, draws, results).items():
            rows.setdefault(f"{model}, 20", {})[name] = values
        for count in (10, 20):
            rows.setdefault(f"transfer, {count}", {})[name] = run_transfer(task, count, draws, results)
    print_fbnet(rows)


if __name__ == "__main__":
    main()
