"""`hwnas measurements export` and `import`: measurements and latency tables to and from files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads the annotations when it runs
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli import _output
from hwnas.cli._measurements import OfNetwork, OfSpace, OnDevice, WithVerdict, app
from hwnas.cli._options import Json, settings
from hwnas.errors import ConfigError

if TYPE_CHECKING:
    from hwnas.measurement import Imported
    from hwnas.predictor._table_import import ImportedTable


class Twice(StrEnum):
    """What becomes of an architecture, or a device, that a table has twice."""

    ERROR = "error"
    MEDIAN = "median"


@app.command("export")
def export(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to write: .parquet, .csv or .csv.gz.")],
    device: OnDevice = None,
    space: OfSpace = None,
    network: OfNetwork = None,
    verdict: WithVerdict = None,
    samples: Annotated[bool, typer.Option("--samples", help="With every sample; .parquet only.")] = False,
    card: Annotated[
        bool, typer.Option("--card", help="Write NAME.json beside it: how and on what it was measured.")
    ] = False,
    notes: Annotated[str, typer.Option(metavar="TEXT", help="With --card: what else is to be known.")] = "",
    json: Json = False,
) -> None:
    """Write measurements to a file, one row each, with the evidence behind it.

    What is in the file is described in docs/measurements.md. `measurements import` reads it again.
    """
    from hwnas.measurement import card_path, export_measurements, write_card

    with settings(context).store() as store:
        count = export_measurements(
            store, file, device=device, space=space, network=network, verdicts=verdict or (), samples=samples
        )
    if card:
        write_card(file, notes=notes)
    beside = str(card_path(file)) if card else None
    if json:
        _output.emit({"file": str(file), "card": beside, "measurements": count})
    else:
        _output.note(f"{_output.plural(count, 'measurement')} in {file}" + (f", card in {beside}" if card else ""))


@app.command("import")
def import_(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="What `measurements export` wrote, or a latency table: .parquet or .csv."),
    ],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of a table: its name in measurements/; else the file's.")
    ] = None,
    space: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of a table: the space that its architectures are of.")
    ] = None,
    architecture: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Of a table: a column of the architecture; may be given several times."),
    ] = None,
    duplicates: Annotated[
        Twice, typer.Option(help="Of a table: refuse what is there twice, or take the median.")
    ] = Twice.ERROR,
    notes: Annotated[str, typer.Option(metavar="TEXT", help="Of a table: where it comes from, for its card.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Of a table: another one of that name gives way.")] = False,
    json: Json = False,
) -> None:
    """Take measurements, or a latency table, from a file.

    Measurements that `measurements export` wrote go into the store: what is known is not doubled, and what was
    measured elsewhere is marked. A table of latencies, with a column `latency_ms.DEVICE` for each device, goes to
    measurements/ as Parquet, with a card. docs/measurements.md describes both.
    """
    from hwnas.measurement import header_of, holds_measurements, import_measurements

    chosen = settings(context)
    if holds_measurements(header_of(file)):
        of_tables = {
            "--name": name,
            "--space": space,
            "--architecture": architecture,
            "--notes": notes,
            "--replace": replace,
            "--duplicates": duplicates is not Twice.ERROR,
        }
        given = [option for option, value in of_tables.items() if value]
        if given:
            raise ConfigError(
                f"{file} holds measurements, and {' and '.join(given)} would be of a table", "leave it out"
            )
        with chosen.store() as store:
            _tell_measurements(file, import_measurements(store, file), json=json)
        return
    from hwnas.predictor import import_table

    found = import_table(
        file,
        chosen.workspace().measurements,
        name=name,
        space=space,
        architecture=architecture or None,
        duplicates=duplicates.value,
        notes=notes,
        replace=replace,
    )
    _tell_table(found, json=json)


def _tell_measurements(file: Path, came: Imported, *, json: bool) -> None:
    if json:
        counts = {key: getattr(came, key) for key in ("new", "known", "completed", "foreign")}
        _output.emit({"kind": "measurements", "file": str(file), **counts, "left_out": list(came.left_out)})
        return
    parts = [f"{came.new} new", f"{came.known} known already"]
    if came.completed:
        parts.append(f"{came.completed} known without their samples until now")
    if came.foreign:
        parts.append(f"{came.foreign} measured elsewhere")
    _output.note(f"{file}: {', '.join(parts)}")
    _tell_left_out(came.left_out)


def _tell_table(found: ImportedTable, *, json: bool) -> None:
    import numpy as np

    table = found.table
    missing = int(np.isnan(table.latencies_ms).sum())
    if json:
        _output.emit(
            {
                "kind": "latencies",
                "file": str(found.path),
                "architectures": len(table),
                "architecture_columns": list(table.columns),
                "devices": list(table.devices),
                "facts": list(table.facts),
                "missing": missing,
                "left_out": list(found.left_out),
                "unchanged": found.unchanged,
            }
        )
        return
    size = f"{_output.plural(len(table), 'architecture')} on {_output.plural(len(table.devices), 'device')}"
    _output.note(f"{size} in {found.path}" + (", as before" if found.unchanged else ""))
    _output.note(f"an architecture is: {', '.join(table.columns)}")
    if missing:
        _output.note(f"{_output.plural(missing, 'cell')} without a latency")
    _tell_left_out(found.left_out)


def _tell_left_out(columns: tuple[str, ...]) -> None:
    if columns:
        _output.warn(f"columns left out: {', '.join(columns)}", "hwnas knows no use for them")
