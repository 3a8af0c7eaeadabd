"""Features of the FBNet space, from its 22 blocks.

Source of the space: Wu et al., "FBNet: Hardware-Aware Efficient ConvNet Design via Differentiable Neural Architecture
Search", CVPR 2019, tables 1 (stages, widths, strides at 224 x 224) and 2 (kernel, expansion, groups of a block).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hwnas._toml import closest
from hwnas.errors import PredictorError
from hwnas.predictor._features import FeatureBlocks

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCKS = ("k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", "skip")
_KERNEL = np.array([3, 3, 3, 3, 5, 5, 5, 5, 0])
_EXPANSION = np.array([1, 1, 3, 6, 1, 1, 3, 6, 0])
_GROUPS = np.array([1, 2, 1, 1, 1, 2, 1, 1, 1])
_CODES = {name: code for code, name in enumerate(BLOCKS)}
_SKIP = len(BLOCKS) - 1
_STAGE = np.repeat(np.arange(7), (1, 4, 4, 4, 4, 4, 1))
_OUT = np.array([16, 24, 32, 64, 112, 184, 352])[_STAGE]
_IN = np.concatenate([[16], _OUT[:-1]])
_STRIDE = np.where(np.isin(np.arange(22), (1, 5, 9, 17)), 2, 1)
_SIZE_IN = 112 // np.concatenate([[1], np.cumprod(_STRIDE)[:-1]])
_SIZE_OUT = _SIZE_IN // _STRIDE


@dataclass(frozen=True, slots=True)
class FbnetFeaturiser:
    """Operations by place, by stage and in all; work by kind; and how many layers are launched."""

    @property
    def name(self) -> str:
        """Return `fbnet`."""
        return "fbnet"

    def check(self, architecture: Sequence[str]) -> None:
        """Check an architecture.

        Raises:
            PredictorError: it is not of the space.
        """
        _codes(architecture)

    def __call__(self, architectures: Sequence[Sequence[str]]) -> FeatureBlocks:
        """Return the features of n architectures of 22 blocks each."""
        codes = _parse(architectures)
        count = len(codes)
        one_hot = np.eye(len(BLOCKS))[codes]
        by_stage = np.stack([one_hot[:, np.flatnonzero(stage == _STAGE)].sum(1) for stage in range(7)], axis=1)
        present = one_hot[:, :, :_SKIP].sum((1, 2))
        grouped = one_hot[:, :, _GROUPS == 2].sum((1, 2))
        blocks = {
            "operations": one_hot.reshape(count, -1),
            "stages": by_stage.reshape(count, -1),
            "counts": one_hot.sum(1),
            "costs": np.stack([(one_hot * cost).sum((1, 2)) for cost in _costs()], axis=1),
            "depth": np.stack([present, grouped, present + grouped], axis=1),
        }
        return FeatureBlocks(blocks, curved=("counts", "costs"))


def _costs() -> list[np.ndarray]:
    """Return pointwise and depthwise MACs, elements moved, and parameters of each block in each place, `22 x 9`."""
    middle = _IN[:, None] * _EXPANSION
    area_in, area_out = _SIZE_IN[:, None] ** 2, _SIZE_OUT[:, None] ** 2
    into, out = _IN[:, None] * middle / _GROUPS, middle * _OUT[:, None] / _GROUPS
    pointwise = into * area_in + out * area_out
    depthwise = middle * _KERNEL**2 * area_out
    moved = middle * (area_in + area_out)
    weights = into + out + middle * _KERNEL**2
    changes = (_IN != _OUT) | (_STRIDE != 1)  # a skip that changes shape is a 1x1 convolution
    pointwise[:, _SKIP] = np.where(changes, _IN * _OUT * _SIZE_OUT**2, 0)
    weights[:, _SKIP] = np.where(changes, _IN * _OUT, 0)
    return [pointwise.astype(float), depthwise.astype(float), moved.astype(float), weights.astype(float)]


def _parse(architectures: Sequence[Sequence[str]]) -> np.ndarray:
    rows = []
    for number, names in enumerate(architectures, start=1):
        try:
            rows.append(_codes(names))
        except PredictorError as exc:
            raise PredictorError(f"architecture {number}: {exc.message}", exc.hint) from exc
    return np.array(rows, dtype=np.int64).reshape(-1, len(_STAGE))


def _codes(names: Sequence[str]) -> list[int]:
    if isinstance(names, str) or len(names) != len(_STAGE):
        raise PredictorError(f"{names!r} is not of the FBNet space", f"give {len(_STAGE)} blocks by name")
    try:
        return [_CODES[name] for name in names]
    except KeyError as exc:
        raise PredictorError(
            f"unknown block {exc.args[0]!r}{closest(str(exc.args[0]), BLOCKS)}", "the blocks are " + ", ".join(BLOCKS)
        ) from exc
