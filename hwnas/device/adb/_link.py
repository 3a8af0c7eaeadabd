"""The wire below our own connection: TCP, or USB through adb-shell."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from typing import TYPE_CHECKING, Any, Protocol

from hwnas.device.adb._stream import UnreachableError, lost
from hwnas.errors import DeadlineError, DeviceConnectionError

if TYPE_CHECKING:
    from hwnas._deadline import Deadline

_USB_READ_S = 0.5  # how long one USB read waits; a broken connection ends it at once


class Link(Protocol):
    """A wire that carries packets. One thread reads while another writes."""

    name: str

    def write(self, data: bytes | memoryview, *, deadline: Deadline) -> None:
        """Write all of `data`; an incomplete write is no end of it."""
        ...

    def read(self, size: int, *, deadline: Deadline) -> bytearray:
        """Return exactly `size` bytes."""
        ...

    def close(self) -> None:
        """Close the wire; a thread that reads is woken."""
        ...


class TcpLink:
    """A TCP connection: small packets leave at once, and a peer that has gone silent is noticed."""

    def __init__(self, host: str, port: int, *, deadline: Deadline) -> None:
        """Connect.

        Raises:
            DeviceConnectionError: nobody answers there.
            DeadlineError: there was no answer in time.
        """
        self.name = f"{host}:{port}"
        deadline.check(f"connecting to {self.name}")
        try:
            self._socket = socket.create_connection((host, port), timeout=deadline.timeout_s())
        except TimeoutError as exc:
            raise DeviceConnectionError(
                f"{self.name} does not answer", "check the address, and that the phone is on and in the same network"
            ) from exc
        except (OSError, UnicodeError) as exc:  # a name with an empty part, or one too long, is no OSError
            raise DeviceConnectionError(
                f"cannot connect to {self.name}: {getattr(exc, 'strerror', None) or exc}",
                "check the address; on the phone, `adb tcpip 5555` or wireless debugging must be on",
            ) from exc
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _watch(self._socket)

    def write(self, data: bytes | memoryview, *, deadline: Deadline) -> None:
        """Write all of `data`, however little the socket takes at a time."""
        left = memoryview(data)
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                self._wait(select.POLLOUT, deadline)
            except OSError as exc:
                raise lost(self.name, exc) from exc

    def read(self, size: int, *, deadline: Deadline) -> bytearray:
        """Return exactly `size` bytes; the peer's end of the connection is noticed at once."""
        buffer = bytearray(size)
        view, have = memoryview(buffer), 0
        while have < size:
            try:
                got = self._socket.recv_into(view[have:])
            except BlockingIOError:
                self._wait(select.POLLIN, deadline)
                continue
            except OSError as exc:
                raise lost(self.name, exc) from exc
            if got == 0:
                raise DeviceConnectionError(
                    f"{self.name} closed the connection", "check that the phone is on, and did not restart"
                )
            have += got
        return buffer

    def close(self) -> None:
        """Close the socket."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that polls
        self._socket.close()

    def _wait(self, event: int, deadline: Deadline) -> None:
        poll = select.poll()
        try:
            poll.register(self._socket, event)
        except ValueError as exc:  # closed by another thread
            raise lost(self.name) from exc
        timeout_s = deadline.timeout_s()
        if not poll.poll(None if timeout_s is None else timeout_s * 1000):
            raise DeadlineError(f"{self.name} did not answer in time", "see whether the phone still responds")


class UsbLink:
    """A USB connection by adb-shell's `UsbTransport`."""

    def __init__(self, usb: Any, *, name: str) -> None:
        """Take over a transport that is connected."""
        self.name = name
        self._usb = usb
        self._closed = False

    @classmethod
    def open(cls, serial: str | None, *, deadline: Deadline) -> UsbLink:
        """Return a connection to the phone with that serial number, or to the only one there is.

        Raises:
            DeviceConnectionError: USB support is not installed, there is no such phone, or another program holds it.
        """
        try:
            from adb_shell.transport.usb_transport import UsbTransport
        except ImportError as exc:
            raise UnreachableError(
                "USB without an adb server needs libusb", "pip install 'adb-shell[usb]', or run `adb start-server`"
            ) from exc
        name = f"USB {serial}" if serial else "USB"
        try:
            usb = UsbTransport.find_adb(serial)
            usb.connect(deadline.remaining_s(at_most=10.0))
        except Exception as exc:  # libusb's errors have no common base
            raise _usb_error(name, exc) from exc
        return cls(usb, name=name)

    def write(self, data: bytes | memoryview, *, deadline: Deadline) -> None:
        """Write one transfer after the other until all is written."""
        left = memoryview(data)
        while left:
            deadline.check(f"writing to {self.name}")
            try:
                sent = self._usb.bulk_write(bytes(left), deadline.remaining_s(at_most=30.0))
            except Exception as exc:  # libusb's errors have no common base
                if _timed_out(exc):
                    continue
                raise lost(self.name, exc) from exc
            left = left[sent:]

    def read(self, size: int, *, deadline: Deadline) -> bytearray:
        """Return exactly `size` bytes; the phone sends header and data as transfers of their own."""
        buffer = bytearray()
        while len(buffer) < size:
            if self._closed:
                raise lost(self.name)
            deadline.check(f"reading from {self.name}")
            try:
                buffer += self._usb.bulk_read(size - len(buffer), deadline.remaining_s(at_most=_USB_READ_S))
            except Exception as exc:  # libusb's errors have no common base
                if not _timed_out(exc):
                    raise lost(self.name, exc) from exc
        return buffer

    def close(self) -> None:
        """Release the interface."""
        self._closed = True
        with contextlib.suppress(Exception):
            self._usb.close()


def _watch(connection: socket.socket) -> None:
    """Have the kernel notice a peer that vanished without a word, within about ten seconds."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 4), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 10_000)):
        option = getattr(socket, name, None)
        if option is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


def _timed_out(exc: Exception) -> bool:
    inner = getattr(exc, "usb_error", exc)
    return "timeout" in type(inner).__name__.lower()


def _usb_error(name: str, exc: Exception) -> DeviceConnectionError:
    inner = getattr(exc, "usb_error", exc)
    kind = type(inner).__name__
    if "Busy" in kind:
        return DeviceConnectionError(
            f"{name}: another program holds the phone's USB interface, most likely an adb server",
            'reach it through that server: route = "server"; or end it with `adb kill-server`',
        )
    if "Access" in kind:
        return UnreachableError(
            f"{name}: no permission to use the USB device", "install Android's udev rules (Debian: apt install adb)"
        )
    return DeviceConnectionError(
        f"{name}: no phone found ({kind})", "connect it, switch USB debugging on, and use a cable that carries data"
    )


def pause(seconds: float, deadline: Deadline) -> None:
    """Sleep, but not beyond the deadline."""
    time.sleep(deadline.remaining_s(at_most=seconds))
