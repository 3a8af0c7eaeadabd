"""The files of a latency table of our own: measurements in Parquet, and the card that says how they were made.

`SPACE.parquet` holds the first measurement of each network on each target, `SPACE-again.parquet` the further ones of
the networks that were repeated; docs/measurements.md has the columns. `SPACE.json` and `SPACE.md` are the card, made
from the two files alone.
"""

from __future__ import annotations

import json
from collections import Counter
from math import isfinite
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import spearmanr

from hwnas.measurement import card_path, import_measurements, measurement_records, read_records, write_card
from hwnas.measurement._exchange_file import write_records

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from hwnas.store import Store

Record = dict[str, Any]
QUANTILES = ("p50_ms", "p99_ms")


def import_back(folder: Path, space: str, store: Store) -> None:
    """Take into the store what the files hold."""
    for path in (folder / f"{space}.parquet", folder / f"{space}-again.parquet"):
        if path.exists():
            found = import_measurements(store, path)
            if found.new:
                print(f"{found.new} measurements taken from {path.name}", flush=True)


def export(store: Store, space: str, folder: Path, order: Sequence[str]) -> None:
    """Write the files of all measurements of a space that the store holds."""
    first: dict[tuple[str, str], Record] = {}
    again: list[Record] = []
    for record in sorted(measurement_records(store, space=space), key=lambda record: record["created_at"]):
        key = (record["device"], record["architecture_id"])
        if key in first:
            again.append(record)
        else:
            first[key] = record
    if not first:
        print(f"nothing of {space} is measured yet", flush=True)
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_records(folder / f"{space}.parquet", first.values(), samples=False)
    if again:
        write_records(folder / f"{space}-again.parquet", again, samples=False)
    describe(folder, space, order)


def describe(folder: Path, space: str, order: Sequence[str]) -> None:
    """Write the card of the files in a folder, the targets in this order."""
    path = folder / f"{space}.parquet"
    card = write_card(path, notes=f"made by benchmarks/tables.py --space {space}; what came second is in {space}-again")
    further = further_of(read(path), read(folder / f"{space}-again.parquet"), order)
    card_path(path).write_text(json.dumps(card | further, indent=1) + "\n", encoding="utf-8")
    (folder / f"{space}.md").write_text(markdown(space, card | further), encoding="utf-8")
    held = f"{further['architectures']} networks on {len(further['targets'])} targets"
    print(f"{path}: {held}, {card['measurements']} measurements; card in {space}.json and {space}.md", flush=True)


def read(path: Path) -> list[Record]:
    """Return the records of a file; none where there is no file."""
    return [record for _, record in read_records(path)] if path.exists() else []


def further_of(records: Sequence[Record], again: Sequence[Record], order: Sequence[str]) -> Record:
    """Return what is to be said of a table beside what stands on every card."""
    names = sorted({item["device"] for item in records}, key=lambda name: (*order, name).index(name))
    loads = [value for item in records for value in (state(item, "before"), state(item, "after")) if value is not None]
    facts = json.loads(records[0]["facts"])
    return {
        "architectures": len({item["architecture_id"] for item in records}),
        "repeated": len(again),
        "host": {name: facts[name] for name in ("model", "architecture", "os", "logical_cores", "memory_bytes")},
        "load_1m": spread(loads) if loads else None,
        "targets": {name: target_of(name, records, again) for name in names},
        "rank_correlation_p99": rank_correlations(records, names),
    }


def state(record: Mapping[str, Any], when: str) -> float | None:
    """Return the load average that was seen before or after a measurement."""
    found: float | None = json.loads(record[when]).get("load_1m") if record[when] else None
    return found


def target_of(name: str, records: Iterable[Record], again: Iterable[Record]) -> Record:
    """Return what is to be said of one target."""
    own = [item for item in records if item["device"] == name]
    profile = json.loads(own[0]["profile"])
    widths = median((item["p99_high_ms"] - item["p99_low_ms"]) / item["p99_ms"] for item in own)
    return {
        "notes": profile.get("notes", ""),
        "versions": json.loads(own[0]["versions"]),
        "networks": len(own),
        "verdicts": dict(Counter(item["verdict"] for item in own).most_common()),
        "samples": spread([item["n"] for item in own]),
        **{quantile: spread([item[quantile] for item in own]) for quantile in QUANTILES},
        "p99_interval_width": widths if isfinite(widths) else None,
        "retest": retest(own, [item for item in again if item["device"] == name]),
    }


def spread(values: Sequence[float]) -> Record:
    """Return least, median and most."""
    return {"least": min(values), "median": median(values), "most": max(values)}


def retest(first: Sequence[Record], again: Sequence[Record]) -> Record | None:
    """Return how well two measurements of the same networks agree; `None` for fewer than five."""
    before = {item["architecture_id"]: item for item in first}
    pairs = [(before[item["architecture_id"]], item) for item in again if item["architecture_id"] in before]
    if len(pairs) < 5:
        return None
    found: Record = {"networks": len(pairs)}
    for quantile in QUANTILES:
        x, y = (np.log([pair[side][quantile] for pair in pairs]) for side in (0, 1))
        found |= {
            f"{quantile}_spearman": float(spearmanr(x, y)[0]),
            f"{quantile}_correlation_of_logs": float(np.corrcoef(x, y)[0, 1]),
            f"{quantile}_median_change": float(np.median(np.abs(np.expm1(y - x)))),
        }
    return found


def rank_correlations(records: Iterable[Record], names: Sequence[str]) -> Record:
    """Return Spearman's correlation of p99 between targets, over the networks that both have."""
    values: dict[str, dict[str, float]] = {name: {} for name in names}
    for item in records:
        values[item["device"]][item["architecture_id"]] = item["p99_ms"]
    found: Record = {}
    for one in names:
        found[one] = {}
        for other in names:
            both = sorted(values[one].keys() & values[other].keys())
            pair = [[values[name][key] for key in both] for name in (one, other)]
            found[one][other] = float(spearmanr(*pair)[0]) if len(both) >= 5 else None
    return found


def markdown(space: str, card: Record) -> str:
    """Return the card for people."""
    host, load, (protocol, *_) = card["host"], card["load_1m"], card["protocols"].values()
    busy = f"{load['median']:.1f} ({load['least']:.1f} to {load['most']:.1f})" if load else "not known"
    return f"""# {space}: {card["architectures"]} networks on {len(card["targets"])} targets

Made by `python benchmarks/tables.py --space {space}`, whose docstring says which networks these are.
[docs/measurements.md](../docs/measurements.md) has the columns of `{space}.parquet`; `{space}-again.parquet` has what
was measured a second time.

- **Machine:** {host["model"]}, {host["logical_cores"]} cores, {host["memory_bytes"] / 2**30:.0f} GiB,
  {host["architecture"]}, {host["os"]}. Load average around the measurements: {busy}.
- **When:** {card["first_at"][:16]} to {card["last_at"][:16]} UTC.
- **Protocol:** at least {protocol["samples"]} samples in {protocol["processes"]} fresh processes, {protocol["group"]}
  networks interleaved, {protocol["reference"]} inferences of a reference network around each block, disturbed blocks
  done again; `{space}.json` has all settings.
- **Verdicts:** {shares(card["verdicts"])} of {card["measurements"]} measurements.

{chr(10).join(target_table(card))}

Retest: the same networks measured twice, in fresh processes and in other company, some minutes apart: Spearman's rank
correlation, and by how much the median one changed. A predictor that is held to such measurements can hardly do better.

Rank correlation of p99 between targets:

{chr(10).join(correlation_table(card))}
"""


def target_table(card: Record) -> list[str]:
    """Return the lines of the table of targets."""
    heads = ["target", "what", "networks", "verdicts", "samples (median)", "p50 ms (least, median, most)"]
    heads += ["p99 ms (median)", "p99 interval (median width)", "retest p50", "retest p99", "p99 changes by"]
    rows = [row(heads), row(["---"] * len(heads))]
    for name, item in card["targets"].items():
        again, p50 = item["retest"], item["p50_ms"]
        runtime, version = next(iter(item["versions"].items()))  # the runtime's own package comes first
        cells = [f"`{name}`", f"{item['notes']} ({runtime} {version})", str(item["networks"]), shares(item["verdicts"])]
        cells += [f"{item['samples']['median']:.0f}", f"{p50['least']:.3g}, {p50['median']:.3g}, {p50['most']:.3g}"]
        width = item["p99_interval_width"]
        cells += [f"{item['p99_ms']['median']:.3g}", "open" if width is None else f"{width:.0%}"]
        if again:
            cells += [f"{again[f'{quantile}_spearman']:.3f}" for quantile in QUANTILES]
            cells += [f"{again['p99_ms_median_change']:.1%} (n = {again['networks']})"]
        else:
            cells += ["", "", "too few repeated"]
        rows.append(row(cells))
    return rows


def correlation_table(card: Record) -> list[str]:
    """Return the lines of the table of rank correlations."""
    names = list(card["targets"])
    rows = [row(["", *names]), row(["---"] * (len(names) + 1))]
    for one in names:
        found = [card["rank_correlation_p99"][one][other] for other in names]
        rows.append(row([one, *("" if value is None else f"{value:.2f}" for value in found)]))
    return rows


def shares(counts: Mapping[str, int]) -> str:
    """Return counts as shares."""
    total = sum(counts.values())
    return ", ".join(f"{count / total:.0%} {name}" for name, count in counts.items())


def row(cells: Sequence[str]) -> str:
    """Return a line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"
