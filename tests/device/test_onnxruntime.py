"""What is ONNX Runtime's own: networks of others, options, odd inputs."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from hwnas._deadline import Deadline
from hwnas.device import Device, DeviceProfile
from hwnas.errors import DeadlineError, DeviceError, MeasurementError, NetworkError
from hwnas.network import NetworkFile, quantise_onnx


@pytest.fixture
def write(tmp_path):
    def write(nodes, *, shape=("batch", 4), kind=TensorProto.FLOAT, output_kind=TensorProto.FLOAT, domains=("",)):
        graph = helper.make_graph(
            nodes,
            "net",
            [helper.make_tensor_value_info("x", kind, shape)],
            [helper.make_tensor_value_info("y", output_kind, None)],
        )
        opsets = [helper.make_opsetid(domain, 17 if not domain else 1) for domain in domains]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        path = tmp_path / "net.onnx"
        onnx.save(model, path)
        return NetworkFile(path, "0" * 64, "onnx", "net", path.stat().st_size, ())

    return write


@pytest.fixture
def open_device(soon):
    opened = []

    def make(**fields):
        opened.append(Device.open(DeviceProfile("it", **fields), deadline=soon))
        return opened[-1]

    yield make
    for device in opened:
        device.close()


RELU = [helper.make_node("Relu", ["x"], ["y"])]


def test_the_batch_is_the_profiles(write, open_device, soon):
    session = open_device(batch=3).load(write(RELU), deadline=soon)
    assert session.inputs == (("x", "float32", (3, 4)),)
    session.close()


@pytest.mark.parametrize(
    ("shape", "message"),
    [((1, 4), "fixed shape .*batch 3"), (("batch", "length"), "no fixed size in dimension 1 .'length'")],
)
def test_a_shape_that_cannot_be_filled_in_is_refused(write, open_device, soon, shape, message):
    with pytest.raises(NetworkError, match=message):
        open_device(batch=3).load(write(RELU, shape=shape), deadline=soon)


@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.INT32, TensorProto.BOOL, TensorProto.UINT8])
def test_whole_number_inputs_are_fed(write, open_device, soon, kind):
    nodes = [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)]
    session = open_device().load(write(nodes, kind=kind), deadline=soon)
    assert len(session.run(3, deadline=soon)) == 3
    session.close()


def test_an_input_of_text_is_refused(write, open_device, soon):
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    with pytest.raises(NetworkError, match=r"input 'x' is a tensor\(string\)"):
        open_device().load(write(nodes, kind=TensorProto.STRING, output_kind=TensorProto.STRING), deadline=soon)


def test_an_unsupported_operation_is_named(write, open_device, soon):
    nodes = [helper.make_node("Frobnicate", ["x"], ["y"], domain="some.where")]
    with pytest.raises(NetworkError, match=r"net\.onnx cannot be loaded: .*Frobnicate"):
        open_device().load(write(nodes, domains=("", "some.where")), deadline=soon)


def test_a_network_that_loops_for_ever_is_ended(write, open_device, soon):
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Identity", ["v"], ["w"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, None),
        ],
    )
    nodes = [
        helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("yes", TensorProto.BOOL, [], [True])),
        helper.make_node("Loop", ["", "yes", "x"], ["y"], body=body),
    ]
    with pytest.raises(DeadlineError, match=r"net\.onnx: no answer within"):
        open_device().load(write(nodes), deadline=Deadline.after(1.0))


def test_a_network_that_asks_for_too_much_memory_is_told_so(write, open_device, soon):
    size = helper.make_tensor("size", TensorProto.INT64, [1], [10**11])
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
        helper.make_node("Constant", [], ["shape"], value=size),
        helper.make_node("Expand", ["s", "shape"], ["wide"]),
        helper.make_node("ReduceMax", ["wide"], ["y"]),
    ]
    with pytest.raises(MeasurementError, match=r"net\.onnx: not enough memory"):
        open_device().load(write(nodes), deadline=soon)


def test_the_graph_is_optimised_as_the_profile_says(write, open_device, soon):
    nodes = [helper.make_node("Relu", ["x"], ["h0"])]
    nodes += [helper.make_node("Identity", [f"h{i}"], [f"h{i + 1}"]) for i in range(200)]
    nodes += [helper.make_node("Relu", ["h200"], ["y"])]
    network, medians = write(nodes), {}
    for level in ("none", "all"):
        session = open_device(options={"graph_optimization": level}).load(network, deadline=soon)
        medians[level] = np.median(session.run(300, deadline=soon).samples_ns)
        session.close()
    assert medians["none"] > 3 * medians["all"]


def test_an_execution_provider_that_is_not_there_is_named(write, open_device, soon):
    with pytest.raises(DeviceError, match="no execution provider 'tpu'") as caught:
        open_device(options={"provider": "tpu"}).load(write(RELU), deadline=soon)
    assert "cpu" in caught.value.hint


def test_options_at_their_defaults_make_no_other_device(open_device):
    assert open_device(options={"graph_optimization": "all", "provider": "cpu"}).hash == open_device().hash
    assert open_device(options={"graph_optimization": "none"}).hash != open_device().hash
    assert open_device(threads=2).hash != open_device().hash


def test_several_threads_work(write, open_device, soon, reference):
    session = open_device(threads=2).load(reference, deadline=soon)
    block = session.run(50, deadline=soon)
    session.close()
    assert block.cpu_ns.sum() > 0


def test_a_device_in_eight_bits_quantises_what_it_loads(open_device, reference, soon):
    """Near what single precision gives, and not the same; the file that was given stays as it is."""
    x = np.random.default_rng(0).standard_normal((1, 3, 32, 32)).astype(np.float32)
    before, found = reference.path.read_bytes(), []
    for precision in ("f32", "int8"):
        session = open_device(options={"precision": precision}).load(reference, deadline=soon)
        found += session.infer({session.inputs[0][0]: x}, deadline=soon).values()
        assert len(session.run(20, deadline=soon)) == 20
        session.close()
    apart = np.abs(found[0] - found[1]).max() / np.abs(found[0]).max()
    assert 1e-5 < apart < 0.3
    assert reference.path.read_bytes() == before
    assert open_device(options={"precision": "int8"}).hash != open_device().hash


def test_what_is_quantised_already_is_taken_as_it_is(open_device, reference, soon, tmp_path):
    small = quantise_onnx(reference, tmp_path / "small.onnx")
    x = np.random.default_rng(0).standard_normal((1, 3, 32, 32)).astype(np.float32)
    found = []
    for precision in ("f32", "int8"):
        session = open_device(options={"precision": precision}).load(small, deadline=soon)
        found += session.infer({session.inputs[0][0]: x}, deadline=soon).values()
        session.close()
    np.testing.assert_array_equal(*found)


def test_what_cannot_be_quantised_says_why(write, open_device, soon):
    node = [helper.make_node("Frobnicate", ["x"], ["y"], domain="odd")]
    with pytest.raises(NetworkError, match=r"cannot be quantised: .*net\.onnx"):
        open_device(options={"precision": "int8"}).load(write(node, domains=("", "odd")), deadline=soon)
