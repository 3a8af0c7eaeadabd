"""`hwnas measure`: the latency of networks on a device."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.cli import _output
from hwnas.cli._options import Json, settings
from hwnas.errors import ConfigError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hwnas.device import Device
    from hwnas.measurement import Measurement, MeasurementEvent, MeasurementFailure
    from hwnas.network import NetworkFile
    from hwnas.space import Architecture

_CONNECT_S = 30.0
_NOTHING_DONE = 2
_PART_DONE = 3


def measure(
    context: typer.Context,
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="The device's name, as `hwnas device list` has it.")],
    networks: Annotated[
        list[Path] | None,
        typer.Argument(metavar="NETWORK...", help="Network files, as .onnx or .tflite.", show_default=False),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            metavar="SPACE", help="Instead of files: networks of a space, as digits, FILE.toml or FILE.py:NAME."
        ),
    ] = None,
    count: Annotated[int, typer.Option(metavar="N", min=1, help="With --space: how many.")] = 20,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="With --space: which.")] = 0,
    samples: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Inferences that count, at least; by default 1000."),
    ] = None,
    precision: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Go on until the p99's interval is this narrow, as 5%.")
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Another setting of the protocol; may be given several times."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Measure what is known once more.")] = False,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long to wait for a device that is in use.")
    ] = 0.0,
    json: Json = False,
) -> None:
    """Measure the p50 and p99 latency of networks on a device, each with its 95 % interval and a verdict.

    What is known already comes from the store. After Ctrl-C, or a crash, the same command goes on where it was.
    """
    from hwnas._deadline import Deadline
    from hwnas.device import Device, DeviceRegistry
    from hwnas.measurement import MeasurementProtocol, MeasurementStore
    from hwnas.measurement import measure as measure_networks

    chosen = settings(context)
    profile = DeviceRegistry(chosen.workspace()).get(device)
    rules = MeasurementProtocol.for_device(profile, **_overrides(samples, precision, protocol))
    _check_which(networks, space)
    with (
        Device.open(profile, deadline=Deadline.after(_CONNECT_S)) as opened,
        _networks(networks or [], space, count, seed, opened) as (files, architectures),
        chosen.store() as store,
        progress(len(files)) as listen,
        stoppable() as stop,
    ):
        results = measure_networks(
            files,
            opened,
            store=MeasurementStore(store),
            protocol=rules,
            again=again,
            architectures=architectures,
            wait_s=wait,
            on_progress=listen,
            cancelled=stop,
        )
    _report(results, json=json)


def _overrides(samples: int | None, precision: str | None, protocol: list[str] | None) -> dict[str, Any]:
    from hwnas.cli._device import assignments

    overrides = assignments("--protocol", protocol)
    if samples is not None:
        overrides["samples"] = samples
    if precision is not None:
        overrides["precision"] = share(precision)
    return overrides


def share(text: str) -> float:
    """Return `5%` or `0.05` as 0.05.

    Raises:
        ConfigError: it is neither.
    """
    try:
        return float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError as exc:
        raise ConfigError(f"--precision {text!r}: not a share", "say 5% or 0.05") from exc


def _check_which(paths: Sequence[Path] | None, space: str | None) -> None:
    if bool(paths) == (space is not None):
        raise ConfigError(
            "which networks?" if space is None else "network files and --space are two things to measure",
            "name network files, or a space with --space",
        )


@contextmanager
def _networks(
    paths: Sequence[Path], space: str | None, count: int, seed: int, device: Device
) -> Iterator[tuple[list[NetworkFile], list[Architecture] | None]]:
    """Hand out the network files to measure, and of a space's networks the architectures."""
    from hwnas.network import NetworkFile

    if space is None:
        yield [NetworkFile.load(path) for path in paths], None
        return
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        yield _sampled(space, count, seed, device, Path(folder))


def _sampled(
    source: str, count: int, seed: int, device: Device, folder: Path
) -> tuple[list[NetworkFile], list[Architecture]]:
    """Write networks of a space in a format that the device runs."""
    import numpy as np

    from hwnas.network import write_network
    from hwnas.space import load_space

    space = load_space(source)
    architectures = space.sample(count, np.random.default_rng(seed))
    formats, batch = device.runtime.formats, device.profile.batch
    files = [
        write_network(space.graph(item), folder / item.id, formats, batch=batch, name=f"{space.name}-{item.id[:8]}")
        for item in architectures
    ]
    return files, architectures


@contextmanager
def stoppable() -> Iterator[Any]:
    """Hand out the event that Ctrl-C sets, and say afterwards that what was measured is kept."""
    from hwnas.cli._stop import stopping

    try:
        with stopping() as stop:
            yield stop
    except StoppedError as exc:
        raise StoppedError(exc.message, "what was measured is stored; the same command goes on with the rest") from exc


@contextmanager
def progress(total: int) -> Iterator[Callable[[MeasurementEvent], None]]:
    """Show a bar on a terminal, and elsewhere a line for each network that is done."""
    from hwnas.measurement import BlockMeasured, NetworkFailed, NetworkMeasured, Waiting

    done = 0

    def told(event: MeasurementEvent) -> None:
        nonlocal done
        match event:
            case NetworkMeasured():
                done += 1
                if not console.is_terminal:
                    known = ", known" if event.known else ""
                    _output.note(f"{done} of {total}: {_figures(event.measurement)}{known}")
            case NetworkFailed():
                done += 1
                failure = event.failure
                _output.warn(f"{failure.network_name}: {failure.error.message}", failure.error.hint)
            case Waiting():
                _output.note(f"waiting for {event.who}")
            case _:
                pass

    console = _output.human()
    if not console.is_terminal:
        yield told
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", total=total)

        def listen(event: MeasurementEvent) -> None:
            told(event)
            if isinstance(event, BlockMeasured):
                from rich.markup import escape

                text = f"{event.network_name}: {event.samples} of {event.wanted} samples"
                bars.update(task, description=escape(text))
            bars.update(task, completed=done)

        yield listen


def _figures(measurement: Measurement) -> str:
    from hwnas.cli._measurements import interval, milliseconds

    return (
        f"{measurement.network_name}: p50 {milliseconds(measurement.p50_ms)} ms, p99 "
        f"{milliseconds(measurement.p99_ms)} ms ({interval(measurement.p99)}), {measurement.verdict}"
    )


def _report(results: Sequence[Measurement | MeasurementFailure], *, json: bool) -> None:
    from hwnas.cli._measurements import measurement_table
    from hwnas.measurement import Measurement

    measured = [result for result in results if isinstance(result, Measurement)]
    failed = [result for result in results if not isinstance(result, Measurement)]
    if json:
        failures = [
            {
                "network_name": failure.network_name,
                "network_hash": failure.network_hash,
                "architecture_id": failure.architecture_id,
                "device": failure.device,
                "error": failure.error.message,
                "hint": failure.error.hint,
            }
            for failure in failed
        ]
        _output.emit({"measurements": [measurement.to_json() for measurement in measured], "failures": failures})
    elif measured:
        _output.show(measurement_table(measured))
        for measurement in measured:
            if measurement.estimated_from:
                _output.note(f"{measurement.network_name}: the p99 is an estimate, from {measurement.estimated_from}")
            for reason in measurement.reasons:
                _output.note(f"{measurement.network_name}: {reason}")
    if failed:
        _output.note(f"{len(failed)} of {_output.plural(len(results), 'network')} could not be measured")
        raise typer.Exit(_PART_DONE if measured else _NOTHING_DONE)
