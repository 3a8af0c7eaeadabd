"""`hwnas measurements`: what was measured, and the evidence behind each figure."""

from __future__ import annotations

import json as json_
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas._toml import closest
from hwnas.cli import _output
from hwnas.cli._options import Json, settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwnas.measurement import Estimate, Measurement

#: The largest number that a store holds.
_LARGEST = 2**63 - 1
#: Columns from which on a table shows everything.
_WIDE = 116

# Which measurements a command is about.
OnDevice = Annotated[str | None, typer.Option(metavar="NAME", help="Those on this device alone.")]
OfSpace = Annotated[str | None, typer.Option(metavar="NAME", help="Those of this space's networks alone.")]
OfNetwork = Annotated[
    str | None, typer.Option(metavar="NAME|HASH", help="Those of this network alone, by name or hash.")
]
WithVerdict = Annotated[
    list[str] | None,
    typer.Option(metavar="VERDICT", help="Those with this verdict alone; may be given several times."),
]

app = typer.Typer(no_args_is_help=True, help="Look at what was measured, and exchange it.")


@app.command("list")
def list_measurements(
    context: typer.Context,
    device: OnDevice = None,
    space: OfSpace = None,
    network: OfNetwork = None,
    verdict: WithVerdict = None,
    newest: Annotated[int, typer.Option(metavar="N", min=1, max=_LARGEST, help="At most this many, the newest.")] = 20,
    json: Json = False,
) -> None:
    """List measurements, oldest first."""
    from hwnas.measurement import MeasurementStore

    with settings(context).store() as store:
        measurements = MeasurementStore(store)
        found = measurements.list(device=device, space=space, network=network, verdicts=verdict or (), newest=newest)
        known = [] if found or json else measurements.list()
    if json:
        _output.emit([measurement.to_json() for measurement in found])
    elif not found:
        _output.note(_nothing(known, device, space, network, verdict))
    else:
        _output.show(measurement_table(found, when=True))


@app.command()
def show(
    context: typer.Context,
    number: Annotated[
        int, typer.Argument(metavar="ID", max=_LARGEST, help="The measurement's number, from `measurements list`.")
    ],
    samples: Annotated[bool, typer.Option("--samples", help="With --json: every sample too, in nanoseconds.")] = False,
    json: Json = False,
) -> None:
    """Show a measurement with its evidence: the device, its state, the protocol, and what disturbed it."""
    from hwnas.measurement import MeasurementStore, measurement_records

    with settings(context).store() as store:
        measurements = MeasurementStore(store)
        measurement = measurements.get(number)
        (cells,) = measurement_records(store, ids=[number])
        series = measurements.trace(number).samples_ns.tolist() if json and samples else None
    if json:
        _output.emit(_data(measurement, cells) | ({} if series is None else {"samples_ns": series}))
        return
    _output.show(_output.table(["measurement", str(number)], _rows(measurement, cells)))


def _nothing(
    known: Sequence[Measurement], device: str | None, space: str | None, network: str | None, verdict: list[str] | None
) -> str:
    """Return what to say where no measurement is to be listed; `known`: all that there are."""
    if not known:
        return "nothing measured yet: hwnas measure DEVICE NETWORK"
    words = [f"--verdict {name}" for name in verdict or []]
    for option, given, names in (
        ("device", device, {item.device for item in known}),
        ("space", space, {item.space for item in known if item.space}),
        ("network", network, {item.network_name for item in known}),
    ):
        if given is not None:
            near = closest(given, names)
            words.append(f"--{option} {given}" + (near if given not in names and "did you mean" in near else ""))
    return f"of {_output.plural(len(known), 'measurement')} none matches {', '.join(words)}"


def measurement_table(found: Sequence[Measurement], *, when: bool = False) -> Any:
    """Return measurements as a table: the quantiles with their 95 % intervals, and the verdict.

    Where the terminal is narrow, the interval of the p50 and the moment are left to `show`.
    """
    wide = _output.width() >= _WIDE
    columns = ["id>", "network", "device", "p50 ms>", "95 %>", "p99 ms>", "95 %>", "n>", "verdict", "measured at"]
    rows = [
        [
            "–" if item.id is None else str(item.id),
            item.network_name,
            item.device + ("" if item.imported_from is None else " (imported)"),
            milliseconds(item.p50_ms),
            interval(item.p50),
            ("≈ " if item.estimated_from else "") + milliseconds(item.p99_ms),
            interval(item.p99),
            str(item.n),
            str(item.verdict),
            item.created_at.astimezone().strftime("%m-%d %H:%M"),
        ]
        for item in found
    ]
    left_out = {4} if not wide else set()
    if not (wide and when):
        left_out.add(len(columns) - 1)
    kept = [index for index in range(len(columns)) if index not in left_out]
    return _output.table([columns[index] for index in kept], [[row[index] for index in kept] for row in rows])


def milliseconds(value_ms: float) -> str:
    """Return milliseconds in four significant digits."""
    from hwnas.report import number

    return number(value_ms, even=True)


def interval(estimate: Estimate) -> str:
    """Return an interval as `0.98 to 1.05`; one without an upper end as `from 0.98`."""
    from hwnas.report import interval_text

    return interval_text((estimate.low_ms, estimate.high_ms))


def _rows(measurement: Measurement, cells: Mapping[str, Any]) -> list[list[str]]:
    evidence = _evidence(cells)
    quantiles = [
        [f"{name} ms", f"{milliseconds(estimate.value_ms)}, 95 %: {interval(estimate)}"]
        for name, estimate in (("p50", measurement.p50), ("p90", measurement.p90), ("p99", measurement.p99))
    ]
    made = f"{cells['network_format']}, {measurement.size_bytes} bytes, sha256 {measurement.network_hash[:16]}"
    blocks = f"{cells['blocks_kept']} blocks, {cells['blocks_repeated']} blocks done again"
    rows = [
        ["network", f"{measurement.network_name} ({made})"],
        ["space, architecture", f"{measurement.space}, {measurement.architecture_id}" if measurement.space else "–"],
        ["is made of", _words(json_.loads(cells["architecture"])) if cells["architecture"] else "–"],
        ["macs, params", f"{_known(measurement.macs)}, {_known(measurement.params)}"],
        *quantiles,
        *([["estimated", f"from {measurement.estimated_from}"]] if measurement.estimated_from else []),
        ["samples", f"{measurement.n} in {blocks}; {cells['ended']}"],
        ["verdict", "; ".join([str(measurement.verdict), *measurement.reasons])],
        ["peak memory bytes", _known(measurement.peak_memory_bytes)],
        ["energy mJ", "–" if measurement.energy_mj is None else milliseconds(measurement.energy_mj)],
        ["device", f"{measurement.device}: {_words(evidence['profile'])}"],
        ["is", _words({key: value for key, value in evidence["facts"].items() if value and key != "extra"})],
        ["versions", _words(evidence["versions"])],
    ]
    states = {name: evidence[name] for name in ("before", "after") if evidence[name] is not None}
    rows += [[name, _words({key: value for key, value in state.items() if value})] for name, state in states.items()]
    rows.append(["protocol", _words(evidence["protocol"])])
    if measurement.imported_from is not None:
        rows.append(["imported", f"measured for the store {measurement.imported_from[:12]}"])
    return rows


def _evidence(cells: Mapping[str, Any]) -> dict[str, Any]:
    names = ("profile", "facts", "versions", "protocol", "before", "after")
    return {name: None if cells[name] is None else json_.loads(cells[name]) for name in names}


def _data(measurement: Measurement, cells: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **measurement.to_json(),
        **_evidence(cells),
        "architecture": None if cells["architecture"] is None else json_.loads(cells["architecture"]),
        "started_at": cells["started_at"].isoformat(),
        **{name: cells[name] for name in ("profile_hash", "steady", "ended", "blocks_kept")},
        "blocks": cells["blocks_kept"] + cells["blocks_repeated"],
    }


def _known(value: int | None) -> str:
    return "–" if value is None else str(value)


def _words(data: Any) -> str:
    return ", ".join(f"{key}={value}" for key, value in data.items() if key != "name" and value is not None)
