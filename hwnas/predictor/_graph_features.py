"""Features of any network: work by kind of operation and by resolution, and how much of it waits for the rest.

A space of the user's own needs no encoder: its graphs are enough. ONNX files give the same features (`_onnx_steps`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwnas.predictor._features import FeatureBlocks
from hwnas.predictor._steps import KINDS, StepNetwork, graph_network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnas.network import Graph

_COLUMN = {kind: i for i, kind in enumerate(KINDS)}
#: Resolutions: positions of an output up to 1, 4, 16, 64, ... 4096, and more.
_BINS = 8
_GROUPS = (
    ("convolution 1x1", "linear", "matmul"),
    ("convolution kxk", "convolution grouped", "convolution transposed"),
    ("convolution depthwise",),
)
_GROUP = {kind: i for i, kinds in enumerate(_GROUPS) for kind in kinds}
#: Names of the columns of `totals`.
TOTALS = ("depth", "steps", "macs", "weights", "traffic", "largest", "longest macs", "paths")


@dataclass(frozen=True, slots=True)
class GraphFeaturiser:
    """Counts, MACs and elements moved by kind of operation; MACs and steps by resolution; totals.

    The columns are the same for all networks, so that a predictor can be used across spaces. MACs and elements span
    orders of magnitude within a space and grow with latency, so they are kept linear. A network whose output does
    not depend on its input is not live.
    """

    @property
    def name(self) -> str:
        """Return the name, which changes with the meaning of the columns."""
        return "graph 2"

    def __call__(self, architectures: Sequence[Graph | StepNetwork]) -> FeatureBlocks:
        """Return the features of n networks."""
        found = [_of(item if isinstance(item, StepNetwork) else graph_network(item)) for item in architectures]
        blocks = {
            name: np.array([row[name] for row, _ in found]).reshape(len(found), width)
            for name, width in GRAPH_BLOCKS.items()
        }
        return FeatureBlocks(blocks, np.array([live for _, live in found], bool), curved=("totals",))


#: What the columns of low-dimensional blocks are called.
LABELS = {"totals": TOTALS, "counts": KINDS}
#: The blocks of `GraphFeaturiser` and their widths.
GRAPH_BLOCKS = {
    "counts": len(KINDS),
    "macs": len(KINDS),
    "traffic": len(KINDS),
    "resolutions": (len(_GROUPS) + 2) * _BINS,
    "totals": len(TOTALS),
}


def graph_part(features: FeatureBlocks) -> FeatureBlocks:
    """Return the blocks that `GraphFeaturiser` made, of features that hold them among others."""
    return FeatureBlocks({name: features.blocks[name] for name in GRAPH_BLOCKS}, features.live, curved=("totals",))


def _of(network: StepNetwork) -> tuple[dict[str, np.ndarray], bool]:
    counts, macs, traffic = (np.zeros(len(KINDS)) for _ in range(3))
    resolutions = np.zeros((len(_GROUPS) + 2, _BINS))
    depth = dict.fromkeys(network.inputs, 0)
    longest, paths = dict.fromkeys(network.inputs, 0), dict.fromkeys(network.inputs, 1.0)
    live = set(network.inputs)
    largest = 0
    for step in network.steps:
        column, moved = _COLUMN[step.kind], step.read + step.written
        counts[column] += 1
        macs[column] += step.macs
        traffic[column] += moved + step.weights
        place = min((max(step.area, 1) - 1).bit_length() + 1, 2 * _BINS - 1) // 2
        group = _GROUP.get(step.kind)
        if group is not None:
            resolutions[group, place] += step.macs
        resolutions[-2, place] += 1
        resolutions[-1, place] += moved
        depth[step.name] = 1 + max((depth[name] for name in step.inputs), default=0)
        longest[step.name] = step.macs + max((longest[name] for name in step.inputs), default=0)
        paths[step.name] = min(sum(paths[name] for name in step.inputs), 1e100)
        if step.kind != "zero" and any(name in live for name in step.inputs):
            live.add(step.name)
        largest = max(largest, moved)
    ends = [max((table[name] for name in network.outputs), default=0) for table in (depth, longest, paths)]
    totals = [ends[0], len(network.steps), macs.sum(), sum(step.weights for step in network.steps), traffic.sum()]
    totals += [largest, ends[1], np.log2(1 + ends[2])]
    blocks = {"counts": counts, "macs": macs, "traffic": traffic, "resolutions": resolutions.ravel()}
    return {**blocks, "totals": np.array(totals, np.float64)}, any(name in live for name in network.outputs)
