"""`hwnas measure`: the latency of networks on a device, or on several at once."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.cli import _output
from hwnas.cli._options import PART_DONE, Json, settings
from hwnas.errors import ConfigError, HwnasError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from hwnas.cli._measuring import Request, Results
    from hwnas.device import DeviceProfile

_NOTHING_DONE = 2


def measure(
    context: typer.Context,
    device: Annotated[
        str | None,
        typer.Argument(metavar="DEVICE", help="The device's name, as `hwnas device list` has it.", show_default=False),
    ] = None,
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
    devices: Annotated[
        list[str] | None,
        typer.Option(
            "--device",
            metavar="NAME",
            help="Instead of DEVICE: one of several that measure side by side; may be given several times.",
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Measure what is known once more.")] = False,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long to wait for a device that is in use.")
    ] = 0.0,
    json: Json = False,
) -> None:
    """Measure the p50 and p99 latency of networks on a device, each with its 95 % interval and a verdict.

    What is known already comes from the store. After Ctrl-C, or a crash, the same command goes on where it was. With
    several devices (--device A --device B NETWORK...) each has a worker of its own; one that drops out stops no other.
    """
    from hwnas.cli._measuring import as_json, measure_on
    from hwnas.device import DeviceRegistry
    from hwnas.measurement import MeasurementStore

    chosen = settings(context)
    names, paths = _names(device, devices, networks)
    registry = DeviceRegistry(chosen.workspace())
    profiles = [registry.get(name) for name in names]
    request = _request(
        profiles, paths, space, _overrides(samples, precision, protocol), (count, seed), again=again, wait_s=wait
    )
    with chosen.store() as store, stoppable() as stop:
        found = measure_on(profiles, request, MeasurementStore(store), stop)
    if json:
        _output.emit(as_json(found))
    else:
        _show(found)
    _end(found)


def _names(device: str | None, devices: list[str] | None, networks: list[Path] | None) -> tuple[list[str], list[Path]]:
    """Return the devices' names and the paths of networks; after `--device`, all that stands free is a network."""
    if not devices:
        if device is None:
            raise ConfigError("which device?", "name one: hwnas measure DEVICE NETWORK...; see hwnas device list")
        return [device], networks or []
    repeated = sorted({name for name in devices if devices.count(name) > 1})
    if repeated:
        raise ConfigError(f"a device is named twice: {', '.join(repeated)}", "name each once")
    return devices, [*([Path(device)] if device is not None else []), *(networks or [])]


def _request(
    profiles: Sequence[DeviceProfile],
    paths: Sequence[Path],
    space: str | None,
    overrides: Mapping[str, Any],
    sampling: tuple[int, int],
    *,
    again: bool,
    wait_s: float,
) -> Request:
    """Return what is to be measured; what is wrong with the words is said before a device is asked for anything."""
    from hwnas.cli._measuring import Request
    from hwnas.measurement import MeasurementProtocol
    from hwnas.network import NetworkFile
    from hwnas.space import load_space

    protocols = {profile.name: MeasurementProtocol.for_device(profile, **overrides) for profile in profiles}
    if bool(paths) == (space is not None):
        raise ConfigError(
            "which networks?" if space is None else "network files and --space are two things to measure",
            "name network files, or a space with --space",
        )
    if space is not None:
        load_space(space)
    return Request(
        files=tuple(NetworkFile.load(path) for path in paths),
        space=space,
        count=sampling[0],
        seed=sampling[1],
        protocols=protocols,
        again=again,
        wait_s=wait_s,
    )


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
        ConfigError: it is neither, or not between 0 and 1.
    """
    try:
        found = float(text.removesuffix("%")) / (100.0 if text.endswith("%") else 1.0)
    except ValueError as exc:
        raise ConfigError(f"--precision {text!r}: not a share", "say 5% or 0.05") from exc
    if not 0.0 < found < 1.0:  # nor where it is no number
        raise ConfigError(f"--precision {text!r}: not a share between 0 and 1", "say 5% or 0.05")
    return found


@contextmanager
def stoppable() -> Iterator[Any]:
    """Hand out the event that Ctrl-C sets, and say afterwards that what was measured is kept."""
    from hwnas.cli._stop import stopping

    try:
        with stopping() as stop:
            yield stop
    except StoppedError as exc:
        raise StoppedError(exc.message, "what was measured is stored; the same command goes on with the rest") from exc


def _show(found: Mapping[str, Results | HwnasError]) -> None:
    from hwnas.cli._measurements import measurement_table
    from hwnas.measurement import Measurement

    results = [item for outcome in found.values() if not isinstance(outcome, HwnasError) for item in outcome]
    measured = [result for result in results if isinstance(result, Measurement)]
    if not measured:
        return
    _output.show(measurement_table(measured))
    for measurement in measured:
        where = f"{measurement.device}, " if len(found) > 1 else ""
        name = f"{where}{measurement.network_name}"
        if measurement.estimated_from:
            _output.note(f"{name}: the p99 is an estimate, from {measurement.estimated_from}")
        for reason in measurement.reasons:
            _output.note(f"{name}: {reason}")


def _end(found: Mapping[str, Results | HwnasError]) -> None:
    """Say what could not be measured, and exit with the code for it: 3 where something was, 2 where nothing was."""
    from hwnas.measurement import Measurement

    outcomes = [outcome for outcome in found.values() if not isinstance(outcome, HwnasError)]
    results = [item for outcome in outcomes for item in outcome]
    failed = sum(not isinstance(item, Measurement) for item in results)
    lost = len(found) - len(outcomes)
    if failed:
        _output.note(f"{failed} of {_output.plural(len(results), 'network')} could not be measured")
    if lost:
        _output.note(f"nothing was measured on {lost} of {_output.plural(len(found), 'device')}")
    if failed or lost:
        raise typer.Exit(PART_DONE if failed < len(results) else _NOTHING_DONE)
