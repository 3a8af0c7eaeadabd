"""Which route to take to a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.device.adb import _server
from hwnas.device.adb._direct import connect_tcp, connect_usb
from hwnas.device.adb._keys import load_keys
from hwnas.device.adb._server import ServerRoute
from hwnas.device.adb._stream import UnreachableError
from hwnas.errors import DeviceConnectionError

if TYPE_CHECKING:
    from hwnas._deadline import Deadline
    from hwnas.device.adb._options import AdbOptions
    from hwnas.device.adb._stream import Route


def connect(options: AdbOptions, *, deadline: Deadline) -> Route:
    """Return a connection to the phone, by the route that the options name, or else by the one that works.

    A running adb server that has the phone is preferred: it has been allowed on it, it holds the USB interface, and it
    alone speaks TLS. Without one, the connection is our own.

    Raises:
        DeviceConnectionError: it cannot be reached: says why, and what was tried.
        DeadlineError: it did not answer in time.
    """
    if options.route == "direct":
        return _direct(options, deadline)
    if options.route == "server":
        return ServerRoute(_named(options), address=_address(options), deadline=deadline)
    try:
        listed = _server.listed()
    except DeviceConnectionError:  # something else listens there
        if options.address is None:
            raise
        listed = []
    there = [phone for phone in listed if options.listed_as in (None, phone.serial)]
    ready = [phone for phone in there if phone.state == "device"]
    if len(ready) > 1:
        raise UnreachableError(
            f"there are several phones: {', '.join(phone.serial for phone in ready)}", "name one: serial or address"
        )
    if ready:
        return ServerRoute(ready[0].serial, address=None, deadline=deadline)
    if there and options.address is None:
        raise UnreachableError(
            f"the adb server lists {there[0].serial} as {there[0].state}",
            _what_to_do(there[0].state),
        )
    try:
        return _direct(options, deadline)
    except DeviceConnectionError as exc:
        if options.address is not None and "TLS" in exc.message and _server.is_running():
            return ServerRoute(_named(options), address=_address(options), deadline=deadline)
        raise


def _direct(options: AdbOptions, deadline: Deadline) -> Route:
    keys = load_keys()
    if options.address is not None:
        return connect_tcp(options.address, keys, deadline=deadline, authorise_s=options.authorise_s)
    return connect_usb(options.serial, keys, deadline=deadline, authorise_s=options.authorise_s)


def _what_to_do(state: str) -> str:
    """Return what helps where the adb server lists a phone in this state."""
    if state == "unauthorized":
        return "authorise this computer on the phone: unlock it, tap 'Allow'; then see `adb devices`"
    if state.startswith("no permissions"):
        return "install Android's udev rules (Debian: apt install adb), connect it again; then see `adb devices`"
    return "wake the phone, connect it again, or `adb reconnect`; then see `adb devices`"


def _named(options: AdbOptions) -> str:
    if options.listed_as is not None:
        return options.listed_as
    there = _server.listed()
    if len(there) == 1:
        return there[0].serial
    names = ", ".join(phone.serial for phone in there) or "none"
    raise UnreachableError(f"which phone? The adb server has: {names}", "name one: serial or address")


def _address(options: AdbOptions) -> str | None:
    return options.listed_as if options.address is not None else None
