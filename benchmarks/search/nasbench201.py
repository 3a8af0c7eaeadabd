"""NAS-Bench-201 as a problem: published accuracies and latencies of 15,625 cells, so that the best front is known.

The table is no part of this repository: it lies in `../shared/data`, or in the folder that `HWNAS_PUBLIC_DATA` names.
"""

from __future__ import annotations

import csv
import gzip
import os
import re
from functools import lru_cache
from pathlib import Path

import numpy as np

from benchmarks.search.problems import Problem, Values
from hwnas.search import Objective
from hwnas.search._pareto import hypervolume
from hwnas.space.nasbench201 import EDGES, nasbench201_space

_EDGE = re.compile(r"(\w+)~\d")
_ACCURACY, _LATENCY = "cifar100_test_accuracy", "latency_ms.pixel3"


def table() -> Path | None:
    """Return the path of the table, or `None` where it is absent."""
    folder = os.environ.get("HWNAS_PUBLIC_DATA")
    root = Path(folder) if folder else Path(__file__).resolve().parents[3] / "shared" / "data"
    path = root / "nasbench201.csv.gz"
    return path if path.is_file() else None


def nasbench201() -> Problem:
    """Return the search for accuracy on CIFAR-100 and latency on a Pixel 3, six edges of five operations.

    The published figures are taken for the truth, and noise is added: 0.3 points of accuracy, as between trainings, and
    3 % of latency. All methods choose the six operations; those of hwnas see the built-in space, which makes the
    networks, as a user's would.

    Raises:
        FileNotFoundError: the table is absent.
    """
    objectives = (
        Objective("accuracy", "maximize", reference=40.0),
        Objective("ms", "minimize", reference=20.0, log=True),
    )
    known = _known()

    def truth(values: Values) -> tuple[float, ...]:
        return known[tuple(values[f"edge{a}{b}"] for a, b in EDGES)]

    scores = np.array([[o.score(value) for o, value in zip(objectives, row, strict=True)] for row in known.values()])
    point = np.array([o.score(o.reference) for o in objectives if o.reference is not None])
    best = hypervolume(_front(scores), point)
    return Problem("nasbench201", nasbench201_space(), objectives, truth, (0.3, 0.03), best)


def _front(scores: np.ndarray) -> np.ndarray:
    """Return the rows that no other dominates, of two columns."""
    order = scores[np.lexsort((-scores[:, 1], -scores[:, 0]))]
    before = np.concatenate([[-np.inf], np.maximum.accumulate(order[:, 1])[:-1]])
    return order[order[:, 1] > before]


@lru_cache(maxsize=1)
def _known() -> dict[tuple[str, ...], tuple[float, float]]:
    path = table()
    if path is None:
        raise FileNotFoundError("nasbench201.csv.gz is in no ../shared/data, and HWNAS_PUBLIC_DATA names no folder")
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return {
            tuple(_EDGE.findall(row["architecture"])): (float(row[_ACCURACY]), float(row[_LATENCY]))
            for row in csv.DictReader(file)
        }
