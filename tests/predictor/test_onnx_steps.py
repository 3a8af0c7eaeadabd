from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from hwnas.errors import HwnasError, PredictorError
from hwnas.network import GraphBuilder, write_onnx
from hwnas.predictor import GraphFeaturiser, onnx_network
from hwnas.predictor._steps import KINDS, graph_network
from hwnas.space import get_space


def work(network):
    return Counter((s.kind, s.read, s.written, s.weights, s.macs, s.area) for s in network.steps)


@pytest.mark.parametrize("name", ["digits", "nasbench201"])
def test_a_file_has_the_features_of_the_graph_that_it_was_written_from(tmp_path, name):
    space = get_space(name)
    for index, arch in enumerate(space.sample(8, np.random.default_rng(1))):
        graph = space.graph(arch)
        path = write_onnx(graph, tmp_path / f"{index}.onnx").path
        assert work(onnx_network(path)) == work(graph_network(graph))
        read, made = GraphFeaturiser()([onnx_network(path), graph]).stacked()
        np.testing.assert_array_equal(read, made)


def sequence():
    build = GraphBuilder("sequence")
    x = build.linear(build.input((12, 16)), 32)
    x = build.activation(x, "gelu")
    x = build.layer_norm(build.activation(x, "silu"))
    return build.graph(build.linear(x, 8, bias=False))


@pytest.mark.parametrize("batch", [1, None])
def test_gelu_silu_and_biases_are_one_step_each_and_a_free_batch_is_one(tmp_path, batch):
    graph = sequence()
    network = onnx_network(write_onnx(graph, tmp_path / "net.onnx", batch=batch).path)
    assert [step.kind for step in network.steps] == ["linear", "gelu", "silu", "layer_norm", "linear"]
    assert work(network) == work(graph_network(graph))
    assert sum(step.macs for step in network.steps) == graph.macs


def save(path, nodes, *, shape=(1, 4), out=(1, 4), opsets=(("", 17),), initializers=()):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, out)
    graph = helper.make_graph(nodes, "net", [x], [y], list(initializers))
    ids = [helper.make_opsetid(domain, version) for domain, version in opsets]
    onnx.save(helper.make_model(graph, opset_imports=ids, ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (helper.make_node("Frobnicate", ["x"], ["y"], domain="some.where"), "unknown operation 'Frobnicate' of"),
        (helper.make_node("Einsum", ["x"], ["y"], equation="ij->ij"), "unknown operation 'Einsum'"),
    ],
)
def test_an_unknown_operation_is_named_with_its_node(tmp_path, node, words):
    path = save(tmp_path / "odd.onnx", [node], opsets=(("", 17), ("some.where", 1)), out=(1, 4))
    with pytest.raises(PredictorError, match=words) as caught:
        onnx_network(path)
    assert "'y'" in caught.value.message
    assert caught.value.hint


def test_a_free_dimension_is_refused_by_name(tmp_path):
    path = save(
        tmp_path / "free.onnx", [helper.make_node("Relu", ["x"], ["y"])], shape=(1, "length", 4), out=(1, "length", 4)
    )
    with pytest.raises(PredictorError, match=r"input 'x' has a free dimension 1 \(length\)"):
        onnx_network(path)


def test_what_is_no_network_is_said(tmp_path):
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(HwnasError, match="a text file"):
        onnx_network(tmp_path / "text.onnx")
    with pytest.raises(HwnasError, match="no such file"):
        onnx_network(tmp_path / "none.onnx")


def test_what_comes_of_shapes_alone_is_no_step(tmp_path):
    one = helper.make_tensor("one", TensorProto.INT64, [1], [-1])
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Concat", ["one"], ["flat"], axis=0),
        helper.make_node("Cast", ["shape"], ["shape2"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["x", "flat"], ["r"]),
        helper.make_node("Dropout", ["r"], ["d"]),
        helper.make_node("Sum", ["d", "d", "d"], ["y"]),
    ]
    network = onnx_network(save(tmp_path / "net.onnx", nodes, initializers=[one], out=(4,)))
    assert [step.kind for step in network.steps] == ["reshape", "add", "add"]
    assert {step.kind for step in network.steps} <= set(KINDS)


def test_shapes_that_are_computed_from_shapes_are_followed(tmp_path):
    axis = helper.make_tensor("axis", TensorProto.INT64, [1], [0])
    index = helper.make_tensor("index", TensorProto.INT64, [1], [1])
    two = helper.make_tensor("two", TensorProto.INT64, [1], [2])
    weight = helper.make_tensor("w", TensorProto.FLOAT, [3, 5], [0.0] * 15)
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "index"], ["length"], axis=0),
        helper.make_node("Div", ["length", "two"], ["half"]),
        helper.make_node("Concat", ["two", "half"], ["target"], axis=0),
        helper.make_node("Reshape", ["x", "target"], ["r"]),
        helper.make_node("Shape", ["r"], ["again"]),
        helper.make_node("ReduceProd", ["again"], ["count"], keepdims=1),
        helper.make_node("Reshape", ["r", "again"], ["same"]),
        helper.make_node("MatMul", ["same", "w"], ["y"]),
    ]
    path = save(tmp_path / "net.onnx", nodes, shape=(1, 6), out=(2, 5), initializers=[axis, index, two, weight])
    network = onnx_network(path)
    assert [step.kind for step in network.steps] == ["reshape", "reshape", "linear"]
    assert network.steps[-1].macs == 2 * 3 * 5


def test_a_file_that_asks_for_a_huge_constant_gets_none(tmp_path):
    huge = helper.make_tensor("huge", TensorProto.INT64, [1], [10**12])
    nodes = [
        helper.make_node("ConstantOfShape", ["huge"], ["ones"]),
        helper.make_node("ReduceMax", ["ones"], ["one"], keepdims=1),
        helper.make_node("Mul", ["x", "one"], ["y"]),
    ]
    network = onnx_network(save(tmp_path / "net.onnx", nodes, initializers=[huge], out=(1, 4)))
    assert [step.kind for step in network.steps] == ["mul"]
