"""OpenVINO on the processor, in the process of one network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hwnas.device.worker._backend import RefusedError, input_shape, pack_tensors, random_input, unpack_tensors

FORMATS = ("onnx",)
PACKAGES = ("openvino",)
FORKS = True

_TYPES = ("float32", "float16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool")


@dataclass(frozen=True)
class OPTIONS:
    """What OpenVINO can be told.

    Attributes:
        precision: in what it computes: `f32`, as the network says and as other runtimes do, or what the processor
            does fastest and OpenVINO would choose by itself, `bf16` or `f16` where it has them.
        hint: whether it arranges its threads for the time of one inference or for many at once.
    """

    precision: Literal["f32", "f16", "bf16"] = "f32"
    hint: Literal["latency", "throughput"] = "latency"


def prepare() -> None:
    """Import the runtime, so that what comes after is the network's."""
    import openvino  # noqa: F401


def load(path: str, *, threads: int, batch: int, options: dict[str, Any]) -> Loaded:
    """Return the network, ready to run."""
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    shapes, feeds = {}, {}
    for index, item in enumerate(model.inputs):
        name, kind = item.any_name, _kind(item)
        sizes = [int(size.get_length()) if size.is_static else None for size in item.partial_shape]
        shapes[item] = input_shape(name, sizes, batch)
        feeds[name] = random_input(shapes[item], kind, index)
    model.reshape(shapes)
    settings = {
        "INFERENCE_PRECISION_HINT": options["precision"],
        "PERFORMANCE_HINT": options["hint"].upper(),
        "INFERENCE_NUM_THREADS": threads,
        "ENABLE_CPU_PINNING": False,  # the profile's cpus say where it runs
    }
    return Loaded(openvino, core.compile_model(model, "CPU", settings), feeds)


def _kind(item: Any) -> str:
    try:
        kind = str(item.element_type.to_dtype())
    except RuntimeError:  # a type that numpy has not
        kind = str(item.element_type)
    if kind not in _TYPES:
        raise RefusedError("network", f"input {item.any_name!r} is a {kind}", "inputs are tensors of numbers")
    return kind


class Loaded:
    """A request whose inputs lie in memory that stays."""

    def __init__(self, openvino: Any, compiled: Any, feeds: dict[str, Any]) -> None:
        """Set the inputs, and run once."""
        self._request = compiled.create_infer_request()
        self._outputs = [_name(item, index) for index, item in enumerate(compiled.outputs)]
        self._feeds = feeds  # the tensors do not keep what they share alive
        self._tensors = [openvino.Tensor(array, shared_memory=True) for array in feeds.values()]
        for index, tensor in enumerate(self._tensors):
            self._request.set_input_tensor(index, tensor)
        self.inputs = pack_tensors(feeds)[0]
        self.run()

    def run(self) -> object:
        """Run once on the inputs that are in place."""
        return self._request.infer(share_outputs=True)

    def infer(self, specs: list[list[Any]], payload: bytes) -> tuple[list[list[Any]], bytes]:
        """Return name, type and shape of each output, and their bytes one after the other."""
        given = unpack_tensors(specs, payload)
        kept = {name: array.copy() for name, array in self._feeds.items()}
        for name, array in self._feeds.items():
            array[...] = given[name]
        self.run()
        results = {name: self._request.get_output_tensor(index).data for index, name in enumerate(self._outputs)}
        packed = pack_tensors(results)
        for name, array in self._feeds.items():
            array[...] = kept[name]
        return packed


def _name(item: Any, index: int) -> str:
    return str(item.any_name) if item.names else f"output{index}"
