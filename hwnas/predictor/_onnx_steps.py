"""The steps of an ONNX file: what `_steps` makes of a graph of ours, of any network that has fixed shapes.

A free first dimension of an input is taken as a batch of one. Any other free dimension, an operator that is not known,
and control flow are refused: they would make the features, and so the prediction, a guess.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from hwnas._toml import closest
from hwnas.errors import PredictorError
from hwnas.network import NetworkFile
from hwnas.predictor._onnx_operators import NOTHING, OF_SHAPES, PLAIN, SPECIAL, WITH_WEIGHTS
from hwnas.predictor._onnx_shapes import sizes_of, with_shapes
from hwnas.predictor._steps import Step, StepNetwork, area_of, convolution_kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_STANDARD = ("", "ai.onnx")


def onnx_network(path: Path) -> StepNetwork:
    """Return the steps of an ONNX file, whose weights are not read.

    Raises:
        NetworkError: it is missing, or no ONNX file.
        PredictorError: an operator is not known, or a shape is not fixed; names the node.
    """
    import onnx

    file = NetworkFile.load(path)
    if file.format != "onnx":
        raise PredictorError(f"{path}: features are read from ONNX files", "give the network as .onnx")
    model = onnx.load(path, load_external_data=False)
    return _Reader(path, with_shapes(path, model)).network()


class _Reader:
    """Walks the nodes once; see the module's docstring."""

    def __init__(self, path: Path, model: Any) -> None:
        graph = model.graph
        self.path, self.graph = path, graph
        self.sizes = sizes_of(model)
        self.constant = {tensor.name for tensor in graph.initializer}
        self.constant |= {tensor.values.name for tensor in graph.sparse_initializer}
        self.scalars = {tensor.name: tensor for tensor in graph.initializer if prod(tensor.dims) == 1}
        self.same: dict[str, str] = {}
        self.steps: list[Step] = []

    def network(self) -> StepNetwork:
        """Return the steps, activations in one piece."""
        for node in self.graph.node:
            self._take(node)
        inputs = tuple(value.name for value in self.graph.input if value.name not in self.constant)
        outputs = tuple(self._name(value.name) for value in self.graph.output)
        steps = _joined(self.steps, set(outputs))
        used = {name for step in steps for name in step.inputs} | set(outputs)
        return StepNetwork(self.path.stem, tuple(name for name in inputs if name in used), tuple(steps), outputs)

    def _take(self, node: Any) -> None:
        kind = node.op_type
        known = node.domain in _STANDARD and (kind in PLAIN or kind in SPECIAL or kind in NOTHING or kind in OF_SHAPES)
        if not known:
            where = f" of {node.domain!r}" if node.domain not in _STANDARD else ""
            raise PredictorError(
                f"{self.path}: node {node.name or node.output[0]!r}: unknown operation {kind!r}{where}"
                f"{closest(kind, [*PLAIN, *SPECIAL])}",
                "a predictor knows the usual operators of ONNX, without control flow; measure this network instead",
            )
        given = [name for name in node.input if name]
        if kind in OF_SHAPES or all(name in self.constant for name in given):
            self.constant.update(node.output)
            return
        if kind in NOTHING:
            self.same[node.output[0]] = self._name(given[0])
            if given[0] in self.sizes:
                self.sizes.setdefault(node.output[0], self.sizes[given[0]])
            return
        computed = [name for name in given if name not in self.constant]
        step_kind = self._kind(node, computed)
        constants = [name for name in given if name in self.constant] if step_kind in WITH_WEIGHTS else []
        step = Step(
            step_kind,
            node.output[0],
            tuple(self._name(name) for name in computed),
            sum(self._elements(node, name) for name in computed),
            sum(self._elements(node, name) for name in node.output if name and name in self.sizes),
            sum(prod(self.sizes.get(name, (0,))) for name in constants),
            self._macs(node, given),
            area_of(self._shape(node, node.output[0])),
        )
        self.steps.append(step)
        self.same |= dict.fromkeys(node.output[1:], step.name)
        if kind == "Sum" and len(computed) > 2:
            self._split_sum(computed)

    def _split_sum(self, computed: list[str]) -> None:
        """Write a sum of several as sums of two, as everywhere else."""
        whole, value = self.steps.pop(), self._name(computed[0])
        for index, other in enumerate(computed[1:], start=2):
            name = whole.name if index == len(computed) else f"{whole.name}.sum{index}"
            self.steps.append(replace(whole, name=name, inputs=(value, self._name(other)), read=2 * whole.written))
            value = name

    def _kind(self, node: Any, computed: list[str]) -> str:
        kind = node.op_type
        if kind == "Conv":
            groups, weight = int(_attribute(node, "group", 1)), self._shape(node, node.input[1], whole=True)
            return convolution_kind(groups, self._shape(node, node.input[0])[0], weight[2:])
        if kind in ("Gemm", "MatMul"):
            return "matmul" if len(computed) > 1 else "linear"
        if kind == "Mul" and any(self._is_zero(name) for name in node.input):
            return "zero"
        if kind == "ReduceMean" and self._over_image(node):
            return "global_avg_pool"
        special = {"ConvTranspose": "convolution transposed", "Add": "add", "Sum": "add", "Mul": "mul"}
        special |= dict.fromkeys(("LSTM", "GRU", "RNN"), "recurrent")
        return special.get(kind) or PLAIN[kind]

    def _macs(self, node: Any, given: list[str]) -> int:
        kind = node.op_type
        if kind == "Conv":
            return prod(self._shape(node, node.output[0])) * prod(self._shape(node, node.input[1], whole=True)[1:])
        if kind == "ConvTranspose":
            return prod(self._shape(node, node.input[0])) * prod(self._shape(node, node.input[1], whole=True)[1:])
        if kind in ("Gemm", "MatMul"):
            first = self._shape(node, node.input[0], whole=True)
            inner = first[-1] if not _attribute(node, "transA", 0) else first[-2]
            return prod(self._shape(node, node.output[0], whole=True)) * inner
        if kind in ("LSTM", "GRU", "RNN"):
            steps = self._shape(node, node.input[0], whole=True)[0]
            return steps * sum(prod(self._shape(node, name, whole=True)) for name in given[1:3])
        return 0

    def _over_image(self, node: Any) -> bool:
        before = self._shape(node, node.input[0], whole=True)
        after = self._shape(node, node.output[0], whole=True)
        return len(before) == 4 and prod(after) == before[0] * before[1]

    def _is_zero(self, name: str) -> bool:
        from onnx import numpy_helper

        tensor = self.scalars.get(name)
        return tensor is not None and not tensor.external_data and not numpy_helper.to_array(tensor).any()

    def _name(self, name: str) -> str:
        return self.same.get(name, name)

    def _elements(self, node: Any, name: str) -> int:
        return prod(self._shape(node, name, whole=True))

    def _shape(self, node: Any, name: str, *, whole: bool = False) -> tuple[int, ...]:
        """Return a value's shape, without its first dimension unless the whole one is wanted."""
        if name not in self.sizes:
            raise PredictorError(
                f"{self.path}: node {node.name or node.output[0]!r} ({node.op_type}): the shape of {name!r} depends on "
                "the input's values",
                "export it with fixed shapes",
            )
        return self.sizes[name] if whole else self.sizes[name][1:]


def _attribute(node: Any, name: str, default: int) -> int:
    return next((int(item.i) for item in node.attribute if item.name == name), default)


def _joined(steps: list[Step], outputs: set[str]) -> list[Step]:
    """Put what belongs together into one step: biases of linear layers, SiLU, GELU."""
    by_name = {step.name: step for step in steps}
    readers: dict[str, list[Step]] = {}
    for step in steps:
        for name in set(step.inputs):
            readers.setdefault(name, []).append(step)

    def only_reader(step: Step) -> Step | None:
        found = readers.get(step.name, [])
        return found[0] if len(found) == 1 and step.name not in outputs else None

    gone: set[str] = set()
    changed: dict[str, Step] = {}
    for step in steps:
        after = only_reader(step)
        if after is None or step.name in gone:
            continue
        if step.kind == "linear" and after.kind == "add" and len(after.inputs) == 1:
            gone.add(step.name)
            changed[after.name] = replace(step, name=after.name, weights=step.weights + after.weights)
        elif step.kind == "sigmoid" and after.kind == "mul" and set(after.inputs) == {step.name, *step.inputs}:
            gone.add(step.name)
            changed[after.name] = replace(step, kind="silu", name=after.name)
        elif step.kind == "elementwise":
            chain = _gelu(step, by_name, only_reader)
            if chain:
                gone.update(item.name for item in chain[:-1])
                changed[chain[-1].name] = replace(step, kind="gelu", name=chain[-1].name, weights=0)
    return [changed.get(step.name, step) for step in steps if step.name not in gone]


def _gelu(start: Step, by_name: dict[str, Step], only_reader: Callable[[Step], Step | None]) -> list[Step]:
    """Return the five steps x/√2, erf, +1, ·x, ·½ that begin at `start`; none where it is something else."""
    chain = [start]
    for kind, count in (("elementwise", 1), ("add", 1), ("mul", 2), ("mul", 1)):
        after = only_reader(chain[-1])
        if after is None or after.kind != kind or len(after.inputs) != count:
            return []
        if count == 2 and set(after.inputs) != {chain[-1].name, *start.inputs}:
            return []
        chain.append(by_name[after.name])
    return chain
