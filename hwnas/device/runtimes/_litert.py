"""LiteRT (TensorFlow Lite), in the process of one network: `ai-edge-litert`, or `tflite-runtime` where that is had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hwnas.device.worker._backend import RefusedError, input_shape, pack_tensors, random_input, unpack_tensors

FORMATS = ("tflite",)
PACKAGES = ("ai-edge-litert", "tflite-runtime")
FORKS = True


@dataclass(frozen=True)
class OPTIONS:
    """What LiteRT can be told.

    Attributes:
        xnnpack: whether the XNNPACK delegate runs what it knows, as it does by default; else LiteRT's own kernels.
    """

    xnnpack: bool = True


def prepare() -> None:
    """Import the runtime, so that what comes after is the network's."""
    _package()


def load(path: str, *, threads: int, batch: int, options: dict[str, Any]) -> Loaded:
    """Return the network, ready to run."""
    package = _package()
    kinds = package.OpResolverType
    resolver = kinds.BUILTIN if options["xnnpack"] else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = package.Interpreter(model_path=path, num_threads=threads, experimental_op_resolver_type=resolver)
    except SystemError as exc:  # what its compiled part says to a numpy that it was not built for
        raise RefusedError(
            "device",
            f"{package.__name__.partition('.')[0]} does not work with the numpy that is installed: {exc}",
            "pip install ai-edge-litert, its successor, or numpy below 2",
        ) from exc
    return Loaded(interpreter, batch)


def _package() -> Any:
    """Return the module that holds `Interpreter`; the successor first."""
    try:
        from ai_edge_litert import interpreter
    except ModuleNotFoundError as exc:
        if exc.name != "ai_edge_litert":
            raise
        from tflite_runtime import interpreter  # type: ignore[import-not-found]  # one of the two will do
    return interpreter


class Loaded:
    """An interpreter whose inputs hold their values."""

    def __init__(self, interpreter: Any, batch: int) -> None:
        """Give the inputs their shapes and values."""
        self._interpreter = interpreter
        feeds = {}
        for index, item in enumerate(interpreter.get_input_details()):
            kind = getattr(item["dtype"], "__name__", str(item["dtype"]))
            if kind in ("bytes_", "object_", "str_"):
                raise RefusedError("network", f"input {item['name']!r} holds text", "inputs are tensors of numbers")
            shape = input_shape(item["name"], _signature(item), batch)
            if shape != [int(size) for size in item["shape"]]:
                interpreter.resize_tensor_input(item["index"], shape)
            feeds[item["name"]] = random_input(shape, kind, index)
        interpreter.allocate_tensors()
        self.inputs = pack_tensors(feeds)[0]
        self._feeds = feeds
        self._feed(feeds)
        interpreter.invoke()
        self.run = interpreter.invoke

    def _feed(self, arrays: dict[str, Any]) -> None:
        for item in self._interpreter.get_input_details():
            self._interpreter.set_tensor(item["index"], arrays[item["name"]])

    def infer(self, specs: list[list[Any]], payload: bytes) -> tuple[list[list[Any]], bytes]:
        """Return name, type and shape of each output, and their bytes one after the other."""
        self._feed(unpack_tensors(specs, payload))
        self._interpreter.invoke()
        results = self._interpreter.get_output_details()
        packed = pack_tensors({item["name"]: self._interpreter.get_tensor(item["index"]) for item in results})
        self._feed(self._feeds)
        return packed


def _signature(item: dict[str, Any]) -> list[Any]:
    """Return the shape of an input as the file says it, with `None` for what is free."""
    signature = item.get("shape_signature")
    sizes = item["shape"] if signature is None or len(signature) == 0 else signature
    return [int(size) if size >= 0 else None for size in sizes]
