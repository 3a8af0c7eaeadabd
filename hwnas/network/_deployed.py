"""A graph as it is deployed: without what does nothing at inference, and with batch normalisation folded.

Every writer of network files begins here, so that all formats hold the same network.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hwnas.network._elementwise import Add, Dropout, Identity, Mul, Zero
from hwnas.network._graph import Graph, Node
from hwnas.network._layers import BatchNorm, Conv2d, Linear
from hwnas.network._reshaping import AvgPool, Flatten, GlobalAvgPool, MatMul, MaxPool, Reshape, Transpose

if TYPE_CHECKING:
    from hwnas.network._operation import Operation
    from hwnas.network._weights import Weights

_KEEP_ZERO = (Zero, AvgPool, MaxPool, GlobalAvgPool, Flatten, Reshape, Transpose)


def simplified(graph: Graph) -> Graph:
    """Return the graph without identities, dropouts and sums with zeros, and without what only fed those.

    The output keeps its value for all finite inputs. Names stay, except where the output itself was left out; an
    input that only fed zeros is left out too. What remains is what a device computes: the live paths.
    """
    same: dict[str, str] = {value.name: value.name for value in graph.inputs}
    zeros: set[str] = set()
    kept: list[Node] = []
    for node in graph.nodes:
        inputs = tuple(same[name] for name in node.inputs)
        if isinstance(node.operation, (Add, Identity, Dropout)):
            shape = graph.shapes[node.name]
            live = [name for name in inputs if name not in zeros]
            if len(live) < len(inputs) and all(graph.shapes[name] == shape for name in live or inputs[:1]):
                inputs = tuple(live or inputs[:1])
            if len(inputs) == 1:
                same[node.name] = inputs[0]
                continue
        if _gives_zero(node.operation, [name in zeros for name in inputs]):
            zeros.add(node.name)
        same[node.name] = node.name
        kept.append(Node(node.name, node.operation, inputs))
    output = same[graph.output]
    if all(output != node.name for node in kept):
        output = graph.output  # the network returns its input: one identity has to stay
        kept.append(Node(output, Identity(), (same[graph.output],)))
    return _without_idle(graph, kept, output)


def foldable(graph: Graph) -> dict[str, str]:
    """Return the batch normalisations that can be put into the layer before them, each with that layer, by name.

    One that follows anything but a convolution or a linear layer, or whose input is read elsewhere too, stays.
    """
    readers = graph.consumers()
    by_name = {node.name: node for node in graph.nodes}
    found = {}
    for node in graph.nodes:
        source = by_name.get(node.inputs[0])
        if not isinstance(node.operation, BatchNorm) or source is None or len(readers[source.name]) > 1:
            continue
        if isinstance(source.operation, (Conv2d, Linear)) and len(graph.shapes[source.name]) != 2:
            found[node.name] = source.name  # over a sequence, the two work along different dimensions
    return found


def folded(graph: Graph, weights: Weights) -> tuple[Graph, Weights]:
    """Return the graph and weights with each batch normalisation put into the convolution or linear layer before it.

    Exact in real numbers; a few float32 roundings apart in practice. `foldable` says which ones stay. Jacob et al.
    2018, "Quantization and Training of Neural Networks", section 3.2.
    """
    same = foldable(graph)
    by_name = {node.name: node for node in graph.nodes}
    changed: dict[str, Node] = {}
    arrays = dict(weights)
    for name, layer_name in same.items():
        source, norm = by_name[layer_name], by_name[name].operation
        layer = source.operation
        if isinstance(layer, (Conv2d, Linear)) and isinstance(norm, BatchNorm):
            changed[layer_name] = replace(source, operation=replace(layer, bias=True))
            _fold_arrays(arrays, layer_name, name, norm.epsilon)
    nodes = [
        replace(base, inputs=tuple(same.get(name, name) for name in base.inputs))
        for base in (changed.get(node.name, node) for node in graph.nodes)
        if base.name not in same
    ]
    return Graph(graph.name, graph.inputs, tuple(nodes), same.get(graph.output, graph.output)), arrays


def _fold_arrays(arrays: Weights, layer: str, norm: str, epsilon: float) -> None:
    mean, variance = arrays.pop(f"{norm}.running_mean"), arrays.pop(f"{norm}.running_var")
    gamma, beta = arrays.pop(f"{norm}.weight"), arrays.pop(f"{norm}.bias")
    scale = gamma.astype(np.float64) / np.sqrt(variance.astype(np.float64) + epsilon)
    weight = arrays[f"{layer}.weight"]
    bias = arrays.get(f"{layer}.bias", np.zeros_like(mean))
    shape = (-1,) + (1,) * (weight.ndim - 1)
    arrays[f"{layer}.weight"] = (weight * scale.reshape(shape)).astype(np.float32)
    arrays[f"{layer}.bias"] = ((bias - mean) * scale + beta).astype(np.float32)


def _gives_zero(operation: Operation, zero: list[bool]) -> bool:
    """Say whether an operation returns zeros, given which of its inputs are zeros."""
    if isinstance(operation, Zero):
        return True
    if isinstance(operation, (Mul, MatMul)):
        return any(zero)
    if isinstance(operation, (Conv2d, Linear)):
        return zero[0] and not operation.bias
    return all(zero) and (isinstance(operation, (Add, *_KEEP_ZERO)) or getattr(operation, "keeps_zero", False))


def _without_idle(graph: Graph, nodes: list[Node], output: str) -> Graph:
    used = {output}
    for node in reversed(nodes):
        if node.name in used:
            used.update(node.inputs)
    inputs = tuple(value for value in graph.inputs if value.name in used)
    return Graph(graph.name, inputs, tuple(node for node in nodes if node.name in used), output)
