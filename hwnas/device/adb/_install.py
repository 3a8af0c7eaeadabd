"""What lies on a phone: programs and libraries, which stay, and networks, which go.

Everything is in one folder. Programs are kept by their content, `v1/<hash>/<name>`, so that a new build never takes the
place of one that runs, and what is there already is not sent again.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from typing import TYPE_CHECKING

from hwnas.device.adb._files import local_sha256

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from hwnas._deadline import Deadline
    from hwnas.device.adb._transport import AdbTransport
    from hwnas.network import NetworkFile

FOLDER = "/data/local/tmp/hwnas"
_VERSION = "v1"
_HASH_DIGITS = 16
_OLD_MINUTES = 60
_LEFT = ("(", "-path", f"{FOLDER}/networks/*", "-o", "-name", "*.part", ")", "-mmin", f"+{_OLD_MINUTES}")


class Installation:
    """The files of hwnas on one phone. Thread-safe."""

    def __init__(self, transport: AdbTransport) -> None:
        """Use this transport; nothing is sent yet."""
        self._transport = transport
        self._guard = threading.Lock()
        self._checked: set[str] = set()
        self._swept = False

    def bundle(self, files: Sequence[Path], *, deadline: Deadline) -> str:
        """Return the folder on the phone that holds these files, each checked by its hash and sent where it is missing.

        Raises:
            DeviceError: one cannot be read here, or cannot be written there.
            DeviceConnectionError: the phone cannot be reached.
            DeadlineError: they could not be sent in time.
        """
        hashes = {file: local_sha256(file) for file in files}
        both = "\n".join(f"{file.name} {digest}" for file, digest in sorted(hashes.items()))
        folder = f"{FOLDER}/{_VERSION}/{hashlib.sha256(both.encode()).hexdigest()[:_HASH_DIGITS]}"
        with self._guard:
            if folder in self._checked:
                return folder
            for file, digest in hashes.items():
                remote = f"{folder}/{file.name}"
                if self._transport.size_and_hash(remote, deadline=deadline) != (file.stat().st_size, digest):
                    self._transport.push(file, remote, deadline=deadline)
                self._transport.run(["chmod", "755", remote], deadline=deadline, harmless=True)
            self._checked.add(folder)
        return folder

    def network(self, network: NetworkFile, *, deadline: Deadline) -> str:
        """Return the path on the phone of a network that was sent; whoever asked removes it."""
        name = f"{network.hash[:_HASH_DIGITS]}-{secrets.token_hex(4)}.{network.format}"
        remote = f"{FOLDER}/networks/{name}"
        self._sweep(deadline)
        self._transport.push(network.path, remote, deadline=deadline)
        return remote

    def _sweep(self, deadline: Deadline) -> None:
        """Remove, once, what campaigns that were cut short have left: old networks, and files that never came whole.

        Whatever is younger may belong to somebody who measures from another computer.
        """
        with self._guard:
            swept, self._swept = self._swept, True
        if not swept:
            self._transport.run(
                ["find", FOLDER, "-type", "f", *_LEFT, "-exec", "rm", "-f", "{}", "+"], deadline=deadline
            )

    def forget(self) -> None:
        """Check everything anew the next time."""
        with self._guard:
            self._checked.clear()
