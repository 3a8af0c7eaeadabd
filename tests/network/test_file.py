"""Files of every origin: sound ones are described, others refused with a reason."""

import hashlib
import os
import zipfile

import flatbuffers
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwnas.errors import NetworkError
from hwnas.network import NetworkFile, TensorSpec, reference_graph, write_onnx


@pytest.fixture
def sound(tmp_path):
    return write_onnx(reference_graph(), tmp_path / "net.onnx").path


def tflite(name="image", shape=(1, 8, 8, 1), signature=None, kind=0):
    """A TFLite file of one tensor that is both input and output, and one buffer of weights."""
    build = flatbuffers.Builder()

    def numbers(values):
        build.StartVector(4, len(values), 4)
        for value in reversed(values):
            build.PrependInt32(value)
        return build.EndVector()

    def table(count, fields):
        build.StartObject(count)
        for slot, offset in fields.items():
            if isinstance(offset, tuple):
                build.PrependInt8Slot(slot, offset[0], 0)
            else:
                build.PrependUOffsetTRelativeSlot(slot, offset, 0)
        return build.EndObject()

    def tables(*places):
        build.StartVector(4, len(places), 4)
        for place in reversed(places):
            build.PrependUOffsetTRelative(place)
        return build.EndVector()

    fields = {0: numbers(shape), 1: (kind,), 3: build.CreateString(name)}
    if signature:
        fields[7] = numbers(signature)
    tensor = table(8, fields)
    subgraph = table(5, {0: tables(tensor), 1: numbers([0]), 2: numbers([0])})
    buffers = tables(table(1, {}), table(1, {0: build.CreateByteVector(bytes(range(1, 200)))}))
    build.Finish(table(5, {2: tables(subgraph), 4: buffers}), file_identifier=b"TFL3")
    return bytes(build.Output())


def external_model(location, *, length=16, offset=0):
    """An ONNX model whose only weights lie in another file."""
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "offset": str(offset), "length": str(length)}.items():
        weights.external_data.add(key=key, value=value)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "external",
        [value("x", TensorProto.FLOAT, ["N", 4]), value("w", TensorProto.FLOAT, [4])],
        [value("y", TensorProto.FLOAT, ["N", 4])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def test_a_written_file_is_read_back(sound):
    file = NetworkFile.load(sound)
    assert file.hash == hashlib.sha256(sound.read_bytes()).hexdigest()
    assert file.format == "onnx"
    assert file.name == "net"
    assert file.size_bytes == sound.stat().st_size
    assert file.inputs == (TensorSpec("input", (1, 3, 32, 32), "float32"),)
    assert file.macs is None
    assert NetworkFile.load(str(sound), name="mine").name == "mine"


def test_the_hash_is_of_the_content_not_of_the_name(sound, tmp_path):
    copied = tmp_path / "copy.onnx"
    copied.write_bytes(sound.read_bytes())
    assert NetworkFile.load(copied).hash == NetworkFile.load(sound).hash


def test_inputs_of_other_types_and_sizes(tmp_path):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "ids"], ["y"])],
        "lookup",
        [value("ids", TensorProto.INT64, ["batch", None, 7])],
        [value("y", TensorProto.FLOAT, ["batch", None, 7, 2])],
        [numpy_helper.from_array(np.zeros((5, 2), np.float32), "table")],
    )
    path = tmp_path / "lookup.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    assert NetworkFile.load(path).inputs == (TensorSpec("ids", (None, None, 7), "int64"),)


def test_operators_of_other_domains_are_let_through(tmp_path):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("FusedMatMul", ["x", "x"], ["y"], domain="com.microsoft")],
        "custom",
        [value("x", TensorProto.FLOAT, [4, 4])],
        [value("y", TensorProto.FLOAT, [4, 4])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    path = tmp_path / "custom.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    assert NetworkFile.load(path).inputs[0].name == "x"


def test_a_newer_opset_than_is_known_is_left_to_the_runtime(sound):
    model = onnx.load(sound)
    model.opset_import[0].version = 999
    onnx.save(model, sound)
    assert NetworkFile.load(sound).inputs[0].name == "input"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("net.onnx", b"", "is empty"),
        ("net.onnx", b"import torch\n\nclass Net:\n    width = '\xc3\xa9'\n", "text file"),
        ("net.onnx", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        ("net.onnx", b"\x00\x01\x02\x03" * 100, "not a whole ONNX file"),
        ("net.onnx", b"\x08\x08", "not a whole ONNX file"),
        ("net.onnx", tflite(), "its content is TFLite"),
        ("net.tflite", b"\x00\x01\x02\x03" * 100, "TFL3"),
        ("net.pt", b"\x00\x01", "not called .onnx or .tflite"),
        ("net", b"\x00\x01", "not called .onnx or .tflite"),
    ],
)
def test_what_is_no_network_file_is_refused(name, content, words, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(NetworkError) as caught:
        NetworkFile.load(path)
    assert words in f"{caught.value.message} {caught.value.hint}"
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_a_missing_file_a_folder_and_a_checkpoint(tmp_path):
    with pytest.raises(NetworkError, match="no such file"):
        NetworkFile.load(tmp_path / "net.onnx")
    with pytest.raises(NetworkError, match="a folder"):
        NetworkFile.load(tmp_path)
    with zipfile.ZipFile(tmp_path / "net.onnx", "w") as archive:
        archive.writestr("data.pkl", b"x")
    with pytest.raises(NetworkError, match="zip archive"):
        NetworkFile.load(tmp_path / "net.onnx")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(sound):
    sound.chmod(0)
    with pytest.raises(NetworkError, match="cannot be read"):
        NetworkFile.load(sound)


@pytest.mark.parametrize("share", [0.0005, 0.01, 0.3, 0.7, 0.95, 0.9999])
def test_a_file_that_was_cut_off_is_refused(share, sound):
    content = sound.read_bytes()
    sound.write_bytes(content[: max(1, int(len(content) * share))])
    with pytest.raises(NetworkError):
        NetworkFile.load(sound)


def test_a_network_that_breaks_the_rules_is_refused(sound):
    model = onnx.load(sound)
    model.graph.node[3].input[0] = "nowhere"
    onnx.save(model, sound)
    with pytest.raises(NetworkError, match=r"not a valid ONNX network: .*nowhere"):
        NetworkFile.load(sound)


def test_a_name_that_is_no_text_is_refused(sound):
    """ONNX's checker cannot even quote it."""
    model = onnx.load(sound)
    model.graph.node[3].input[0] = "nowhere"
    content = model.SerializeToString()
    assert content.count(b"nowhere") == 1
    sound.write_bytes(content.replace(b"nowhere", b"nowher\xff"))
    with pytest.raises(NetworkError, match="not a valid ONNX network: a name is no text") as caught:
        NetworkFile.load(sound)
    assert str(sound) in caught.value.message
    assert caught.value.hint


def test_weights_beside_the_file_belong_to_it(tmp_path):
    path, weights = tmp_path / "net.onnx", tmp_path / "weights.bin"
    path.write_bytes(external_model("weights.bin"))
    weights.write_bytes(b"\0" * 16)
    one = NetworkFile.load(path)
    weights.write_bytes(b"\1" * 16)
    two = NetworkFile.load(path)
    assert one.hash != two.hash
    assert one.size_bytes == path.stat().st_size + 16
    assert one.inputs == (TensorSpec("x", (None, 4), "float32"),)


@pytest.mark.parametrize(
    "location",
    ["../secret.bin", "/etc/passwd", "", "..\\secret.bin", "C:\\secret.bin", "a/../../secret.bin", "link.bin"],
)
def test_weights_elsewhere_are_refused(location, tmp_path):
    (tmp_path / "secret.bin").write_bytes(b"\0" * 16)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "net.onnx").write_bytes(external_model(location))
    with pytest.raises(NetworkError, match="outside its own folder"):
        NetworkFile.load(folder / "net.onnx")


def test_weights_elsewhere_are_found_in_attributes_too(tmp_path):
    constant = TensorProto(name="c", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    constant.external_data.add(key="location", value="/etc/passwd")
    value = helper.make_tensor_value_info
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["out"], value=constant)], "then", [], [value("out", TensorProto.FLOAT, [4])]
    )
    graph = helper.make_graph(
        [helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)],
        "branch",
        [value("x", TensorProto.BOOL, [1])],
        [value("y", TensorProto.FLOAT, [4])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(NetworkError, match="outside its own folder"):
        NetworkFile.load(tmp_path / "net.onnx")


@pytest.mark.parametrize(
    ("settings", "content", "words"),
    [({}, None, "are missing"), ({}, b"\0" * 15, "cut off"), ({"offset": "x"}, b"\0" * 16, "no sound offset")],
)
def test_weights_that_are_not_whole_are_refused(settings, content, words, tmp_path):
    (tmp_path / "net.onnx").write_bytes(external_model("weights.bin", **settings))
    if content is not None:
        (tmp_path / "weights.bin").write_bytes(content)
    with pytest.raises(NetworkError, match=words):
        NetworkFile.load(tmp_path / "net.onnx")


def test_a_tflite_file_is_described(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(tflite())
    file = NetworkFile.load(path)
    assert file.format == "tflite"
    assert file.inputs == (TensorSpec("image", (1, 8, 8, 1), "float32"),)
    path.write_bytes(tflite("ids", (1, 7), signature=(-1, 7), kind=2))
    assert NetworkFile.load(path).inputs == (TensorSpec("ids", (None, 7), "int32"),)


def test_a_tflite_file_that_was_cut_off_is_refused_wherever_it_was_cut(tmp_path):
    content, path = tflite(), tmp_path / "net.tflite"
    weights_end = content.index(bytes(range(1, 200))) + 199
    for size in [*range(9, weights_end, 7), weights_end - 1]:
        path.write_bytes(content[:size])
        with pytest.raises(NetworkError, match=r"not a whole TFLite file|text file"):
            NetworkFile.load(path)


def test_damage_never_gives_another_error(tmp_path, rng):
    content, path = tflite(), tmp_path / "net.tflite"
    for _ in range(300):
        damaged = bytearray(content)
        for place in rng.integers(8, len(damaged), 3):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            file = NetworkFile.load(path)
        except NetworkError:
            continue
        assert file.format == "tflite"


def test_a_file_made_by_hand_is_checked(sound):
    with pytest.raises(NetworkError, match="hash 'abc'"):
        NetworkFile(sound, "abc", "onnx", "net", 1, ())
