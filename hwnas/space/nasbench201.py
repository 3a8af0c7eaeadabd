"""The built-in space `nasbench201`: 15,625 convolutional cells for 32 x 32 colour images, as networks that run.

Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", ICLR 2020, section 2:
a cell has four nodes and an operation on each of the six edges between them; a node is the sum of its edges. The
network is a 3 x 3 convolution to 16 channels, three stages of five cells with 16, 32 and 64 channels, a residual block
of stride 2 between stages, and a linear layer over the mean of each channel. An operation with weights is a ReLU, a
convolution without bias and a batch normalisation, in this order.

Multiply-accumulates and parameters of a graph are those that were published with the benchmark for CIFAR-10: all six
edges count, used or not. What is trained is the same network. A file to deploy (ONNX, TFLite) leaves out what
cannot change the result, as a compiler would: edges that end in a node which nothing reads, and sums with zeros. What
comes behind a node without live edges stays, for a batch normalisation of zeros is a constant, but not always zero.
2.2 % of the cells have no path from input to output at all; such a network answers the same to every image.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hwnas._toml import closest
from hwnas.errors import SpaceError
from hwnas.network import GraphBuilder
from hwnas.space._choice import Categorical
from hwnas.space._space import SearchSpace

if TYPE_CHECKING:
    from hwnas.network import Graph
    from hwnas.space._architecture import Architecture

#: What may stand on an edge, by the names of the benchmark.
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
#: The edges in the order of the usual string, as (from, to). Node 0 is the cell's input, node 3 its output.
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))

_CELLS = 5
_CHANNELS = (16, 32, 64)
_CLASSES = 10
_TEXT = re.compile(r"\|([^|~]+)~0\|\+\|([^|~]+)~0\|([^|~]+)~1\|\+\|([^|~]+)~0\|([^|~]+)~1\|([^|~]+)~2\|")
_PATHS = (((0, 3),), ((0, 1), (1, 3)), ((0, 2), (2, 3)), ((0, 1), (1, 2), (2, 3)))


def nasbench201_space() -> SearchSpace:
    """Return the space: six categorical parameters, `edge01` to `edge23`."""
    return SearchSpace("nasbench201", [Categorical(_name(edge), OPERATIONS) for edge in EDGES], graph=nasbench201_graph)


def cell_from_text(text: str) -> Architecture:
    """Return the architecture of a cell in the usual writing, `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`.

    Raises:
        SpaceError: it is no cell, or has an operation that there is not.
    """
    matched = _TEXT.fullmatch(text.strip())
    if matched is None:
        raise SpaceError(f"{text!r} is no cell of NAS-Bench-201", "write it as |op~0|+|op~0|op~1|+|op~0|op~1|op~2|")
    for word in matched.groups():
        if word not in OPERATIONS:
            raise SpaceError(
                f"{text!r}: no operation {word!r}{closest(word, OPERATIONS)}",
                "the operations are " + ", ".join(OPERATIONS),
            )
    operations = zip(EDGES, matched.groups(), strict=True)
    return nasbench201_space().architecture({_name(edge): word for edge, word in operations})


def cell_text(arch: Architecture) -> str:
    """Return an architecture of the space as the benchmark writes it, `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`."""
    nodes = ["|" + "|".join(f"{arch[_name((start, end))]}~{start}" for start in range(end)) + "|" for end in (1, 2, 3)]
    return "+".join(nodes)


def is_live(arch: Architecture) -> bool:
    """Say whether a path without `none` leads from the cell's input to its output."""
    return any(all(arch[_name(edge)] != "none" for edge in path) for path in _PATHS)


def nasbench201_graph(arch: Architecture) -> Graph:
    """Return the network of an architecture of the space: an image of 3 x 32 x 32 in, ten logits out."""
    build = GraphBuilder("nasbench201")
    with build.scope("stem"):
        x = build.batch_norm(build.conv(build.input((3, 32, 32)), _CHANNELS[0], kernel=3, bias=False))
    for stage, channels in enumerate(_CHANNELS, start=1):
        if stage > 1:
            with build.scope(f"reduction{stage - 1}"):
                x = _reduction(build, x, channels)
        for index in range(_CELLS):
            with build.scope(f"stage{stage}.{index}"):
                x = _cell(build, x, arch)
    x = build.activation(build.batch_norm(x, name="norm"), "relu")
    x = build.flatten(build.global_avg_pool(x))
    return build.graph(build.linear(x, _CLASSES, name="head"))


def _name(edge: tuple[int, int]) -> str:
    return f"edge{edge[0]}{edge[1]}"


def _cell(build: GraphBuilder, x: str, arch: Architecture) -> str:
    nodes = [x]
    for end in (1, 2, 3):
        parts = []
        for start in range(end):
            with build.scope(_name((start, end))):
                parts.append(_edge(build, nodes[start], str(arch[_name((start, end))])))
        nodes.append(build.add(*parts, name=f"node{end}") if len(parts) > 1 else parts[0])
    return nodes[3]


def _edge(build: GraphBuilder, x: str, operation: str) -> str:
    if operation == "none":
        return build.zero(x)
    if operation == "skip_connect":
        return build.identity(x, name="skip")
    if operation == "avg_pool_3x3":
        return build.avg_pool(x, kernel=3, stride=1, padding=1, name="pool")
    return _relu_conv_norm(build, x, build.shape(x)[0], kernel=1 if operation == "nor_conv_1x1" else 3)


def _relu_conv_norm(build: GraphBuilder, x: str, channels: int, *, kernel: int, stride: int = 1) -> str:
    x = build.activation(x, "relu")
    return build.batch_norm(build.conv(x, channels, kernel=kernel, stride=stride, bias=False))


def _reduction(build: GraphBuilder, x: str, channels: int) -> str:
    """Halve the image and double the channels: two 3 x 3 convolutions beside a pooled 1 x 1 one."""
    with build.scope("a"):
        y = _relu_conv_norm(build, x, channels, kernel=3, stride=2)
    with build.scope("b"):
        y = _relu_conv_norm(build, y, channels, kernel=3)
    with build.scope("short"):
        x = build.conv(build.avg_pool(x, kernel=2, stride=2, name="pool"), channels, kernel=1, bias=False)
    return build.add(x, y)
