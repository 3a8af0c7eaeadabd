"""`hwnas device tune`, `restore` and `clean`: what is done to a phone itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli import _output
from hwnas.cli._device import Name, app
from hwnas.cli._options import Json, settings
from hwnas.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwnas._deadline import Deadline
    from hwnas.device.adb import AdbTransport

    Work = Callable[[AdbTransport, Deadline], list[str]]

Timeout = Annotated[float, typer.Option("--timeout", metavar="S", min=0.001, help="How long it may take, in seconds.")]


@app.command()
def tune(context: typer.Context, name: Name, timeout_s: Timeout = 60.0, json: Json = False) -> None:
    """Set a phone up for steadier figures, as far as an unrooted one allows.

    Fixed performance mode (Android 11 and later), and a screen that stays on while a cable is there. `hwnas device
    restore NAME` puts all back.
    """
    from hwnas.device.adb import tune as work

    _do(context, name, lambda transport, deadline: work(transport, deadline=deadline), timeout_s, json=json)


@app.command()
def restore(context: typer.Context, name: Name, timeout_s: Timeout = 60.0, json: Json = False) -> None:
    """Put back what `hwnas device tune` changed on a phone."""
    from hwnas.device.adb import restore as work

    _do(context, name, lambda transport, deadline: work(transport, deadline=deadline), timeout_s, json=json)


@app.command()
def clean(context: typer.Context, name: Name, timeout_s: Timeout = 60.0, json: Json = False) -> None:
    """Remove all that hwnas has put on a phone, end what it runs there, and put back what was tuned."""
    from hwnas.device.adb import clean as work

    _do(context, name, lambda transport, deadline: work(transport, deadline=deadline), timeout_s, json=json)


def _do(context: typer.Context, name: str, work: Work, timeout_s: float, *, json: bool) -> None:
    """Do something with a phone, alone on it, and tell what was done."""
    from hwnas._deadline import Deadline
    from hwnas.device import DeviceRegistry
    from hwnas.device.adb import lock_key_of, open_transport
    from hwnas.locks import DeviceLock

    profile = DeviceRegistry(settings(context).workspace()).get(name)
    if profile.transport != "adb":
        raise ConfigError(f"device {name!r} is no phone: its transport is {profile.transport!r}", "name one with adb")
    deadline = Deadline.after(timeout_s)
    transport = open_transport(profile, deadline)
    try:
        with DeviceLock(lock_key_of(profile, transport, deadline=deadline)).hold():
            told = work(transport, deadline)
    finally:
        transport.close()
    if json:
        _output.emit({"device": name, "done": told})
        return
    for line in told:
        _output.note(line)
