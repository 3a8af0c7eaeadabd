"""An accuracy of digits networks by a formula, for trying `auto.py` out: like the real one, and for nothing."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np

_ACTIVATIONS = {"relu": 0.2, "hard_swish": 0.3, "gelu": 0.3, "tanh": 0.0}


def accuracy(seed: int, **values: Any) -> float:  # noqa: ARG001  an architecture has one accuracy
    """Return a share of 719 images: more capacity and a learning rate near 0.006 are better, with some luck."""
    inner = values["width1"] * values.get("expansion", 1)
    capacity = 0.3 * math.log(values["stem_width"]) + 0.5 * math.log(inner) + 0.6 * math.log(values["width2"])
    capacity += 0.5 * values["depth"] + 0.15 * values["kernel"] + _ACTIVATIONS[values["activation"]]
    capacity += 0.3 if values["squeeze_excite"] == "on" else 0.0
    off = (math.log10(values["learning_rate"]) + 2.2) ** 2
    error = 0.9 * math.exp(-0.55 * capacity) * (1 + 0.6 * off) * (1 + (values["dropout"] - 0.2) ** 2)
    digest = hashlib.sha256(repr(sorted(values.items())).encode()).hexdigest()[:12]
    luck = np.random.default_rng(int(digest, 16)).normal()
    return round(719 * max(0.1, 1 - error * math.exp(0.15 * luck))) / 719
