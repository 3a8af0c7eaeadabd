"""Features of NAS-Bench-201's cells, from their usual strings.

Source of the space: Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search",
ICLR 2020, section 2: four nodes, an operation on each of the six edges between them, summed at a node.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwnas._toml import closest
from hwnas.errors import PredictorError
from hwnas.predictor._features import FeatureBlocks
from hwnas.space import Architecture
from hwnas.space.nasbench201 import EDGES, OPERATIONS, cell_text

if TYPE_CHECKING:
    from collections.abc import Sequence

_PATHS = ((3,), (0, 4), (1, 5), (0, 2, 5))  # all ways from node 0 to node 3, as edges
_INTO = ((0,), (1, 2), (3, 4, 5))  # the edges into nodes 1, 2, 3
_SHAPE = re.compile(r"\|([^|~]+)~0\|\+\|([^|~]+)~0\|([^|~]+)~1\|\+\|([^|~]+)~0\|([^|~]+)~1\|([^|~]+)~2\|")
_CODE = {name: code for code, name in enumerate(OPERATIONS)}
#: What the columns of low-dimensional blocks are called.
LABELS = {
    "live counts": tuple(f"live {operation}" for operation in OPERATIONS[1:]),
    "paths": (
        "longest path",
        "most convolutions on a path",
        "most 3x3 convolutions on a path",
        "most work on a path",
        "most edges on a path",
        "live paths",
        "is live",
        *(f"live edges into node {node}" for node in (1, 2, 3)),
        "live edges",
    ),
    "counts": OPERATIONS,
}


def parse_cells(architectures: Sequence[str | Architecture]) -> np.ndarray:
    """Return the operation on each edge, `n x 6`, as an index into `OPERATIONS`.

    Args:
        architectures: n cells, as strings or as architectures of the built-in space `nasbench201`.

    Raises:
        PredictorError: names the row, the string and the unknown operation.
    """
    texts = [_text(architecture) for architecture in architectures]
    place = {text: i for i, text in enumerate(dict.fromkeys(texts))}  # a space of 15,625: each is parsed once
    codes = np.array([_parse(text, texts) for text in place], dtype=np.int64).reshape(-1, len(EDGES))
    out: np.ndarray = codes[np.fromiter((place[text] for text in texts), np.int64, len(texts))]
    return out


def _parse(text: str, texts: Sequence[str]) -> list[int]:
    matched = _SHAPE.fullmatch(text)
    if matched is None:
        raise PredictorError(
            f"architecture {texts.index(text)}: {text!r} is no cell of NAS-Bench-201",
            "write it as |op~0|+|op~0|op~1|+|op~0|op~1|op~2|",
        )
    try:
        return [_CODE[word] for word in matched.groups()]
    except KeyError as exc:
        word = str(exc.args[0])
        raise PredictorError(
            f"architecture {texts.index(text)}: unknown operation {word!r}{closest(word, OPERATIONS)}",
            "the operations are " + ", ".join(OPERATIONS),
        ) from exc


def _text(architecture: str | Architecture) -> str:
    if isinstance(architecture, str):
        return architecture
    if isinstance(architecture, Architecture) and architecture.space == "nasbench201":
        return cell_text(architecture)
    return str(architecture)  # what is no cell either fails to parse, and is shown


@dataclass(frozen=True, slots=True)
class CellFeaturiser:
    """74 numbers: operations by edge, the same for live edges only, counts of both, and the shape of live paths.

    An edge is live where it lies on a path from input to output without `none`. Compilers drop the other edges;
    runtimes that take a network as it is run them all; so both are given.
    """

    @property
    def name(self) -> str:
        """Return `nasbench201`."""
        return "nasbench201"

    def __call__(self, architectures: Sequence[str | Architecture]) -> FeatureBlocks:
        """Return the features of n cells."""
        return _features(parse_cells(architectures))


def _features(codes: np.ndarray) -> FeatureBlocks:
    count = len(codes)
    one_hot = np.eye(len(OPERATIONS))[codes]
    present = codes != 0
    through = np.stack([present[:, list(path)].all(1) for path in _PATHS], axis=1)
    live = np.zeros((count, len(EDGES)), bool)
    for i, path in enumerate(_PATHS):
        live[:, list(path)] |= through[:, [i]]
    on_live = one_hot * live[:, :, None]

    def longest(weight: np.ndarray) -> np.ndarray:
        lengths = [np.where(through[:, i], weight[:, list(path)].sum(1), 0) for i, path in enumerate(_PATHS)]
        top: np.ndarray = np.max(lengths, axis=0)
        return top

    is_large = codes == 3
    is_conv = (codes == 2) | is_large
    paths = [
        longest(is_conv | (codes == 4)),
        longest(is_conv),
        longest(is_large),
        longest(np.array([0, 0, 1, 2, 0.5])[codes]),  # a rough depth in work
        longest(present),
        through.sum(1),
        through.any(1),
        *(live[:, list(edges)].sum(1) for edges in _INTO),
        live.sum(1),
    ]
    blocks = {
        "operations": one_hot.reshape(count, -1),
        "live operations": on_live[:, :, 1:].reshape(count, -1),
        "counts": one_hot.sum(1),
        "live counts": on_live.sum(1)[:, 1:],
        "paths": np.stack(paths, axis=1).astype(np.float64),
    }
    return FeatureBlocks(blocks, np.asarray(through.any(1)), curved=("live counts", "paths", "counts"))


def cell_graphs(architectures: Sequence[str | Architecture]) -> tuple[np.ndarray, np.ndarray]:
    """Return the cells with operations on nodes, as HELP takes them: nodes `n x 9 x 8` and adjacency `9 x 9`.

    The nodes are the input, the six edges, the output, and a global node that gathers from all.
    """
    codes = parse_cells(architectures)
    count = len(codes)
    nodes = np.zeros((count, 9, 8), np.float32)
    nodes[:, 0, 0] = nodes[:, 7, 6] = nodes[:, 8, 7] = 1
    for edge in range(len(EDGES)):
        nodes[np.arange(count), edge + 1, 1 + codes[:, edge]] = 1
    gathers = np.eye(9, dtype=np.float32)
    gathers[8] = 1
    for edge, (start, end) in enumerate(EDGES):
        if start == 0:
            gathers[edge + 1, 0] = 1
        for other, (begin, _) in enumerate(EDGES):
            gathers[other + 1, edge + 1] += begin == end
        if end == 3:
            gathers[7, edge + 1] = 1
    return nodes, gathers
