"""What a profile with the transport `adb` can say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hwnas.device.adb._direct import split_address

#: Serial numbers that makers of cheap boards give to all of them.
_NO_SERIALS = ("", "unknown", "0123456789ABCDEF", "0123456789abcdef")


def key_of_serial(serial: str) -> str | None:
    """Return what a phone is known by on this machine, by its own word; `None` where it has no number of its own."""
    return None if serial in _NO_SERIALS else f"adb {serial}"


@dataclass(frozen=True)
class AdbOptions:
    """The settings of a phone, as `transport_options` has them.

    Attributes:
        address: where it listens on the network, as `192.168.1.7:5555`.
        serial: its serial number, as `adb devices` shows it. With neither, the only phone there is.
        route: `direct` is our own connection, `server` goes through a running adb server; `auto` takes the server where
            it has the phone already, else the direct one.
        runner: the program that runs networks, a file of this machine built for the phone: `hwnas-runner`,
            `onnxruntime_perf_test` or `benchmark_model`.
        library: the runtime's shared library for `hwnas-runner`, as `libonnxruntime.so`; others that it needs follow,
            separated by `:`.
        reconnect_s: how long to try again when a connection broke.
        authorise_s: how long to wait for somebody to allow this computer on the phone.
        accept_charging: measurements are as good while the battery is charged: then that is no verdict.
        cool_s: rest before each block of inferences.
        cool_to_c: before each block, wait until the skin (or else the battery) is no warmer than this.
        cool_most_s: but no longer than this.
    """

    address: str | None = None
    serial: str | None = None
    route: Literal["auto", "direct", "server"] = "auto"
    runner: str | None = None
    library: str | None = None
    reconnect_s: float = 60.0
    authorise_s: float = 30.0
    accept_charging: bool = False
    cool_s: float = 0.0
    cool_to_c: float | None = None
    cool_most_s: float = 120.0

    def __post_init__(self) -> None:
        """Check what the types do not say."""
        if self.address is not None and self.serial is not None:
            raise ValueError("give address or serial, not both")
        if self.address is not None:
            split_address(self.address)
        for name in ("reconnect_s", "authorise_s", "cool_s", "cool_most_s"):
            if not 0.0 <= getattr(self, name) <= 86_400.0:
                raise ValueError(f"{name} is {getattr(self, name)}: give seconds, from 0 to 86400")

    @property
    def key(self) -> str:
        """What the phone is known by on this machine before it has told its serial number."""
        return f"adb {self.listed_as or 'the only one'}"

    @property
    def listed_as(self) -> str | None:
        """What an adb server calls the phone."""
        if self.address is None:
            return self.serial
        host, port = split_address(self.address)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
