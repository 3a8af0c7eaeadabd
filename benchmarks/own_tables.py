"""The latency predictor on our own tables: each target in turn is the new device, known by ten measurements of p99.

    python benchmarks/own_tables.py [--space digits nasbench201] [--draws 20] [--measured 10] [--quantile p99] [--write]

It reads measurements/SPACE.parquet (made by benchmarks/tables.py), skips, saying so, where there is none, and with
--write keeps what it prints in benchmarks/results/own_tables.md and .json.

The protocol. A draw splits the networks: 60 % train, on all targets but one (nor on that one on another machine);
the ten references come from these too, and are all that is known of the target. Everything is scored on the other 40 %,
which no target was trained on, by their p99 as it was measured once: Spearman's rank correlation, the median absolute
percentage error, the share within 10 %, and how often the 95 % interval holds the measurement. Figures are means over
draws, with the standard deviation over draws beside Spearman's. The retest is the same for two measurements of the same
networks, some minutes apart: what the noise of measuring leaves to be reached. Constants of the predictor were set on
other tables (benchmarks/predictors.py); nothing was chosen on these, but that intervals lacked the known error of
measuring was seen here, in their coverage by 50 references (81 and 85 %), and mended.
The lookup table of measured operations knows no network of the target; "on a line" its sums are fitted to the random
references.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from _table_targets import in_order, parts
from scipy.stats import spearmanr
from table_files import read, retest, row

from hwnas.measurement import record_sigma_log
from hwnas.predictor import (
    FeatureBlocks,
    Featuriser,
    LatencyPredictor,
    LatencyTable,
    LookupTable,
    OperationTable,
    Prediction,
    ProxyModel,
    RidgeModel,
    featuriser_of,
    nearly_nothing,
    operation_name,
    operations_of,
)
from hwnas.space import get_space

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hwnas.network import Graph
    from hwnas.space import SearchSpace

ROOT = Path(__file__).resolve().parent
SCORES = ("spearman", "median error", "within 10 %", "coverage")
TRAINING = 0.6
MANY = 50
DESIGNED, RANDOM = "transfer, chosen references", "transfer, random references"
SUMS = "lookup table, operations measured"


@dataclass(frozen=True)
class Tables:
    """What was measured in one space.

    Attributes:
        table: networks by targets, a quantile; those measured on every target.
        sigma_log: of the same shape, the standard error of each.
        features: of the networks.
        quantile: which one it is.
        retests: what two measurements have in common, by target.
        sums_ms: of the networks' operations, each measured alone, by target; empty where they were not.
    """

    space: str
    table: LatencyTable
    sigma_log: np.ndarray
    featuriser: Featuriser
    features: FeatureBlocks
    quantile: str
    retests: dict[str, dict[str, Any] | None]
    sums_ms: dict[str, np.ndarray]


def main() -> None:
    """Score every space that has a table, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", nargs="+", choices=("digits", "nasbench201"), default=["digits", "nasbench201"])
    parser.add_argument("--folder", type=Path, default=ROOT.parent / "measurements", help="where the tables are")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--measured", type=int, default=10, help="measurements on the new target")
    parser.add_argument("--quantile", choices=("p50", "p99"), default="p99")
    parser.add_argument("--write", action="store_true", help="keep the results")
    options = parser.parse_args()
    found, text = {}, []
    for space in options.space:
        if not (options.folder / f"{space}.parquet").exists():
            print(f"skipped: no {options.folder / space}.parquet; python benchmarks/tables.py --space {space} makes it")
            continue
        tables = load(options.folder, space, options.quantile)
        scores = evaluate(tables, options.draws, options.measured)
        found[space] = {"networks": len(tables.table), "measured": options.measured, "draws": options.draws}
        found[space] |= {"scores": summary(scores), "retests": tables.retests}
        text.append(report(tables, scores, options.measured))
        print(text[-1], flush=True)
    if options.write and found:
        folder = ROOT / "results"
        name = "own_tables" if options.quantile == "p99" else f"own_tables_{options.quantile}"
        how = "Printed by `python benchmarks/own_tables.py`, whose docstring has the protocol."
        body = "\n\n".join(["# The latency predictor on our own tables", how, *text]) + "\n"
        (folder / f"{name}.md").write_text(body, encoding="utf-8")
        (folder / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def load(folder: Path, name: str, quantile: Literal["p50", "p99"]) -> Tables:
    """Return the tables of a space, of those networks that were measured on every target."""
    space = get_space(name)
    records, again = read(folder / f"{name}.parquet"), read(folder / f"{name}-again.parquet")
    metric: Literal["p50_ms", "p99_ms"] = "p50_ms" if quantile == "p50" else "p99_ms"
    whole = LatencyTable.of_measurements(records, metric=metric)
    sigmas = np.full(whole.latencies_ms.shape, np.nan)
    place = {architecture.id: i for i, architecture in enumerate(whole.architectures)}
    for item in records:
        sigmas[place[item["architecture_id"]], whole.devices.index(item["device"])] = record_sigma_log(item, metric)
    complete = np.flatnonzero(np.isfinite(whole.latencies_ms).all(1))
    table = whole.select(rows=complete, devices=in_order(whole.devices))
    sigmas = sigmas[complete][:, [whole.devices.index(device) for device in table.devices]]
    featuriser = featuriser_of(space)
    by_target = {device: [item for item in records if item["device"] == device] for device in table.devices}
    retests = {device: retest(own, [a for a in again if a["device"] == device]) for device, own in by_target.items()}
    sums = sums_of_operations(table, space, read(folder / f"{name}-operations.parquet"), metric)
    return Tables(name, table, sigmas, featuriser, featuriser(table.architectures), quantile, retests, sums)


def sums_of_operations(
    table: LatencyTable, space: SearchSpace, records: Sequence[dict[str, Any]], metric: Literal["p50_ms", "p99_ms"]
) -> dict[str, np.ndarray]:
    """Return by target what a lookup table of measured operations says of the networks."""
    if not records:
        return {}
    graphs = [space.graph(architecture) for architecture in table.architectures]
    operations = {operation_name(item): item for graph in graphs for item in operations_of(graph)}
    operations[operation_name(nearly_nothing())] = nearly_nothing()
    found: dict[str, dict[Graph, tuple[float, float]]] = {}
    for item in records:
        operation = operations.get(item["network_name"])
        if operation is not None:
            figure = (item[metric], record_sigma_log(item, metric) or 0.0)
            found.setdefault(item["device"], {})[operation] = figure
    return {
        device: OperationTable.of(figures).predict(graphs).mean_ms
        for device, figures in found.items()
        if len(figures) == len(operations)
    }


def evaluate(tables: Tables, draws: int, measured: int) -> dict[str, np.ndarray]:
    """Return scores by model, `draws x targets x scores`."""
    found: dict[str, list[list[list[float]]]] = {}
    for draw in range(draws):
        order = np.random.default_rng(draw).permutation(len(tables.table))
        train, test = np.split(order, [round(TRAINING * len(order))])
        rows: dict[str, list[list[float]]] = {}
        for target in tables.table.devices:
            y = tables.table.column(target)
            for model, prediction in predictions(tables, target, train, test, measured):
                rows.setdefault(model, []).append(scores_of(prediction, y[test]))
        for model, values in rows.items():
            found.setdefault(model, []).append(values)
    return {model: np.array(values) for model, values in found.items()}


def predictions(
    tables: Tables, target: str, train: np.ndarray, test: np.ndarray, measured: int
) -> Iterator[tuple[str, Prediction]]:
    """Yield each model's name and what it predicts for the test networks on a target."""
    table, features = tables.table, tables.features
    y, sigma = table.column(target), tables.sigma_log[:, table.devices.index(target)]
    random = train[:measured]
    macs = table.facts["macs"][:, None]
    yield "MACs", ProxyModel().fit(macs[random], y[random]).predict(macs[test])
    counts = features.blocks["counts"]
    yield "lookup table", LookupTable().fit(counts[random], y[random]).predict(counts[test])
    yield "ridge on counts", RidgeModel().fit(counts[random], y[random]).predict(counts[test])
    if target in tables.sums_ms:
        sums = tables.sums_ms[target][:, None]
        yield SUMS, Prediction(sums[test, 0], np.zeros(len(test)))
        yield f"{SUMS}, on a line", ProxyModel().fit(sums[random], y[random]).predict(sums[test])
    others = [device for device in table.devices if parts(device)[0] != parts(target)[0]]
    predictor = LatencyPredictor(tables.featuriser).fit(table.select(rows=train, devices=others), features[train])
    chosen = train[predictor.suggest_support(measured, features[train])]
    for name, rows in ((RANDOM, random), (DESIGNED, chosen), (f"transfer, {MANY} random references", train[:MANY])):
        adapted = predictor.adapt(features[rows], y[rows], sigma_log=sigma[rows], device=target)
        yield name, adapted.predict(features[test])


def scores_of(prediction: Prediction, y: np.ndarray) -> list[float]:
    """Return Spearman, median absolute percentage error, share within 10 % and coverage."""
    low, high = prediction.interval_ms(0.95)
    error = np.abs(prediction.mean_ms / y - 1)
    rank = spearmanr(prediction.mean_ms, y)[0] if np.ptp(prediction.mean_ms) > 0 else 0.0
    return [float(rank), float(np.median(error)), float(np.mean(error < 0.1)), float(np.mean((low <= y) & (y <= high)))]


def summary(scores: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the mean over draws of each score by model, a list of targets."""
    return {
        model: {name: [round(v, 4) for v in values[:, :, i].mean(0)] for i, name in enumerate(SCORES)}
        for model, values in scores.items()
    }


def report(tables: Tables, scores: dict[str, np.ndarray], measured: int) -> str:
    """Return the tables of one space as Markdown."""
    devices, count = tables.table.devices, len(tables.table)
    title = (
        f"## {tables.space}: {count} networks, {len(devices)} targets, {measured} measurements of p99 on the new one"
    )
    machines = ", ".join(f"`{name}`" for name in sorted({parts(device)[1] for device in devices}))
    lines = [title, "", f"Measured on {machines}; Spearman of {tables.quantile}", ""]
    lines += [*spearman_table(tables, scores), "", "By target", ""]
    heads = ["new target", "Spearman", "retest", "median error", "retest's change", "within 10 %", "95 % coverage"]
    lines += [row(heads), row(["---"] * len(heads))]
    for i, device in enumerate(devices):
        mean, again = scores[DESIGNED][:, i].mean(0), tables.retests[device]
        cells = [short(device, devices), f"{mean[0]:.3f}", shown(again, f"{tables.quantile}_ms_spearman", ".3f")]
        cells += [f"{mean[1]:.1%}", shown(again, f"{tables.quantile}_ms_median_change", ".1%")]
        lines.append(row([*cells, f"{mean[2]:.0%}", f"{mean[3]:.1%}"]))
    return "\n".join([*lines, "", "All models, mean over targets", "", *model_table(scores)])


def spearman_table(tables: Tables, scores: dict[str, np.ndarray]) -> list[str]:
    """Return Spearman by model and target, with the retest below."""
    devices = tables.table.devices
    heads = [short(device, devices) for device in devices]
    lines = [row(["", *heads, "mean", "sd over draws"]), row(["---"] * (len(devices) + 3))]
    for model, values in scores.items():
        means = values[:, :, 0].mean(0)
        lines.append(row([named(model), *(f"{v:.3f}" for v in [*means, means.mean()]), spread(values)]))
    found = [tables.retests[device] for device in devices]
    known = [item[f"{tables.quantile}_ms_spearman"] for item in found if item]
    mean = f"{np.mean(known):.3f}" if known else ""
    numbers = sorted({item["networks"] for item in found if item})
    label = f"retest of {' to '.join(map(str, numbers[:: max(1, len(numbers) - 1)]))} networks" if known else "retest"
    return [*lines, row([label, *(shown(item, f"{tables.quantile}_ms_spearman", ".3f") for item in found), mean, ""])]


def model_table(scores: dict[str, np.ndarray]) -> list[str]:
    """Return every score of every model."""
    heads = ["", "Spearman", "median error", "within 10 %", "95 % coverage", "worst target's coverage", "best"]
    lines = [row(heads), row(["---"] * len(heads))]
    for model, values in scores.items():
        mean, coverage = values.mean((0, 1)), values[:, :, 3].mean(0)
        cells = [f"{mean[0]:.3f}", *(f"{v:.1%}" for v in (*mean[1:], coverage.min(), coverage.max()))]
        lines.append(row([named(model), *cells]))
    return lines


def short(device: str, devices: Sequence[str]) -> str:
    """Return a column's name without its machine, where the target is there once."""
    target = parts(device)[0]
    return target if [parts(other)[0] for other in devices].count(target) == 1 else device


def named(model: str) -> str:
    """Return a model's name in a table."""
    return f"**{model}** (the default)" if model == DESIGNED else model


def spread(values: np.ndarray) -> str:
    """Return the standard deviation over draws of Spearman's mean over targets."""
    return f"{values[:, :, 0].mean(1).std(ddof=1):.4f}" if len(values) > 1 else "one draw"


def shown(found: dict[str, Any] | None, name: str, form: str) -> str:
    """Return a figure of a retest, where there is one."""
    return format(found[name], form) if found else ""


if __name__ == "__main__":
    main()
