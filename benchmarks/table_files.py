"""The files of a latency table of our own: measurements in Parquet, and the card that says how they were made.

`SPACE.parquet` holds the first measurement of each network on each target, `SPACE-again.parquet` the further ones of
the networks that were repeated; docs/measurements.md has the columns. Both have complete columns alone: a target on a
machine, with nearly all networks. What is not complete is in `SPACE-partial.parquet`, to be gone on with. `SPACE.json`
and `SPACE.md` are the card, made from the first two files alone.
"""

from __future__ import annotations

import json
from collections import Counter
from math import isfinite
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from _table_targets import in_order, parts
from scipy.stats import spearmanr

from hwnas.measurement import card_path, import_measurements, measurement_records, read_records, write_card
from hwnas.measurement._exchange_file import write_records
from hwnas.predictor import operation_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from hwnas.network import Graph
    from hwnas.store import Store

Record = dict[str, Any]
QUANTILES = ("p50_ms", "p99_ms")
#: Share of the networks that a complete column has.
COMPLETE = 0.98


def is_complete(known: int, networks: int) -> bool:
    """Return whether a column with so many of the networks is complete: a few may have failed there."""
    return known >= COMPLETE * networks


def import_back(folder: Path, space: str, store: Store) -> None:
    """Take into the store what the files hold."""
    for path in (folder / f"{space}{ending}.parquet" for ending in ("", "-again", "-partial", "-operations")):
        if path.exists():
            found = import_measurements(store, path)
            if found.new:
                print(f"{found.new} measurements taken from {path.name}", flush=True)


def write_files(store: Store, space: str, folder: Path, networks: int, operations: Sequence[Graph] = ()) -> None:
    """Write the files of all measurements of a space that the store holds.

    Args:
        store: of all measurements.
        space: whose networks.
        folder: where the files lie.
        networks: how many of them a whole column has.
        operations: what the networks are made of, where that was measured alone.
    """
    columns: dict[str, list[Record]] = {}
    for record in sorted(measurement_records(store, space=space), key=lambda record: record["created_at"]):
        columns.setdefault(record["device"], []).append(record)
    if not columns:
        print(f"nothing of {space} is measured yet", flush=True)
        return
    first: list[Record] = []
    again: list[Record] = []
    partial: list[Record] = []
    for name in in_order(list(columns)):
        seen: set[str] = set()
        complete = is_complete(len({record["architecture_id"] for record in columns[name]}), networks)
        for record in columns[name]:
            kept = again if record["architecture_id"] in seen else first
            (kept if complete else partial).append(record)
            seen.add(record["architecture_id"])
    folder.mkdir(parents=True, exist_ok=True)
    names = {operation_name(operation) for operation in operations}
    alone = [
        record
        for name in (in_order(list(columns)) if names else ())
        for record in measurement_records(store, device=name)
        if record["network_name"] in names
    ]
    for ending, records in (("", first), ("-again", again), ("-partial", partial), ("-operations", alone)):
        path = folder / f"{space}{ending}.parquet"
        if records:
            write_records(path, records, samples=False)
        else:
            path.unlink(missing_ok=True)
    if first:
        describe(folder, space)
    begun = len({record["device"] for record in partial})
    print(f"{folder / space}.parquet: {len(columns) - begun} columns; {begun} more in {space}-partial", flush=True)


def describe(folder: Path, space: str) -> None:
    """Write the card of the files in a folder."""
    path = folder / f"{space}.parquet"
    card = write_card(path, notes=f"made by benchmarks/tables.py --space {space}; what came second is in {space}-again")
    further = further_of(read(path), read(folder / f"{space}-again.parquet"))
    card_path(path).write_text(json.dumps(card | further, indent=1) + "\n", encoding="utf-8")
    (folder / f"{space}.md").write_text(markdown(space, card | further), encoding="utf-8")


def read(path: Path) -> list[Record]:
    """Return the records of a file; none where there is no file."""
    return [record for _, record in read_records(path)] if path.exists() else []


def further_of(records: Sequence[Record], again: Sequence[Record]) -> Record:
    """Return what is to be said of a table beside what stands on every card."""
    names = in_order(list({item["device"] for item in records}))
    by_machine: dict[str, list[Record]] = {}
    for item in records:
        by_machine.setdefault(parts(item["device"])[1], []).append(item)
    return {
        "architectures": len({item["architecture_id"] for item in records}),
        "repeated": len(again),
        "machines": {name: machine_of(found) for name, found in sorted(by_machine.items())},
        "targets": {name: target_of(name, records, again) for name in names},
        "rank_correlation_p99": rank_correlations(records, names),
    }


def machine_of(records: Sequence[Record]) -> Record:
    """Return what is to be said of one machine, from the measurements made on it."""
    facts = json.loads(records[0]["facts"])
    loads = [value for item in records for value in (state(item, "before"), state(item, "after")) if value is not None]
    moments = sorted(item["created_at"] for item in records)
    return {
        **{name: facts[name] for name in ("model", "architecture", "os", "logical_cores", "memory_bytes")},
        "hosts": sorted({str(json.loads(item["facts"])["extra"].get("host")) for item in records}),
        "load_1m": spread(loads) if loads else None,
        "first_at": moments[0].isoformat(),
        "last_at": moments[-1].isoformat(),
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
    protocol, *_ = card["protocols"].values()
    return f"""# {space}: {card["architectures"]} networks on {len(card["targets"])} targets

Made by `python benchmarks/tables.py --space {space}`, whose docstring says which networks these are, and how a target's
figures come about. [docs/measurements.md](../docs/measurements.md) has the columns of `{space}.parquet`;
`{space}-again.parquet` has what was measured a second time.

{chr(10).join(machine_line(name, found) for name, found in card["machines"].items())}
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


def machine_line(name: str, found: Record) -> str:
    """Return what the card says of a machine."""
    load, memory = found["load_1m"], found["memory_bytes"]
    size = f"{memory / 2**30:.0f} GiB, " if memory else ""
    busy = f"{load['median']:.1f} ({load['least']:.1f} to {load['most']:.1f})" if load else "not known"
    return (
        f"- **Machine** `{name}`: {found['model']}, {found['logical_cores']} cores, "
        f"{size}{found['architecture']}, {found['os']};\n"
        f"  {found['first_at'][:16]} to {found['last_at'][:16]} UTC, load average {busy}."
    )


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
