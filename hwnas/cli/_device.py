"""`hwnas device`: register targets, look at them, check them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas._files import absolute
from hwnas.cli import _output
from hwnas.cli._options import PART_DONE, Json, settings
from hwnas.errors import ConfigError, HwnasError

if TYPE_CHECKING:
    from hwnas.device import DeviceProfile

app = typer.Typer(no_args_is_help=True, help="Register devices, look at them, check them.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The device's name, as `hwnas device list` has it.")]


@app.command()
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it shall be called; also the name of its file.")],
    transport: Annotated[str, typer.Option(metavar="NAME", help="How it is reached.")] = "host",
    runtime: Annotated[str, typer.Option(metavar="NAME", help="What runs networks there.")] = "onnxruntime",
    threads: Annotated[int, typer.Option(metavar="N", help="Threads of one inference.")] = 1,
    cpus: Annotated[
        str | None, typer.Option(metavar="LIST", help="Processors that it may use, as 0,1 or 4-7. Default: any.")
    ] = None,
    cpu_mask: Annotated[
        str | None, typer.Option(metavar="HEX", help="The same as a hexadecimal mask: f0 is 4-7.")
    ] = None,
    batch: Annotated[int, typer.Option(metavar="N", help="Inputs of one inference.")] = 1,
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A setting of the runtime; may be given several times."),
    ] = None,
    transport_option: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A setting of the transport; may be given several times."),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="How measurements on it differ from the usual, as samples=4000."),
    ] = None,
    address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Phones: where one listens on the network.")
    ] = None,
    serial: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Phones: the serial number, as `adb devices` shows it.")
    ] = None,
    runner: Annotated[
        str | None, typer.Option(metavar="FILE", help="Phones: the program that runs networks there.")
    ] = None,
    library: Annotated[
        str | None, typer.Option(metavar="FILE", help="Phones: the runtime's shared library for hwnas-runner.")
    ] = None,
    notes: Annotated[str, typer.Option(metavar="TEXT", help="Anything that a person should know.")] = "",
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite a device of that name.")] = False,
    json: Json = False,
) -> None:
    """Register a device: write its profile to devices/NAME.toml.

    A device is hardware, runtime and settings together: the same machine with one and with four threads is two devices.
    Nothing is started; `hwnas device check NAME` does that.
    """
    from hwnas.device import DeviceProfile, DeviceRegistry, cpus_from_mask
    from hwnas.measurement import MeasurementProtocol

    if cpus is not None and cpu_mask is not None:
        raise ConfigError("--cpus and --cpu-mask say the same", "give one of them")
    profile = DeviceProfile(
        name=name,
        transport=transport,
        runtime=runtime,
        threads=threads,
        cpus=cpus_from_mask(cpu_mask) if cpu_mask is not None else cpu_list(cpus),
        batch=batch,
        options=assignments("--option", option),
        transport_options=_of_transport(
            transport, transport_option, address=address, serial=serial, runner=runner, library=library
        ),
        protocol=assignments("--protocol", protocol),
        notes=notes,
    )
    MeasurementProtocol.for_device(profile)
    path = DeviceRegistry(settings(context).workspace()).add(profile, replace=replace)
    if json:
        _output.emit({**profile.to_json(), "path": str(path)})
        return
    _output.note(f"registered {name}: {path}")
    _output.note(f"next: hwnas device check {name}")


@app.command("list")
def list_devices(context: typer.Context, json: Json = False) -> None:
    """List the registered devices.

    Those whose file is not valid are warned of, and the exit code is 3 then.
    """
    from hwnas.device import DeviceRegistry

    registry = DeviceRegistry(settings(context).workspace())
    names, profiles = registry.names(), []
    for name in names:
        try:
            profiles.append(registry.get(name))
        except HwnasError as exc:
            _output.warn(exc.message, exc.hint)
    if json:
        _output.emit([profile.to_json() for profile in profiles])
    elif profiles:
        rows = [
            [profile.name, profile.transport, profile.runtime, str(profile.threads), _cpus(profile), _settings(profile)]
            for profile in profiles
        ]
        _output.show(_output.table(["device", "transport", "runtime", "threads>", "cpus", "settings"], rows))
    elif not names:
        _output.note("no devices yet: hwnas device add host --transport host --runtime onnxruntime --threads 1")
    if len(profiles) < len(names):
        raise typer.Exit(PART_DONE)


@app.command()
def show(context: typer.Context, name: Name, json: Json = False) -> None:
    """Show a device's profile."""
    from hwnas.device import DeviceRegistry

    profile = DeviceRegistry(settings(context).workspace()).get(name)
    if json:
        _output.emit({**profile.to_json(), "hash": profile.hash})
        return
    rows = [[key, _text(value)] for key, value in profile.to_json().items()]
    _output.show(_output.table(["field", "value"], [*rows, ["hash", profile.hash[:16]]]))


@app.command()
def check(
    context: typer.Context,
    name: Name,
    stability: Annotated[
        bool, typer.Option("--stability", help="Measure a few networks again and again: how far do figures vary?")
    ] = False,
    campaigns: Annotated[
        int | None, typer.Option(metavar="N", min=3, help="With --stability: how often, by default 8.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --stability: draw the figures over time to a PNG file.")
    ] = None,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long to wait for a device that is in use.")
    ] = 0.0,
    json: Json = False,
) -> None:
    """Connect to a device, run a small network on it, and say what was seen.

    The verdict tells whether its measurements can be trusted as things are now, and what to change if not. With
    --stability a few networks are measured in several fresh campaigns: how far p50 and p99 vary from one to the next,
    whether networks keep their order, and what makes them vary. Nothing is stored.
    """
    from hwnas.cli._check import check_data, check_rows
    from hwnas.cli._stability import show_stability
    from hwnas.cli._stop import stopping
    from hwnas.device import DeviceRegistry
    from hwnas.measurement import MeasurementEvent, Waiting, check_device

    def listen(event: MeasurementEvent) -> None:
        if isinstance(event, Waiting):
            _output.note(f"waiting for {event.who}")

    if not stability and (campaigns is not None or plot is not None):
        raise ConfigError("--campaigns and --plot are of --stability", "add --stability")
    profile = DeviceRegistry(settings(context).workspace()).get(name)
    if stability:
        show_stability(profile, campaigns=campaigns or 8, plot=plot, wait_s=wait, json=json)
        return
    with stopping() as stop:
        found = check_device(profile, wait_s=wait, on_progress=listen, cancelled=stop)
    if json:
        _output.emit(check_data(found))
        return
    _output.show(_output.table([name, ""], check_rows(found)))


@app.command()
def remove(context: typer.Context, name: Name, json: Json = False) -> None:
    """Remove a device's profile; its measurements stay in the store."""
    from hwnas.device import DeviceRegistry

    DeviceRegistry(settings(context).workspace()).remove(name)
    if json:
        _output.emit({"removed": name})
        return
    _output.note(f"removed {name}; what was measured on it stays in the store")


def assignments(option: str, words: list[str] | None) -> dict[str, Any]:
    """Return `KEY=VALUE` words as a mapping; a value is a TOML scalar where it is one, else text.

    Raises:
        ConfigError: a word has no `=`, or a key is given twice.
    """
    found: dict[str, Any] = {}
    for word in words or []:
        key, sign, value = word.partition("=")
        if not sign or not key:
            raise ConfigError(f"{option} {word!r}: not an assignment", f"say it as in {option} name=value")
        if key in found:
            raise ConfigError(f"{option} {word!r}: {key} is given twice", "give it once")
        found[key] = _scalar(value)
    return found


def _of_transport(transport: str, words: list[str] | None, **named: str | None) -> dict[str, Any]:
    """Return the transport's settings: those of `--transport-option`, and those that have an option of their own.

    A phone's files are named from the root on, so that the profile means the same files from any folder.
    """
    found = assignments("--transport-option", words)
    for key, value in named.items():
        if value is not None and key in found:
            raise ConfigError(f"--{key} and --transport-option {key} say the same", "give one of them")
    found |= {key: value for key, value in named.items() if value is not None}
    if transport == "adb":
        if isinstance(found.get("runner"), str):
            found["runner"] = _from_the_root(found["runner"])
        if isinstance(found.get("library"), str):  # libraries are a list
            found["library"] = ":".join(_from_the_root(part) for part in found["library"].split(":"))
    return found


def _from_the_root(file: str) -> str:
    """Return a file's path from the root on; nothing stays nothing."""
    return str(absolute(Path(file).expanduser())) if file else file


def cpu_list(text: str | None) -> tuple[int, ...] | None:
    """Return the processors of a list such as `0,1` or `0,4-7`; `None` for none given.

    Raises:
        ConfigError: it is no such list.
    """
    if text is None:
        return None
    cpus: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,4})(?:-(\d{1,4}))?\s*", part)
        if found is None or (found[2] is not None and int(found[2]) < int(found[1])):
            raise ConfigError(f"--cpus {text!r}: not a list of processors", "say it as in 0,1 or 4-7")
        cpus += range(int(found[1]), int(found[2] or found[1]) + 1)
    return tuple(cpus)


def _scalar(text: str) -> str | int | float | bool:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _cpus(profile: DeviceProfile) -> str:
    return "any" if profile.cpus is None else ",".join(map(str, profile.cpus))


def _settings(profile: DeviceProfile) -> str:
    words = [f"{key}={value}" for key, value in {**profile.transport_options, **profile.options}.items()]
    if profile.batch != 1:
        words.append(f"batch={profile.batch}")
    return " ".join(words) or "–"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={item}" for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
