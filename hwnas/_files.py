"""Files that are written whole or not at all, that are known by their hash, and where they are."""

from __future__ import annotations

import hashlib
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hwnas.errors import WorkspaceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Hand out the path of a file to write, which takes the place of `path` once the block has ended well.

    Several may write at once: each has a file of its own, and the last one to end stays.

    Raises:
        OSError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def absolute(path: Path) -> Path:
    """Return a path from the root of the file system.

    Raises:
        WorkspaceError: it starts from the current folder, and that is gone.
    """
    try:
        return path.absolute()
    except OSError as exc:
        raise WorkspaceError("the current folder is not there any more", "change to another folder") from exc


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's content, as 64 hex digits.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
