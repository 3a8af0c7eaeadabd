"""A network as the operations that a device launches: what is common to a graph of ours and to any ONNX file.

A step is one launched operation with its work. Both readers, `graph_network` here and `onnx_network` in `_onnx_steps`,
give the same steps for the same network: identities are gone, batch normalisation is folded into the layer before it,
GELU and SiLU are one step each however they are spelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from hwnas.network import foldable, simplified

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hwnas.network import Graph, Node, Shape

#: Every kind of step, in the order of the features. The name of `GraphFeaturiser` changes with this list.
KINDS = (
    "convolution 1x1",
    "convolution kxk",
    "convolution grouped",
    "convolution depthwise",
    "convolution transposed",
    "linear",
    "matmul",
    "recurrent",
    "batch_norm",
    "layer_norm",
    "relu",
    "relu6",
    "hard_swish",
    "hard_sigmoid",
    "sigmoid",
    "tanh",
    "silu",
    "gelu",
    "activation",
    "softmax",
    "elementwise",
    "add",
    "mul",
    "zero",
    "max_pool",
    "avg_pool",
    "global_avg_pool",
    "reduce",
    "reshape",
    "transpose",
    "concat",
    "gather",
    "pad",
    "resize",
    "expand",
    "quantise",
)
_OF_OPERATION = {"flatten": "reshape", "identity": "reshape", "dropout": "reshape"}


@dataclass(frozen=True, slots=True)
class Step:
    """One launched operation, at batch size 1.

    Attributes:
        kind: one of `KINDS`.
        name: of the value that it gives.
        inputs: the computed values that it reads, constants left out.
        read: elements of those.
        written: elements of its output.
        weights: elements of the constants that it reads.
        macs: multiply-accumulates.
        area: positions of the output: height times width of an image, the length of a sequence, 1 for a vector.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    read: int
    written: int
    weights: int = 0
    macs: int = 0
    area: int = 1


@dataclass(frozen=True, slots=True)
class StepNetwork:
    """A network's steps, each after those that it reads, and the names of its inputs and outputs."""

    name: str
    inputs: tuple[str, ...]
    steps: tuple[Step, ...]
    outputs: tuple[str, ...]


def convolution_kind(groups: int, channels: int, kernel: tuple[int, ...]) -> str:
    """Return the kind of a convolution of `channels` input channels."""
    if groups == channels > 1:
        return "convolution depthwise"
    if groups > 1:
        return "convolution grouped"
    return "convolution 1x1" if prod(kernel) == 1 else "convolution kxk"


def area_of(shape: Shape) -> int:
    """Return the positions of a value, given its shape without the batch."""
    return prod(shape[1:]) if len(shape) > 2 else (shape[0] if len(shape) == 2 else 1)


def graph_network(graph: Graph) -> StepNetwork:
    """Return the steps of a graph, as it is deployed."""
    deployed = simplified(graph)
    layer_of = foldable(deployed)
    with_bias = set(layer_of.values())
    same: dict[str, str] = dict(layer_of)
    steps = [
        step for node in deployed.nodes if node.name not in same for step in _steps(deployed, node, same, with_bias)
    ]
    output = same.get(deployed.output, deployed.output)
    return StepNetwork(graph.name, tuple(value.name for value in deployed.inputs), tuple(steps), (output,))


def _steps(graph: Graph, node: Node, same: dict[str, str], with_bias: set[str]) -> Iterator[Step]:
    operation, shapes = node.operation, graph.input_shapes(node)
    kind = _OF_OPERATION.get(operation.kind, operation.kind)
    if kind == "conv2d":
        groups, kernel = int(getattr(operation, "groups")), getattr(operation, "kernel")  # noqa: B009  (of a subclass)
        kind = convolution_kind(groups, shapes[0][0], kernel)
    out = graph.shapes[node.name]
    weights = sum(weight.size for weight in operation.weights(*shapes))
    if node.name in with_bias and not getattr(operation, "bias", True):
        weights += out[0] if len(out) != 2 else out[-1]
    inputs = tuple(same.get(name, name) for name in node.inputs)
    written, area = prod(out), area_of(out)
    if kind in ("add", "mul"):  # two at a time
        value, size = inputs[0], prod(shapes[0])
        for index, (other, shape) in enumerate(zip(inputs[1:], shapes[1:], strict=True), start=2):
            name = node.name if index == len(inputs) else f"{node.name}.sum{index}"
            yield Step(kind, name, (value, other), size + prod(shape), written, area=area)
            value, size = name, written
        return
    read = sum(prod(shape) for shape in shapes)
    yield Step(kind, node.name, inputs, read, written, weights, operation.macs(*shapes), area)
