"""The card beside a file of measurements: how and on what they were measured, for a person who finds the file."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas import __version__
from hwnas._files import replaced, sha256_of
from hwnas.errors import MeasurementError
from hwnas.measurement._columns import FORMAT_VERSION
from hwnas.measurement._exchange_file import ending, read_records

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def card_path(path: Path) -> Path:
    """Return where the card of a file lies: `NAME.json` beside `NAME.parquet`, `NAME.csv` or `NAME.csv.gz`."""
    return path.with_name(path.name[: -len(ending(path))] + ".json")


def write_card(path: Path, *, notes: str = "") -> dict[str, Any]:
    """Write the card of a file that `export_measurements` wrote, and return what is in it.

    Args:
        path: the file.
        notes: whatever else is to be known of it.

    Raises:
        MeasurementError: the file is no such export, or the card cannot be written.
    """
    rows = [cells for _, cells in read_records(path)]
    if not rows:
        raise MeasurementError(f"{path} holds no measurements", "export some")
    moments = sorted(row["created_at"] for row in rows)
    counts = np.array([row["n"] for row in rows])
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["device"], row["device_hash"], row["protocol_hash"]), []).append(row)
    card = {
        "kind": "measurements",
        "format_version": FORMAT_VERSION,
        **describe_file(path, notes),
        "measurements": len(rows),
        "networks": len({row["network_hash"] for row in rows}),
        "spaces": dict(Counter(row["space"] for row in rows if row["space"] is not None)),
        "verdicts": dict(Counter(row["verdict"] for row in rows)),
        "samples": {"least": int(counts.min()), "median": float(np.median(counts)), "most": int(counts.max())},
        "first_at": moments[0].isoformat(),
        "last_at": moments[-1].isoformat(),
        "devices": [_device(found) for found in groups.values()],
        "protocols": {row["protocol_hash"]: json.loads(row["protocol"]) for row in rows},
    }
    write_json(card_path(path), card)
    return card


def _device(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one device under one protocol."""
    one = rows[-1]
    facts = {name: value for name, value in json.loads(one["facts"]).items() if name != "extra" and value is not None}
    return {
        **{name: one[name] for name in ("device", "device_hash", "protocol_hash")},
        "measurements": len(rows),
        "verdicts": dict(Counter(row["verdict"] for row in rows)),
        "profile": json.loads(one["profile"]),
        "facts": facts,
        "versions": json.loads(one["versions"]),
    }


def describe_file(path: Path, notes: str) -> dict[str, Any]:
    """Return what every card says of its file.

    Raises:
        MeasurementError: the file cannot be read.
    """
    try:
        digest = sha256_of(path)
    except OSError as exc:
        raise MeasurementError(f"{path}: cannot be read: {exc.strerror or exc}", "check the path") from exc
    return {
        "file": path.name,
        "sha256": digest,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "hwnas": __version__,
        "notes": notes,
    }


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write a card.

    Raises:
        MeasurementError: it cannot be written.
    """
    try:
        with replaced(path) as partial:
            partial.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as exc:
        raise MeasurementError(f"{path} cannot be written: {exc.strerror or exc}", "check the folder") from exc
