"""ncnn on the processor, in the process of one network, which its converter `pnnx` makes of an ONNX file."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hwnas.device.worker._backend import RefusedError, input_shape, pack_tensors, random_input, unpack_tensors

FORMATS = ("onnx",)
PACKAGES = ("ncnn", "pnnx")

_CONVERTER_S = 600.0  # whoever waits has a deadline of its own; this is for when nobody waits any more
_SHAPED = re.compile(r"^pnnx\.Input +\S+ +0 +1 +(\S+) .*#\1=\(([^)]*)\)(\w+)", re.MULTILINE)


@dataclass(frozen=True)
class OPTIONS:
    """What ncnn can be told.

    Attributes:
        precision: in what it stores values and computes: `f32`, as the network says and as other runtimes do; or
            shorter types, `f16` as it would by itself.
        winograd: whether it computes 3 x 3 convolutions by Winograd's algorithm.
    """

    precision: Literal["f32", "f16", "bf16"] = "f32"
    winograd: bool = True


def prepare() -> None:
    """Import the runtime, so that what comes after is the network's."""
    import ncnn  # noqa: F401


def load(path: str, *, threads: int, batch: int, options: dict[str, Any]) -> Loaded:
    """Return the network, ready to run."""
    import ncnn

    with tempfile.TemporaryDirectory(prefix="hwnas-ncnn-") as folder:
        inputs = _convert(path, Path(folder), batch)
        param = Path(folder) / "net.ncnn.param"
        for line in param.read_text(encoding="utf-8").splitlines()[2:]:
            kind = line.split()[0]
            if ncnn.layer_to_index(kind) < 0:
                raise RuntimeError(f"ncnn knows no operation {kind}")
        net = ncnn.Net()
        net.opt.num_threads = threads
        net.opt.use_vulkan_compute = False
        net.opt.use_winograd_convolution = options["winograd"]
        for name in ("packed", "storage", "arithmetic"):
            setattr(net.opt, f"use_fp16_{name}", options["precision"] == "f16")
        net.opt.use_bf16_storage = net.opt.use_bf16_packed = options["precision"] == "bf16"
        if net.load_param(str(param)) or net.load_model(str(param.with_suffix(".bin"))):
            raise RuntimeError("ncnn cannot read what pnnx made of it")
    return Loaded(ncnn, net, inputs)


def _convert(path: str, folder: Path, batch: int) -> list[list[int]]:
    """Make `net.ncnn.param` and `net.ncnn.bin` of an ONNX file, and return the shape of each input."""
    (folder / "net.onnx").symlink_to(path)  # pnnx writes beside what it reads
    text = _run_converter(folder)
    found = _SHAPED.findall(text)
    if not found:
        raise RuntimeError("pnnx finds no input of a known shape")
    shapes = []
    for index, (_, sizes, kind) in enumerate(found):
        if kind != "f32":
            raise RefusedError("network", f"input in{index} is a {kind}", "ncnn takes inputs of 32-bit floats alone")
        given = [int(size) if size.isdigit() else None for size in sizes.split(",") if size]
        shapes.append(input_shape(f"in{index}", given, batch))
    if "?" in "".join(sizes for _, sizes, _ in found):
        _run_converter(folder, "inputshape=" + ",".join(f"{shape}f32".replace(" ", "") for shape in shapes))
    return shapes


def _run_converter(folder: Path, *more: str) -> str:
    """Run pnnx on `net.onnx` in a folder; returns the network in its own words, with the shapes."""
    spec = importlib.util.find_spec("pnnx")  # importing it would import PyTorch
    if spec is None or not spec.submodule_search_locations:
        raise RefusedError("device", "pnnx, which converts networks for ncnn, is not installed", "pip install pnnx")
    program = Path(spec.submodule_search_locations[0]) / "pnnx"
    command = [str(program), "net.onnx", "fp16=0", *more]
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
        timeout=_CONVERTER_S,
    )
    made = folder / "net.ncnn.param"
    if done.returncode != 0 or not made.exists() or not made.with_suffix(".bin").exists():
        said = " ".join(done.stderr.decode("utf-8", "replace").split())[-300:]
        raise RuntimeError(f"pnnx cannot convert it (exit code {done.returncode}): {said}")
    return (folder / "net.pnnx.param").read_text(encoding="utf-8", errors="replace")


class Loaded:
    """A network and its inputs. ncnn knows no batch: images run one after the other."""

    def __init__(self, ncnn: Any, net: Any, shapes: list[list[int]]) -> None:
        """Put the inputs in place, and run once."""
        self._ncnn = ncnn
        self._net = net
        self._ends = list(net.output_names())
        feeds = {f"in{index}": random_input(shape, "float32", index) for index, shape in enumerate(shapes)}
        self.inputs = pack_tensors(feeds)[0]
        self._images = self._as_images(feeds)
        self.run()

    def _as_images(self, feeds: dict[str, Any]) -> list[dict[str, Any]]:
        """Return ncnn's matrices by the name of the input, for each image of the batch."""
        count = max(array.shape[0] for array in feeds.values())
        images = []
        for index in range(count):
            rows = {name: array[index].copy() for name, array in feeds.items()}  # alive while a matrix looks at them
            images.append({name: self._ncnn.Mat(row).clone() for name, row in rows.items()})
        return images

    def run(self) -> list[Any]:
        """Run once on the inputs that are in place; returns what came out, image by image."""
        return [self._extract(image) for image in self._images]

    def _extract(self, image: dict[str, Any]) -> list[Any]:
        extractor = self._net.create_extractor()
        for name, value in image.items():
            extractor.input(name, value)
        found = []
        for name in self._ends:
            failed, value = extractor.extract(name)
            if failed:
                raise RuntimeError(f"ncnn cannot compute {name} (error {failed})")
            found.append(value)
        return found

    def infer(self, specs: list[list[Any]], payload: bytes) -> tuple[list[list[Any]], bytes]:
        """Return name, type and shape of each output, and their bytes one after the other."""
        import numpy as np

        results = [self._extract(image) for image in self._as_images(unpack_tensors(specs, payload))]
        outputs = zip(self._ends, zip(*results, strict=True), strict=True)
        return pack_tensors({name: np.stack([np.array(value) for value in values]) for name, values in outputs})
