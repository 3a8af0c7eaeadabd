"""What an unrooted phone allows for steadier figures, how it is put back, and the removal of all that hwnas left."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas._deadline import Deadline
from hwnas.device.adb import _shell
from hwnas.device.adb._install import FOLDER
from hwnas.errors import DeviceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwnas.device.adb._transport import AdbTransport

_RECORD = f"{FOLDER}/tuned"
_STAY_ON = "stay_on_while_plugged_in"
_ALWAYS = "7"  # with a charger, USB or wireless
_FIXED_MODE_SDK = 30
_FIXED_MODE = ("cmd", "power", "set-fixed-performance-mode-enabled")
_PUT_BACK_S = 20.0


def tune(transport: AdbTransport, *, deadline: Deadline) -> list[str]:
    """Set a phone up for measuring; returns what was done and what could not be, as sentences.

    Fixed performance mode (Android 11 and later, where the maker offers it) keeps clocks at a level that the phone can
    hold. The screen is woken and stays on while a cable is there, so that the phone does not doze. How things were is
    kept on the phone first: `restore` puts them back, from any computer, and after a crash too.

    Raises:
        DeviceError: the phone refuses to keep the record.
        DeviceConnectionError: it cannot be reached.
        DeadlineError: it did not answer in time.
    """
    sdk = _said(transport, ["getprop", "ro.build.version.sdk"], deadline)
    if _record(transport, deadline) is None:
        _keep(transport, {_STAY_ON: _said(transport, ["settings", "get", "global", _STAY_ON], deadline)}, deadline)
    told = []
    if sdk.isdigit() and int(sdk) >= _FIXED_MODE_SDK:
        done = transport.run([*_FIXED_MODE, "true"], deadline=deadline, harmless=True)
        told.append(
            "fixed performance mode is on"
            if done.exit_code == 0
            else "this phone offers no fixed performance mode; its clocks stay as they are"
        )
    else:
        told.append("fixed performance mode needs Android 11; clocks stay as they are")
    _said(transport, ["settings", "put", "global", _STAY_ON, _ALWAYS], deadline)
    _said(transport, ["input", "keyevent", "KEYCODE_WAKEUP"], deadline)
    told.append("the screen is on, and stays on while the phone is plugged in")
    return told


def restore(transport: AdbTransport, *, deadline: Deadline) -> list[str]:
    """Put back what `tune` changed; returns what was done. A phone that was not tuned is left alone."""
    before = _record(transport, deadline)
    if before is None:
        return ["nothing was changed on this phone"]
    sdk = _said(transport, ["getprop", "ro.build.version.sdk"], deadline)
    if sdk.isdigit() and int(sdk) >= _FIXED_MODE_SDK:
        done = transport.run([*_FIXED_MODE, "false"], deadline=deadline, harmless=True)
        told = ["fixed performance mode is off"] if done.exit_code == 0 else []
    else:
        told = []
    value = before.get(_STAY_ON, "null")
    if value in ("", "null"):
        _said(transport, ["settings", "delete", "global", _STAY_ON], deadline)
    else:
        _said(transport, ["settings", "put", "global", _STAY_ON, value], deadline)
    transport.remove(_RECORD, deadline=deadline)
    return [*told, "the screen times out as before"]


@contextlib.contextmanager
def tuned(transport: AdbTransport, *, deadline: Deadline) -> Iterator[list[str]]:
    """Tune a phone for a block of code, and put it back after it, however it ends: by Ctrl-C too."""
    try:
        yield tune(transport, deadline=deadline)
    finally:
        restore(transport, deadline=Deadline.after(_PUT_BACK_S))


def clean(transport: AdbTransport, *, deadline: Deadline) -> list[str]:
    """End all that hwnas runs on a phone, put back what was tuned, and remove all its files; returns what was done.

    Nobody else may be measuring on the phone: hold its lock.
    """
    told = restore(transport, deadline=deadline) if _record(transport, deadline) is not None else []
    transport.persist(lambda route: _shell.end_marked(route, None, deadline=deadline), deadline=deadline)
    size = transport.run(["du", "-sk", FOLDER], deadline=deadline, harmless=True).stdout.split()
    transport.remove(FOLDER, deadline=deadline)
    transport.installation.forget()
    kib = int(size[0]) if size and size[0].isdigit() else 0
    return [*told, f"removed {FOLDER} from the phone ({kib / 1024:.1f} MiB), and ended what ran there"]


def _record(transport: AdbTransport, deadline: Deadline) -> dict[str, str] | None:
    done = transport.run(["cat", _RECORD], deadline=deadline, harmless=True)
    if done.exit_code != 0:
        return None
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _keep(transport: AdbTransport, values: dict[str, str], deadline: Deadline) -> None:
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        place = Path(folder) / "tuned"
        place.write_text("".join(f"{name}={value}\n" for name, value in values.items()), encoding="utf-8")
        transport.push(place, _RECORD, deadline=deadline)


def _said(transport: AdbTransport, argv: list[str], deadline: Deadline) -> str:
    done = transport.run(argv, deadline=deadline, harmless=True)
    if done.exit_code != 0:
        words = " ".join((done.stderr or done.stdout).decode("utf-8", "replace").split())[:200]
        raise DeviceError(
            f"the phone refuses {' '.join(argv[:4])!r}: {words}",
            "on some phones (Xiaomi, ...) developer options hold 'USB debugging (Security settings)': switch it on",
        )
    return done.stdout.decode("utf-8", "replace").strip()
