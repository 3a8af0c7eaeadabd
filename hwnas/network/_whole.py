"""A file written whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas._files import replaced
from hwnas.errors import NetworkError

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(target: Path, content: bytes) -> None:
    """Write a network that others may read too, so that nobody sees half of it.

    Raises:
        NetworkError: it cannot be written.
    """
    try:
        with replaced(target) as partial:
            partial.write_bytes(content)
            partial.chmod(0o644)
    except OSError as exc:
        raise NetworkError(f"{target}: cannot be written: {exc}", "check the folder and the space on the disk") from exc
