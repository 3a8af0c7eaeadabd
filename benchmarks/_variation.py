"""How much p99 and its ratios vary from campaign to campaign: our protocol beside a plain loop over each network."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import os
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas._deadline import Deadline
from hwnas.device import Device, DeviceProfile
from hwnas.measurement import Measurement, MeasurementProtocol, MeasurementStore, measure
from hwnas.measurement._estimators import harrell_davis
from hwnas.measurement._summary import ESTIMATOR_VERSION
from hwnas.network import GraphBuilder, write_onnx
from hwnas.store import Store

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from hwnas.network import NetworkFile

METHODS = ("ours", "plain")
MACHINES = ("contended", "without load")
QUANTILES = {"p50": 0.5, "p99": 0.99}
#: (width, side of the image, layers): about 0.05 to 1 ms on a desktop core.
NETWORKS = ((16, 16, 4), (24, 16, 4), (32, 16, 4), (48, 16, 4), (32, 28, 4))
#: Two of these run beside a contended campaign: busy and idle in turn, for times from an exponential distribution.
BUSY_S, IDLE_S = 0.4, 0.4
LOAD = """
import random, sys, time
chance = random.Random(int(sys.argv[1]))
while True:
    end = time.monotonic() + chance.expovariate(1 / float(sys.argv[2]))
    while time.monotonic() < end:
        pass
    time.sleep(chance.expovariate(1 / float(sys.argv[3])))
"""


@contextlib.contextmanager
def load(hogs: int, seed: int) -> Iterator[None]:
    """Run the documented load for the block."""
    with contextlib.ExitStack() as stack:
        for index in range(hogs):
            words = [sys.executable, "-c", LOAD, str(1000 * seed + index), str(BUSY_S), str(IDLE_S)]
            hog = stack.enter_context(subprocess.Popen(words))
            stack.callback(hog.kill)
        yield


def write_networks(folder: Path, sizes: tuple[tuple[int, int, int], ...] = NETWORKS) -> list[NetworkFile]:
    """Return plain convolutional networks of (width, side of the image, layers)."""
    files = []
    for width, side, layers in sizes:
        builder = GraphBuilder(f"w{width}-{side}-{layers}")
        x = builder.input((3, side, side))
        for _ in range(layers):
            x = builder.activation(builder.conv(x, width, kernel=3), "relu")
        graph = builder.graph(builder.global_avg_pool(x))
        files.append(write_onnx(graph, folder / f"w{width}-{side}-{layers}.onnx"))
    return files


def key(options: argparse.Namespace) -> str:
    """Return what a run is called among the results: each load and each seed is a run of its own."""
    return f"variation, {options.hogs} programs, seed {options.seed}"


def run(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run the campaigns that are missing, alternating the methods, and return what they show."""
    found: dict[str, Any] = {"campaigns": options.campaigns, "busy_s": BUSY_S, "idle_s": IDLE_S, "hogs": options.hogs}
    files = write_networks(folder)
    found["networks"] = [file.name for file in files]
    protocol = MeasurementProtocol(samples=options.samples)
    found["samples"] = protocol.samples
    found["seed"] = options.seed
    folder = _folder_of(folder, protocol, options.hogs, options.seed)
    for name, hogs in (("contended", options.hogs), ("without load", 0)):
        rows: dict[str, list[dict[str, Any]]] = {method: [] for method in METHODS}
        for number in range(options.campaigns):
            order = METHODS if number % 2 == 0 else METHODS[::-1]
            seeded = dataclasses.replace(protocol, seed=100 * options.seed + number)
            with load(hogs if _missing(folder, name, number) else 0, seeded.seed):
                for method in order:
                    rows[method].append(_campaign(folder, name, number, method, files, seeded))
            print(f"{name}: campaign {number + 1} of {options.campaigns}", flush=True)
        found[name] = analyse(rows)
    return found


def _path(folder: Path, name: str, number: int, method: str) -> Path:
    return folder / f"{name.replace(' ', '-')}-{number:02d}-{method}.npz"


def _folder_of(folder: Path, protocol: MeasurementProtocol, hogs: int, seed: int) -> Path:
    """Return the folder of campaigns by these settings and these estimators: others do not belong to the same run."""
    made = folder / f"{protocol.hash[:8]}-{ESTIMATOR_VERSION}-{hogs}-{seed}"
    made.mkdir(exist_ok=True)
    return made


def _missing(folder: Path, name: str, number: int) -> bool:
    return not all(_path(folder, name, number, method).exists() for method in METHODS)


def _campaign(
    folder: Path, name: str, number: int, method: str, files: list[NetworkFile], protocol: MeasurementProtocol
) -> dict[str, Any]:
    """Return a campaign, from its file where it was run already."""
    path = _path(folder, name, number, method)
    if not path.exists():
        if method == "ours":
            kept = ours(files, DeviceProfile("host"), protocol)
        else:
            kept = plain(files, _inferences(folder, name, number))
        partial = path.with_suffix(".partial.npz")
        np.savez_compressed(partial, **kept)
        partial.rename(path)
    with np.load(path) as data:
        return dict(data)


def _inferences(folder: Path, name: str, number: int) -> int:
    """Return how many inferences our protocol took: in this campaign where it came first, else in the one before."""
    for earlier in (number, number - 1):
        path = _path(folder, name, earlier, "ours")
        if path.exists():
            with np.load(path) as data:
                return int(data["inferences"])
    raise SystemExit(f"{path}: missing")


def ours(files: list[NetworkFile], profile: DeviceProfile, protocol: MeasurementProtocol) -> dict[str, Any]:
    """Return one campaign by our protocol: of each network the samples that count, its p99 and the interval."""
    found: dict[str, Any] = {"inferences": 0, "seconds": time.perf_counter()}
    verdicts = []
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        store = Store.open(f"sqlite:///{folder}/store.sqlite")
        traces = MeasurementStore(store)
        for index, result in enumerate(measure(files, profile, store=traces, protocol=protocol, wait_s=math.inf)):
            if not isinstance(result, Measurement) or result.id is None:
                raise SystemExit(f"{files[index].path}: it was not measured")
            trace = traces.trace(result.id)
            reference = sum(b.reference_before_ns.size + b.reference_after_ns.size for b in trace.blocks)
            found["inferences"] += sum(map(len, trace.blocks)) + trace.warmup_ns.size + reference // 2
            verdicts.append(str(result.verdict))
            found[f"samples_{index}"] = trace.samples_ns
            found[f"figures_{index}"] = np.array(
                [
                    [estimate.value_ms, estimate.low_ms, estimate.high_ms, result.sigma_log_of(metric)]
                    for estimate, metric in ((result.p50, "p50_ms"), (result.p99, "p99_ms"))
                ]
            )
        store.close()
    found["seconds"] = time.perf_counter() - found["seconds"]
    return found | {"verdicts": np.array(verdicts)}


def plain(files: list[NetworkFile], inferences: int) -> dict[str, Any]:
    """Return one campaign of a plain loop: one process a network, one inference to warm up, then all in a row.

    It may run on every processor, wherever the system puts it.
    """
    profile = DeviceProfile("host", cpus=tuple(sorted(os.sched_getaffinity(0))))
    found: dict[str, Any] = {"inferences": inferences, "seconds": time.perf_counter()}
    with Device.open(profile, deadline=Deadline.after(60)) as device:
        for index, file in enumerate(files):
            session = device.load(file, deadline=Deadline.after(60))
            session.run(1, deadline=Deadline.after(60))
            found[f"samples_{index}"] = session.run(inferences // len(files), deadline=Deadline.after(600)).samples_ns
            session.close()
    found["seconds"] = time.perf_counter() - found["seconds"]
    return found


def analyse(rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return variation and coverage from the campaigns of each method."""
    networks = range(sum(key.startswith("samples_") for key in rows["ours"][0]))
    found: dict[str, Any] = {}
    for method, campaigns in rows.items():
        values = {
            name: np.array([[quantile(campaign[f"samples_{i}"], p) for i in networks] for campaign in campaigns])
            for name, p in QUANTILES.items()
        }
        found[method] = {
            "seconds": float(np.sum([campaign["seconds"] for campaign in campaigns])),
            "inferences": int(np.sum([campaign["inferences"] for campaign in campaigns])),
            **{name: {**variation(table), "values_ms": table.tolist()} for name, table in values.items()},
        }
    own = rows["ours"]
    for row, (name, p) in enumerate(QUANTILES.items()):
        truth = [quantile(np.concatenate([campaign[f"samples_{i}"] for campaign in own]), p) for i in networks]
        figures = np.array([[campaign[f"figures_{i}"][row] for i in networks] for campaign in own])
        covered = (figures[:, :, 1] <= truth) & (np.array(truth) <= figures[:, :, 2])
        errors = np.log(figures[:, :, 0] / truth)
        found["ours"][name] |= {
            "pooled_ms": truth,
            "figures": figures.tolist(),
            "coverage": float(covered.mean()),
            "half_width": float(np.median((figures[:, :, 2] - figures[:, :, 1]) / (2 * figures[:, :, 0]))),
            "sigma_log_coverage": float((np.abs(errors) <= 1.96 * figures[:, :, 3]).mean()),
            "run_to_run_sigma": run_to_run(figures, errors),
        }
    verdicts = [str(verdict) for campaign in own for verdict in campaign["verdicts"]]
    found["ours"]["verdicts"] = {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))}
    return found


def quantile(samples_ns: Any, p: float) -> float:
    """Return a quantile in ms, by the same estimator for both methods."""
    return harrell_davis(np.sort(samples_ns / 1e6), p)


def variation(values: Any) -> dict[str, Any]:
    """Return the coefficients of variation of a table [campaign, network], and of its ratios between networks."""
    pairs = itertools.combinations(range(values.shape[1]), 2)
    ratios = [values[:, i] / values[:, j] for i, j in pairs]
    each = [float(ratio.std(ddof=1) / ratio.mean()) for ratio in ratios]
    alone = (values.std(axis=0, ddof=1) / values.mean(axis=0)).tolist()
    return {
        "cv": alone,
        "cv_median": float(np.median(alone)),
        "ratio_cv": each,
        "ratio_cv_median": float(np.median(each)),
    }


def run_to_run(figures: Any, errors: Any) -> float:
    """Return the standard deviation of the logarithm that campaigns have beyond what their intervals say."""
    ends = figures[:, :, 1:3]
    known = np.isfinite(ends).all(axis=2) & (ends > 0).all(axis=2)
    sampling = np.log(ends[known][:, 1] / ends[known][:, 0]) / (2 * 1.96)
    return math.sqrt(max(0.0, float(np.mean(errors[known] ** 2 - sampling**2))))


def markdown(found: dict[str, Any]) -> str:
    """Return the results as a section."""
    lines = [
        f"## Variation from campaign to campaign: a load of {found['hogs']} programs, seed {found['seed']}",
        "",
        (
            f"{found['campaigns']} campaigns of each method, {len(found['networks'])} networks, at least "
            f"{found['samples']} samples each by our protocol, a plain loop with the same total number of inferences, "
            f"alternated; it may run on every processor. Load: {found['hogs']} programs, busy and idle in turn for "
            f"{found['busy_s']} s and {found['idle_s']} s on average. Coefficients of variation: the median over "
            "networks, and over pairs of networks for ratios. The truth is the pooled quantile of all samples of our "
            "campaigns."
        ),
        "",
        "| machine | method | p50 | p50 ratios | p99 | p99 ratios | intervals cover p50 / p99 | half-width p99 | s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in MACHINES:
        for method in METHODS:
            row = found[name][method]
            cells = [f"{row[q][key]:.1%}" for q in QUANTILES for key in ("cv_median", "ratio_cv_median")]
            more = ["–", "–"]
            if method == "ours":
                more = [
                    f"{row['p50']['coverage']:.0%} / {row['p99']['coverage']:.0%}",
                    f"{row['p99']['half_width']:.0%}",
                ]
            lines.append(f"| {name} | {method} | {' | '.join([*cells, *more])} | {row['seconds']:.0f} |")
    for name in MACHINES:
        own, other = (found[name][method]["p99"]["ratio_cv_median"] for method in METHODS)
        row = found[name]["ours"]
        lines += [
            "",
            (
                f"{name}: ratios of p99 vary by {1 - own / other:.0%} less than with the plain loop (promised, "
                "contended: a third). Beyond the intervals campaigns differ by "
                f"{row['p50']['run_to_run_sigma']:.3f} (p50) and "
                f"{row['p99']['run_to_run_sigma']:.3f} (p99) in the logarithm; 1.96 sigma_log cover "
                f"{row['p50']['sigma_log_coverage']:.0%} and {row['p99']['sigma_log_coverage']:.0%}. "
                f"Verdicts: {', '.join(f'{count} {verdict}' for verdict, count in row['verdicts'].items())}."
            ),
        ]
    return "\n".join([*lines, ""])


def plot(found: dict[str, Any], path: Path) -> None:
    """Draw the p99 of each campaign, relative to the network's mean, and the ratios' variation."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    colours = dict(zip(METHODS, ("#0072B2", "#D55E00"), strict=True))
    figure, panels = plt.subplots(2, 2, figsize=(11, 7), layout="constrained")
    for row, name in zip(panels, MACHINES, strict=True):
        for method in METHODS:
            values = np.array(found[name][method]["p99"]["values_ms"])
            for index in range(values.shape[1]):
                label = method if index == 0 else None
                row[0].plot(
                    values[:, index] / values[:, index].mean(), "o-", color=colours[method], alpha=0.6, label=label
                )
            row[1].plot(
                sorted(100 * np.array(found[name][method]["p99"]["ratio_cv"])),
                "o-",
                color=colours[method],
                label=method,
            )
        row[0].set(yscale="log", xlabel="campaign", ylabel="p99 / its mean", title=f"{name}: p99 of each network")
        row[1].set(
            ylim=(0, None), xlabel="pairs of networks, sorted", ylabel="variation (%)", title=f"{name}: ratios of p99"
        )
        row[1].legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)
