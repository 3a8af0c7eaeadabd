"""The way through a running adb server: phones at USB, and those paired by wireless debugging (TLS).

adbutils speaks with the server; a service's stream is then the bare socket. No server is ever started from here.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwnas.device.adb._stream import ServiceRefusedError, lost
from hwnas.errors import DeadlineError, DeviceConnectionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwnas._deadline import Deadline

_ASK_S = 10.0  # a server answers questions of its own within this
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Listed:
    """A phone as the server lists it.

    Attributes:
        serial: what the server calls it: a serial number, or an address.
        state: `device`, `unauthorized`, `offline`, ...
    """

    serial: str
    state: str


def server_address() -> tuple[str, int]:
    """Return where the adb server listens: port 5037, or what the environment says, as for `adb`."""
    port = os.environ.get("ANDROID_ADB_SERVER_PORT", "5037")
    return os.environ.get("ANDROID_ADB_SERVER_ADDRESS", "127.0.0.1"), int(port) if port.isdecimal() else 5037


def is_running() -> bool:
    """Return whether an adb server listens."""
    try:
        socket.create_connection(server_address(), timeout=1.0).close()
    except (OSError, UnicodeError):
        return False
    return True


def listed() -> list[Listed]:
    """Return the phones that the server knows; none where no server runs.

    Raises:
        DeviceConnectionError: what listens there is no adb server.
    """
    if not is_running():
        return []
    with _asking("the adb server"), _connection(_ASK_S) as connection:
        connection.send_command("host:devices")
        connection.check_okay()
        lines = connection.read_string_block().splitlines()
    return [Listed(*line.split("\t", 1)) for line in lines if "\t" in line]


class ServerRoute:
    """See `Route`. Every stream is a connection of its own to the server."""

    def __init__(self, serial: str, *, address: str | None, deadline: Deadline) -> None:
        """Find the phone among those of the server, after `adb connect` where an address is given.

        Raises:
            DeviceConnectionError: no server runs, or it cannot reach the phone.
        """
        self.serial = serial
        self._address = address
        self._alive = True
        if not is_running():
            host, port = server_address()
            raise DeviceConnectionError(
                f"no adb server listens at {host}:{port}",
                'run `adb start-server`, set ANDROID_ADB_SERVER_PORT, or use route = "direct"',
            )
        if address is not None:
            self._connect(address, deadline)
        self._features = self._ask_features(deadline)

    @property
    def features(self) -> frozenset[str]:
        """Return what the phone's daemon can do, as the server tells it."""
        return self._features

    @property
    def alive(self) -> bool:
        """Return whether the last stream could be opened."""
        return self._alive

    def open(self, service: str, *, deadline: Deadline) -> SocketStream:
        """Return a stream to `service`; see `Route.open`."""
        if not self._alive:
            raise DeviceConnectionError("the connection was closed", "open the device again")
        timeout_s = deadline.remaining_s(at_most=_ASK_S)
        deadline.check("asking the adb server")
        connection = self._dial(timeout_s)
        try:
            with _asking(f"phone {self.serial}"):
                connection.send_command(f"host:transport:{self.serial}")
                connection.check_okay()
                connection.send_command(service)
                _check_service(connection, service)
        except BaseException as exc:
            connection.conn.close()
            if isinstance(exc, DeviceConnectionError):
                self._alive = False
            raise
        return SocketStream(connection.conn, name=f"phone {self.serial}")

    def close(self) -> None:
        """Open no further stream. The server keeps its own connection to the phone."""
        self._alive = False

    def describe(self) -> str:
        """Return the way and the phone."""
        return f"through the adb server at port {server_address()[1]}, {self.serial}"

    def _dial(self, timeout_s: float) -> Any:
        if not is_running():  # adbutils would start one
            self._alive = False
            raise DeviceConnectionError("the adb server has gone", "run `adb start-server`")
        with _asking("the adb server"):
            return _client().make_connection(timeout_s)

    def _connect(self, address: str, deadline: Deadline) -> None:
        with _asking("the adb server"):
            said: str = _client().connect(address, timeout=deadline.remaining_s(at_most=_ASK_S))
        if "connected to" not in said:
            raise DeviceConnectionError(
                f"the adb server cannot reach {address}: {said.strip()}", "check the address; try `adb connect` by hand"
            )

    def _ask_features(self, deadline: Deadline) -> frozenset[str]:
        with _asking(f"phone {self.serial}"):
            connection = self._dial(deadline.remaining_s(at_most=_ASK_S))
            with contextlib.closing(connection.conn):
                connection.send_command(f"host-serial:{self.serial}:features")
                connection.check_okay()
                return frozenset(connection.read_string_block().split(","))


class SocketStream:
    """See `Stream`: a socket that the server has connected to a service."""

    def __init__(self, connection: socket.socket, *, name: str) -> None:
        """Take over a connected socket."""
        self._socket = connection
        self._name = name
        self._early = bytearray()
        self._ended = False
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes | memoryview, *, deadline: Deadline) -> None:
        """Send all of `data`, and keep what arrives meanwhile; see `Stream.send`."""
        left = memoryview(data)
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                if self._wait(select.POLLOUT | (0 if self._ended else select.POLLIN), deadline) & select.POLLIN:
                    self._early += self._read()
            except OSError as exc:
                raise lost(self._name, exc) from exc

    def receive(self, *, deadline: Deadline) -> bytes:
        """Return what came next; see `Stream.receive`."""
        if self._early:
            data, self._early = bytes(self._early), bytearray()
            return data
        while not self._ended:
            try:
                return self._read()
            except BlockingIOError:
                self._wait(select.POLLIN, deadline)
        return b""

    def has_input(self) -> bool:
        """Return whether `receive` would return at once."""
        if self._early or self._ended:
            return True
        return bool(select.select([self._socket], [], [], 0)[0])

    def close(self) -> None:
        """Close the socket; the server ends the service."""
        self._socket.close()

    def _read(self) -> bytes:
        try:
            data = self._socket.recv(_PIECE)
        except BlockingIOError:
            raise
        except OSError as exc:
            raise lost(self._name, exc) from exc
        self._ended = not data
        return data

    def _wait(self, events: int, deadline: Deadline) -> int:
        poll = select.poll()
        try:
            poll.register(self._socket, events)
        except ValueError as exc:  # closed by another thread
            raise lost(self._name) from exc
        timeout_s = deadline.timeout_s()
        ready = poll.poll(None if timeout_s is None else timeout_s * 1000)
        if not ready:
            raise DeadlineError(f"{self._name} did not answer in time", "see whether the phone still responds")
        return ready[0][1]


def _client() -> Any:
    import adbutils

    host, port = server_address()
    return adbutils.AdbClient(host=host, port=port, socket_timeout=_ASK_S)


@contextlib.contextmanager
def _connection(timeout_s: float) -> Iterator[Any]:
    connection = _client().make_connection(timeout_s)
    with contextlib.closing(connection.conn):
        yield connection


@contextlib.contextmanager
def _asking(whom: str) -> Iterator[None]:
    """Translate what can go wrong when a server is asked."""
    import adbutils

    try:
        yield
    except (adbutils.AdbError, OSError, EOFError, ValueError) as exc:
        text = str(exc).strip() or type(exc).__name__
        if "unauthorized" in text:
            raise DeviceConnectionError(
                f"{whom} has not allowed this computer",
                "authorise this computer on the phone: unlock it, tap 'Always allow from this computer' and 'Allow'",
            ) from exc
        raise DeviceConnectionError(
            f"{whom} cannot be reached through the adb server: {text}", "see what `adb devices -l` says"
        ) from exc


def _check_service(connection: Any, service: str) -> None:
    import adbutils

    try:
        connection.check_okay()
    except adbutils.AdbError as exc:
        if str(exc) == "closed":
            name = service.partition(":")[0]
            raise ServiceRefusedError(
                f"the phone refuses the service {name!r}", "its ADB daemon may be too old"
            ) from exc
        raise
