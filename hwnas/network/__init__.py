"""An architecture made real: a graph of our own, then a PyTorch module to train and a network file to measure.

`Graph` is made with `GraphBuilder`; `to_module` gives the trainable module, `write_onnx`,
`write_tflite` and `write_graph` the files, and `NetworkFile.load` takes any ONNX or TFLite file of the user's own.
"""

from hwnas.network._builder import GraphBuilder
from hwnas.network._deployed import foldable, folded, simplified
from hwnas.network._file import NetworkFile, TensorSpec
from hwnas.network._graph import Graph, Input, Node
from hwnas.network._graph_file import load_graph, write_graph
from hwnas.network._module import to_module
from hwnas.network._onnx import write_onnx
from hwnas.network._operation import Operation, Shape, Weight
from hwnas.network._quantise import quantise_onnx
from hwnas.network._reference import reference_graph
from hwnas.network._tflite import write_tflite
from hwnas.network._weights import checked_weights, initial_weights
from hwnas.network._write import write_network
from hwnas.network.operations import OPERATIONS

__all__ = [
    "OPERATIONS",
    "Graph",
    "GraphBuilder",
    "Input",
    "NetworkFile",
    "Node",
    "Operation",
    "Shape",
    "TensorSpec",
    "Weight",
    "checked_weights",
    "foldable",
    "folded",
    "initial_weights",
    "load_graph",
    "quantise_onnx",
    "reference_graph",
    "simplified",
    "to_module",
    "write_graph",
    "write_network",
    "write_onnx",
    "write_tflite",
]
