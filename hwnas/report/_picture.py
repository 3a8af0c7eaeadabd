"""How all pictures are saved."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure


def save_picture(figure: Figure, path: Path, *, dpi: int = 150) -> None:
    """Write a figure to a PNG file; a letter that the font lacks is drawn as a box, without a word.

    Raises:
        OSError: the file cannot be written.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        figure.savefig(path, dpi=dpi)
