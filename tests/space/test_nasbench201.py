import csv
import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from hwnas.errors import SpaceError
from hwnas.network import simplified, to_module, write_onnx, write_tflite
from hwnas.space import get_space
from hwnas.space.nasbench201 import EDGES, OPERATIONS, cell_from_text, cell_text, is_live

PUBLIC = Path(os.environ.get("HWNAS_PUBLIC_DATA", Path(__file__).parents[3] / "shared" / "data"))
RICH = "|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"
#: Node 1 gets zeros alone, and is read by a convolution: the batch normalisation behind it gives a constant.
FED_BY_ZEROS = "|none~0|+|skip_connect~0|nor_conv_3x3~1|+|none~0|avg_pool_3x3~1|nor_conv_1x1~2|"
#: Nothing reads node 1: its pooling and convolution are left out of a file.
IDLE = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|none~1|skip_connect~2|"
DEAD = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|none~2|"


@pytest.fixture(scope="module")
def space():
    return get_space("nasbench201")


def kinds(graph):
    return [node.operation.kind for node in graph.nodes]


def test_it_holds_every_cell(space):
    assert space.size == len(OPERATIONS) ** len(EDGES) == 15_625
    assert space.dim == 30


def test_the_usual_string_is_read_and_written(space):
    arch = cell_from_text(RICH)
    assert dict(arch.values) == {
        "edge01": "nor_conv_3x3",
        "edge02": "avg_pool_3x3",
        "edge12": "nor_conv_1x1",
        "edge03": "skip_connect",
        "edge13": "none",
        "edge23": "nor_conv_3x3",
    }
    assert arch == space.architecture(arch.values)
    for other in space.sample(200, np.random.default_rng(0)):
        assert cell_from_text(cell_text(other)) == other


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no cell"),
        (RICH[:-1], "is no cell"),
        (RICH.replace("~2", "~1"), "is no cell"),
        (RICH.replace("skip_connect", "skip_conect"), "no operation 'skip_conect' (did you mean 'skip_connect'?)"),
    ],
)
def test_what_is_no_cell_is_refused(text, said):
    with pytest.raises(SpaceError) as caught:
        cell_from_text(text)
    assert said in str(caught.value)


def test_a_network_has_three_stages_of_five_cells(space):
    graph = space.graph(cell_from_text(RICH))
    assert graph.shapes["input"] == (3, 32, 32)
    assert graph.shapes["stage1.4.node3"] == (16, 32, 32)
    assert graph.shapes["stage2.0.node3"] == (32, 16, 16)
    assert graph.shapes["stage3.4.node3"] == (64, 8, 8)
    assert graph.output_shape == (10,)
    assert kinds(graph).count("conv2d") == 1 + 15 * 3 + 2 * 3
    assert kinds(graph).count("avg_pool") == 15 + 2
    assert len({node.name.split(".")[1] for node in graph.nodes if node.name.startswith("stage1.")}) == 5


def test_macs_and_parameters_are_the_published_ones(space):
    path = PUBLIC / "nasbench201.csv.gz"
    if not path.exists():
        pytest.skip("the public tables are not there; HWNAS_PUBLIC_DATA names their folder")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[::101]
    assert len(rows) == 155
    for row in rows:
        graph = space.graph(cell_from_text(row["architecture"]))
        assert (graph.macs, graph.params) == (int(row["macs"]), int(row["params"]))


def test_macs_of_the_costliest_cell_by_hand(space):
    graph = space.graph(space.architecture({f"edge{a}{b}": "nor_conv_3x3" for a, b in EDGES}))
    per_convolution = 16 * 16 * 9 * 32 * 32  # the same in each stage: half the side, twice the channels
    stem, head = 3 * 16 * 9 * 32 * 32, 64 * 10
    reductions = sum((c // 2 * c * 9 + c * c * 9 + c // 2 * c) * side * side for c, side in ((32, 16), (64, 8)))
    assert graph.macs == stem + 15 * 6 * per_convolution + reductions + head


@pytest.mark.parametrize("text", [RICH, FED_BY_ZEROS, IDLE, DEAD], ids=["rich", "fed by zeros", "idle", "dead"])
def test_pytorch_onnx_and_tflite_agree(space, text, tmp_path):
    rng = np.random.default_rng(5)
    graph = space.graph(cell_from_text(text))
    weights = {key: trained(key, weight, rng) for key, weight in graph.weights()}
    x = rng.standard_normal((1, 3, 32, 32)).astype(np.float32)
    expected = by_torch(to_module(graph, weights=weights), x)
    assert np.abs(expected).max() > 0.1
    found = by_onnxruntime(write_onnx(graph, tmp_path / "net.onnx", weights=weights).path, x)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    found = by_litert(write_tflite(graph, tmp_path / "net.tflite", weights=weights).path, x)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def trained(key, weight, rng):
    """As a training could leave it: no bias is zero, no batch normalisation is the identity."""
    if key.endswith("running_var"):
        return rng.uniform(0.5, 2.0, weight.shape).astype(np.float32)
    if weight.start == "ones":
        return rng.uniform(0.5, 1.2, weight.shape).astype(np.float32)
    return (rng.standard_normal(weight.shape) / weight.fan_in**0.5).astype(np.float32)


def by_torch(module, x):
    import torch

    with torch.inference_mode():
        return module.eval()(torch.from_numpy(x)).numpy()


def by_onnxruntime(path, x):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def by_litert(path, x):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (inside,), (outside,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(inside["index"], np.moveaxis(x, 1, -1))
    interpreter.invoke()
    return interpreter.get_tensor(outside["index"])


def test_a_file_leaves_out_what_nothing_reads(space):
    graph = space.graph(cell_from_text(IDLE))
    deployed = simplified(graph)
    assert kinds(graph).count("conv2d") == 1 + 15 * 2 + 6
    assert kinds(deployed).count("conv2d") == 1 + 15 + 6
    assert not {"zero", "identity"} & set(kinds(deployed))
    assert kinds(deployed).count("add") == 15 + 2  # one in each cell is left: the sum with zeros is gone


def test_what_zeros_feed_stays_because_a_batch_normalisation_follows(space):
    deployed = simplified(space.graph(cell_from_text(FED_BY_ZEROS)))
    assert kinds(deployed).count("conv2d") == 1 + 15 * 2 + 6
    assert "stage1.0.edge13.pool" not in {node.name for node in deployed.nodes}  # zeros stay zeros through it


def test_a_dead_cell_is_known_and_its_network_ignores_the_image(space):
    assert [is_live(cell_from_text(text)) for text in (RICH, FED_BY_ZEROS, IDLE, DEAD)] == [True, True, True, False]
    dead = sum(not is_live(arch) for arch in space.sample(15_625, np.random.default_rng(0), method="uniform"))
    assert dead / 15_625 == pytest.approx(0.022, abs=0.0005)
    module = to_module(space.graph(cell_from_text(DEAD)))
    rng = np.random.default_rng(1)
    one, other = (by_torch(module, rng.standard_normal((1, 3, 32, 32)).astype(np.float32)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
