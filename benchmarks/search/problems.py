"""What is searched: problems of 24 mixed parameters whose true values are known, observed with noise.

Each has 8 floats, 8 integers, 4 ordinals and 4 categoricals, of which only some matter. Methods see noisy values; what
is compared is the hypervolume of the true ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwnas.search import Objective
from hwnas.space import Categorical, Float, Int, Ordinal, SearchSpace

Values = Mapping[str, Any]
#: The categories in their hidden order: methods are told names that do not show it.
_HIDDEN = {"ash": 2, "birch": 0, "cedar": 3, "date": 1}


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem.

    Attributes:
        name: the word for it.
        space: what is searched.
        objectives: with the reference point from which hypervolumes count, which methods may use.
        truth: the values without noise, one for each objective.
        noise: standard deviations of the noise, on the modelled scale (so relative where it is a logarithm).
        best: the hypervolume of the true front, where it is known.
    """

    name: str
    space: SearchSpace
    objectives: tuple[Objective, ...]
    truth: Callable[[Values], tuple[float, ...]]
    noise: tuple[float, ...]
    best: float | None = None

    def observe(self, values: Values, rng: np.random.Generator) -> tuple[float, ...]:
        """Return the values that a method is told."""
        noisy = zip(self.objectives, self.truth(values), self.noise, strict=True)
        return tuple(o.unscore(o.score(true) + sd * rng.standard_normal()) for o, true, sd in noisy)

    def scores(self, truth: np.ndarray) -> np.ndarray:
        """Return `n x m` true values on the modelled scale, more is better."""
        columns = [[o.score(float(value)) for value in truth[:, j]] for j, o in enumerate(self.objectives)]
        return np.array(columns).reshape(len(self.objectives), -1).T

    @property
    def reference(self) -> np.ndarray:
        """The reference point on the same scale."""
        return np.array([o.score(float(o.reference)) for o in self.objectives if o.reference is not None])


def mixed_space(name: str) -> SearchSpace:
    """Return a space of 24 parameters of four kinds."""
    return SearchSpace(
        name,
        [
            *(Float(f"x{i}", 0.0, 1.0) for i in range(8)),
            *(Int(f"n{i}", 0, 8 if i % 2 == 0 else 10) for i in range(8)),
            *(Ordinal(f"o{i}", (1, 2, 4, 8, 16)) for i in range(4)),
            *(Categorical(f"c{i}", tuple(_HIDDEN)) for i in range(4)),
        ],
    )


def dtlz2() -> Problem:
    """Return DTLZ2 with two objectives in 6 of the 24 parameters.

    Deb, Thiele, Laumanns and Zitzler, "Scalable Test Problems for Evolutionary Multiobjective Optimization", 2005. Its
    front is a quarter of a circle; a category between whose four levels the optimum lies keeps its radius at 1 + 1/64.
    """

    def truth(values: Values) -> tuple[float, ...]:
        away = (
            values["x3"] - 0.5,
            values["n2"] / 8 - 0.5,
            values["n5"] / 10 - 0.5,
            math.log2(values["o1"]) / 4 - 0.5,
            (2 * _HIDDEN[values["c2"]] + 1) / 8 - 0.5,
        )
        radius = 1 + sum(distance**2 for distance in away)
        angle = values["x0"] * math.pi / 2
        return radius * math.cos(angle), radius * math.sin(angle)

    objectives = tuple(Objective(name, "minimize", reference=1.1) for name in ("f1", "f2"))
    best = 1.1**2 - math.pi / 4 * (1 + 1 / 64) ** 2
    return Problem("dtlz2", mixed_space("dtlz2"), objectives, truth, (0.02, 0.02), best)


def branin_currin() -> Problem:
    """Return Branin and Currin's exponential function in 5 of the 24 parameters.

    The pair, its reference point and its best hypervolume are BoTorch's (`botorch.test_functions.BraninCurrin`), and
    the noise is its multi-objective tutorial's. The two inputs are weighted sums of parameters of different kinds.
    """

    def truth(values: Values) -> tuple[float, ...]:
        u = 0.75 * values["x1"] + 0.25 * values["n4"] / 8
        v = 0.5 * values["x6"] + 0.3 * math.log2(values["o0"]) / 4 + 0.2 * _HIDDEN[values["c1"]] / 3
        return _branin(u, v), _currin(u, v)

    objectives = (Objective("branin", "minimize", reference=18.0), Objective("currin", "minimize", reference=6.0))
    return Problem("branincurrin", mixed_space("branincurrin"), objectives, truth, (15.19, 0.63), 59.36)


def _branin(u: float, v: float) -> float:
    x, y = 15 * u - 5, 15 * v
    bent = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return bent**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10


def _currin(u: float, v: float) -> float:
    damped = 1 - math.exp(-1 / (2 * v)) if v > 0 else 1.0
    rising = 2300 * u**3 + 1900 * u**2 + 2092 * u + 60
    return damped * rising / (100 * u**3 + 500 * u**2 + 4 * u + 20)


_STAGES = range(1, 5)
#: By block: its cost beside a plain convolution's, how the cost grows with the kernel, what it is worth beside one.
_BLOCKS = {
    "conv": (1.0, 2.0, 1.0),
    "separable": (0.3, 0.6, 0.8),
    "bottleneck": (0.45, 0.9, 0.92),
    "shift": (0.12, 0.1, 0.4),
}


def network() -> Problem:
    """Return a problem made like a network: accuracy saturates with capacity, latency multiplies, training matters.

    Four stages with depth, width, kernel and block each, and eight training parameters of which four matter. Accuracy
    (%) is lost to a lack of capacity, which narrow early stages hold back, and to a learning rate that does not suit
    the depth. Latency (ms) is a sum over stages of depth times widths times kernel.
    """
    return Problem(
        "network",
        _network_space(),
        (Objective("accuracy", "maximize", reference=80.0), Objective("ms", "minimize", reference=20.0, log=True)),
        _network_truth,
        (0.4, 0.04),
    )


def _network_space() -> SearchSpace:
    training = [
        Float("lr", 1e-4, 1e-1, log=True),
        Float("decay", 1e-6, 1e-2, log=True),
        Float("dropout", 0.0, 0.5),
        Float("smoothing", 0.0, 0.3),
        *(Float(name, 0.0, 1.0) for name in ("warmup", "momentum", "mixup", "clip")),
    ]
    return SearchSpace(
        "network",
        [
            *training,
            *(Int(f"depth{s}", 1, 6) for s in _STAGES),
            *(Int(f"width{s}", 8, 128, step=8) for s in _STAGES),
            *(Ordinal(f"kernel{s}", (1, 3, 5, 7)) for s in _STAGES),
            *(Categorical(f"block{s}", tuple(_BLOCKS)) for s in _STAGES),
        ],
    )


def _network_truth(values: Values) -> tuple[float, ...]:
    ms, capacity, before = 0.1, 0.0, 16
    for s in _STAGES:
        depth, width, kernel = values[f"depth{s}"], values[f"width{s}"], values[f"kernel{s}"]
        cost, growth, worth = _BLOCKS[values[f"block{s}"]]
        area = 4.0 ** (2 - s)  # each stage has a quarter of the pixels
        ms += area * cost * kernel**growth * (before * width + (depth - 1) * width**2) / 16384
        reach = math.log2(1 + kernel) * (1.2 if s > 1 else 0.8)
        capacity += worth * reach * math.log1p(depth) * math.sqrt(min(width, 4 * before) / 128) * (0.5 + s / 8)
        before = width
    depths = sum(values[f"depth{s}"] for s in _STAGES)
    rate = math.log10(values["lr"]) + 2.0 + 0.05 * (depths - 12)
    over = capacity / 8 - 2.4 * (values["dropout"] + values["smoothing"])  # regularisation should suit the capacity
    lost = 3.5 * rate**2 + 1.5 * over**2 + 0.6 * (math.log10(values["decay"]) + 4) ** 2
    return 96.0 - 50.0 * math.exp(-capacity / 2.2) - 12.0 * (1 - math.exp(-lost / 12.0)), ms
