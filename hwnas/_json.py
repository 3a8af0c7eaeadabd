"""JSON for whoever reads it: it has no number that is not finite."""

from __future__ import annotations

import json
import math
from typing import Any


def json_text(data: Any, *, only_ascii: bool = False) -> str:
    """Return data as the text of a JSON file; see `finite`.

    Args:
        data: dictionaries, lists, text, numbers and `None`.
        only_ascii: write other letters as escapes.
    """
    return json.dumps(finite(data), indent=2, ensure_ascii=only_ascii, allow_nan=False) + "\n"


def finite(data: Any) -> Any:
    """Return data in which each number that is not finite is `None`."""
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, dict):
        return {str(key): finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [finite(item) for item in data]
    return data
