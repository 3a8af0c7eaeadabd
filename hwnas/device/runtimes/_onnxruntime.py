"""ONNX Runtime, in the process of one network."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hwnas.device.worker._backend import RefusedError, input_shape, pack_tensors, random_input, unpack_tensors

if TYPE_CHECKING:
    from collections.abc import Callable

FORMATS = ("onnx",)
PACKAGES = ("onnxruntime", "onnxruntime-openvino", "onnxruntime-gpu")
FORKS = True

QUANTISED = b"QuantizeLinear"  # the name of the operation, which a quantised file holds for every tensor
_NO_HWNAS = 77
_QUANTISER_S = 600.0  # whoever waits has a deadline of its own; this is for when nobody waits any more
_QUANTISE = f"""
import sys
try:
    from hwnas.errors import HwnasError
    from hwnas.network import quantise_onnx
except ImportError:
    sys.exit({_NO_HWNAS})
try:
    quantise_onnx(sys.argv[1], sys.argv[2])
except HwnasError as error:
    sys.exit(error.message)
"""
_LEVELS = {"none": "DISABLE_ALL", "basic": "ENABLE_BASIC", "extended": "ENABLE_EXTENDED", "all": "ENABLE_ALL"}
_TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int16)": "int16",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}


@dataclass(frozen=True)
class OPTIONS:
    """What ONNX Runtime can be told.

    Attributes:
        graph_optimization: how much it rewrites the graph when it loads it.
        precision: in what it computes: `f32`, as the network says, or `int8`: the network is quantised statically when
            it is loaded (QDQ, ranges from random numbers, which do for latency), unless it is quantised already.
        provider: the execution provider: `cpu`, `xnnpack`, `openvino`, ... as far as the installed build has it.
        spinning: whether its threads wait actively between operations; faster, and busy.
        arena: whether it keeps memory between runs.
    """

    graph_optimization: Literal["none", "basic", "extended", "all"] = "all"
    precision: Literal["f32", "int8"] = "f32"
    provider: str = "cpu"
    spinning: bool = True
    arena: bool = True


def prepare() -> None:
    """Import the runtime, so that what comes after is the network's."""
    import onnxruntime  # noqa: F401


def load(path: str, *, threads: int, batch: int, options: dict[str, Any]) -> Loaded:
    """Return the network, ready to run."""
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.inter_op_num_threads = 1
    settings.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    settings.graph_optimization_level = getattr(
        ort.GraphOptimizationLevel, "ORT_" + _LEVELS[options["graph_optimization"]]
    )
    settings.enable_cpu_mem_arena = options["arena"]
    settings.log_severity_level = 4
    settings.add_session_config_entry("session.intra_op.allow_spinning", "1" if options["spinning"] else "0")
    provider = _provider(ort, options["provider"])
    with tempfile.TemporaryDirectory(prefix="hwnas-ort-") as folder:
        as_it_is = options["precision"] == "f32" or QUANTISED in Path(path).read_bytes()
        chosen = path if as_it_is else _quantised(path, Path(folder))
        return Loaded(ort, ort.InferenceSession(chosen, settings, providers=[provider]), batch)


def _quantised(path: str, folder: Path) -> str:
    """Write a network in eight-bit integers, in a process of its own, whose memory is not the network's."""
    target = folder / "int8.onnx"
    command = [sys.executable, "-c", _QUANTISE, path, str(target)]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
        timeout=_QUANTISER_S,
    )
    if done.returncode == _NO_HWNAS:
        raise RefusedError(
            "device",
            "int8 is made by hwnas, and it cannot be imported",
            "install hwnas for the interpreter that the profile names, or give it a quantised file with precision f32",
        )
    if done.returncode != 0:
        text = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise RuntimeError(f"it cannot be quantised: {text[-300:] or f'exit code {done.returncode}'}")
    return str(target)


def _provider(ort: Any, name: str) -> str:
    known = {entry.removesuffix("ExecutionProvider").lower(): entry for entry in ort.get_available_providers()}
    if name.lower() not in known:
        raise RefusedError(
            "device", f"this build of ONNX Runtime has no execution provider {name!r}", f"it has {', '.join(known)}"
        )
    found: str = known[name.lower()]
    return found


class Loaded:
    """A session whose inputs and outputs are bound to memory that stays."""

    def __init__(self, ort: Any, session: Any, batch: int) -> None:
        """Bind inputs, and outputs of the shape that a first inference gives them."""
        self._session = session
        self._outputs = [item.name for item in session.get_outputs()]
        feeds = {}
        for index, item in enumerate(session.get_inputs()):
            if item.type not in _TYPES:
                raise RefusedError("network", f"input {item.name!r} is a {item.type}", "inputs are tensors of numbers")
            shape = input_shape(item.name, list(item.shape), batch)
            feeds[item.name] = random_input(shape, _TYPES[item.type], index)
        self.inputs = pack_tensors(feeds)[0]
        self._feeds = feeds
        self.run = self._bound(ort)

    def _bound(self, ort: Any) -> Callable[[], object]:
        results = self._session.run(None, self._feeds)
        if not all(str(getattr(value, "dtype", None)) in _TYPES.values() for value in results):
            return lambda: self._session.run(None, self._feeds)  # sequences, maps and texts cannot be bound
        binding = self._session.io_binding()
        self._kept = []  # the binding does not keep what is bound alive
        for name, value in self._feeds.items():
            self._kept.append(ort.OrtValue.ortvalue_from_numpy(value))
            binding.bind_ortvalue_input(name, self._kept[-1])
        for name, value in zip(self._outputs, results, strict=True):
            self._kept.append(ort.OrtValue.ortvalue_from_numpy(value))
            binding.bind_ortvalue_output(name, self._kept[-1])
        inference = self._session.run_with_iobinding
        return lambda: inference(binding)

    def infer(self, specs: list[list[Any]], payload: bytes) -> tuple[list[list[Any]], bytes]:
        """Return name, type and shape of each output, and their bytes one after the other."""
        results = self._session.run(None, unpack_tensors(specs, payload))
        return pack_tensors(dict(zip(self._outputs, results, strict=True)))
