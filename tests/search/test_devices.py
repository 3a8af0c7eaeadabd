"""Devices of several formats in one search: each gets network files that it runs."""

import threading

import pytest

from hwnas.device import DeviceProfile, runtime_kind
from hwnas.measurement import Measurement, MeasurementFailure
from hwnas.network import GraphBuilder, NetworkFile, write_onnx
from hwnas.search._devices import DeviceMeasurer
from hwnas.space import Int, SearchSpace

QUICK = {"samples": 100, "processes": 1, "warmup_s": 0.05, "reference": 0}


@pytest.fixture(autouse=True)
def _own_locks(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("HWNAS_LOCKS", str(tmp_path_factory.mktemp("runtime")))


def graph(architecture):
    """A linear layer; one of the sizes cannot be written as TFLite."""
    build = GraphBuilder("net")
    width = architecture["width"]
    x = build.reshape(build.input((32 * width,)), (2, 2, 2, 2, 2 * width)) if width == 3 else build.input((width,))
    return build.graph(build.linear(build.flatten(x), 4))


@pytest.fixture
def small():
    return SearchSpace("widths", [Int("width", 1, 5)], graph=graph)


@pytest.fixture
def networks(small, tmp_path):
    """Two architectures and the search's own files of them, in ONNX."""
    architectures = [small.architecture({"width": width}) for width in (2, 3)]
    return architectures, [write_onnx(graph(item), tmp_path / f"{item.id}.onnx") for item in architectures]


def measured(measurer, networks, device):
    architectures, files = networks
    stop = threading.Event()
    return measurer.measure(device, files, architectures, cancelled=stop, on_progress=lambda _: None)


def test_each_device_gets_files_of_its_format(networks, small, store, tmp_path):
    pytest.importorskip("ai_edge_litert")
    profiles = [DeviceProfile(name, runtime=name, protocol=QUICK) for name in ("onnxruntime", "litert")]
    measurer = DeviceMeasurer(profiles, store, space=small, folder=tmp_path / "own")
    architectures, files = networks
    plain = measured(measurer, networks, "onnxruntime")
    assert [item.network_hash for item in plain] == [file.hash for file in files]
    light, refused = measured(measurer, networks, "litert")
    assert isinstance(light, Measurement)
    assert (light.architecture_id, light.network_name) == (architectures[0].id, files[0].name)
    (written,) = (tmp_path / "own").iterdir()
    assert NetworkFile.load(written).hash == light.network_hash
    assert isinstance(refused, MeasurementFailure)
    assert (refused.architecture_id, refused.device) == (architectures[1].id, "litert")
    assert "cannot be written as TFLite" in refused.error.message


def test_a_batch_gets_files_of_its_own(networks, small, store, tmp_path):
    profile = DeviceProfile("four", batch=4, protocol=QUICK)
    measurer = DeviceMeasurer([profile], store, space=small, folder=tmp_path / "own")
    results = measured(measurer, networks, "four")
    assert all(isinstance(item, Measurement) for item in results)
    found = {NetworkFile.load(path).inputs[0].shape for path in (tmp_path / "own").iterdir()}
    assert found == {(4, 2), (4, 96)}


def test_files_from_elsewhere_are_taken_as_they_are(networks, store):
    pytest.importorskip("ai_edge_litert")
    measurer = DeviceMeasurer([DeviceProfile("light", runtime="litert", protocol=QUICK)], store)
    results = measured(measurer, networks, "light")
    assert all("litert runs tflite, not onnx" in item.error.message for item in results)


@pytest.mark.parametrize(
    ("name", "formats"), [("onnxruntime", {"onnx"}), ("litert", {"tflite"}), ("pytorch", {"graph"})]
)
def test_a_runtime_tells_its_formats_before_it_is_opened(name, formats):
    assert runtime_kind("host", name).formats == formats
