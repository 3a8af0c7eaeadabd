"""Android phones through ADB: two routes to them, what runs networks there, and their state."""

from hwnas.device.adb._kind import KIND, LiteRtOptions, lock_key_of, open_transport, options_of
from hwnas.device.adb._options import AdbOptions
from hwnas.device.adb._probe import AdbProbe
from hwnas.device.adb._transport import AdbTransport, RemoteProcess
from hwnas.device.adb._tune import clean, restore, tune, tuned

__all__ = [
    "KIND",
    "AdbOptions",
    "AdbProbe",
    "AdbTransport",
    "LiteRtOptions",
    "RemoteProcess",
    "clean",
    "lock_key_of",
    "open_transport",
    "options_of",
    "restore",
    "tune",
    "tuned",
]
