"""This computer's ADB keys: those of the `adb` program, made where there are none."""

from __future__ import annotations

import base64
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwnas.device.adb._stream import UnreachableError


@dataclass(frozen=True, slots=True)
class Key:
    """A private key, and its public half as a phone takes it.

    Attributes:
        path: where the private key lies.
        private: as the `cryptography` package loads it.
        public: base64 of Android's structure, and a comment that the phone shows.
    """

    path: Path
    private: Any
    public: bytes

    def sign(self, token: bytes) -> bytes:
        """Return the signature of a phone's token, which ADB treats as a SHA-1 digest."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding, utils

        signed: bytes = self.private.sign(token, padding.PKCS1v15(), utils.Prehashed(hashes.SHA1()))  # noqa: S303  # ADB's
        return signed


def load_keys() -> list[Key]:
    """Return the keys to offer, the user's own first; that one is made where it is missing.

    `~/.android/adbkey`, then the files that `ADB_VENDOR_KEYS` names, as the `adb` program has it.

    Raises:
        DeviceConnectionError: the user's key can be neither read nor made.
    """
    own = _folder() / "adbkey"
    if not own.exists():
        _make(own)
    keys = [_load(own)]
    for entry in filter(None, os.environ.get("ADB_VENDOR_KEYS", "").split(os.pathsep)):
        place = Path(entry).expanduser()
        files = sorted(place.glob("*.adb_key")) if place.is_dir() else [place]
        keys.extend(_load(file) for file in files if file.exists())
    return keys


def _folder() -> Path:
    named = os.environ.get("ANDROID_USER_HOME")
    return Path(named) if named else Path.home() / ".android"


def _load(path: Path) -> Key:
    from adb_shell.auth.keygen import encode_pubkey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(path.read_bytes(), None)
        # Out of the private half: a file beside it may be of another pair. Of that only the comment is taken.
        public = base64.b64encode(encode_pubkey(str(path))) + b" " + _comment(path)
    except (OSError, ValueError, TypeError) as exc:
        raise UnreachableError(
            f"{path}: no usable ADB key: {exc}", "move it away; a new one is made, which the phone must then allow"
        ) from exc
    return Key(path, private, public)


def _comment(path: Path) -> bytes:
    """Return what the phone shows beside a key, as the public file has it."""
    try:
        words = path.with_name(path.name + ".pub").read_bytes().split(None, 1)
    except FileNotFoundError:
        words = []
    return words[1].strip() if len(words) > 1 else b"hwnas"


def _make(path: Path) -> None:
    """Make a key pair, unless another program makes one first; then that one is left as it is."""
    from adb_shell.auth.keygen import keygen

    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / "adbkey"
            keygen(str(made))
            made.chmod(0o600)
            try:
                os.link(made, path)
            except FileExistsError:
                return
            made.with_name("adbkey.pub").replace(path.with_name(path.name + ".pub"))
    except OSError as exc:
        raise UnreachableError(
            f"cannot make an ADB key in {path.parent}: {exc.strerror or exc}",
            "set ANDROID_USER_HOME to a folder of yours",
        ) from exc
