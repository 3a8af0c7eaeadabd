"""PyTorch, in the process of one network, which it builds from a graph of ours."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal

from hwnas.device.worker._backend import RefusedError, input_shape, pack_tensors, random_input, unpack_tensors

FORMATS = ("graph",)
PACKAGES = ("torch",)
FORKS = True


@dataclass(frozen=True)
class OPTIONS:
    """What PyTorch can be told.

    Attributes:
        mode: `eager` runs one operation after the other, as in training; `compile` lets `torch.compile` make one
            program of the network when it is loaded, which takes seconds and a C++ compiler.
    """

    mode: Literal["eager", "compile"] = "eager"


def prepare() -> None:
    """Import the runtime, so that what comes after is the network's.

    Its threads sleep while they wait for each other: where another program wants a processor, threads that spin hold
    each other up for whole time slices (seen: 30 times the time of one thread).
    """
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    import torch  # noqa: F401


def load(path: str, *, threads: int, batch: int, options: dict[str, Any]) -> Loaded:
    """Return the network, ready to run."""
    import torch

    try:
        from hwnas.errors import NetworkError
        from hwnas.network import load_graph, to_module
    except ImportError as exc:
        raise RefusedError(
            "device",
            f"PyTorch is given graphs, and hwnas, which reads them, cannot be imported: {exc}",
            "install hwnas for the interpreter that the profile names, or name none",
        ) from exc

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    try:
        graph, weights = load_graph(path)
    except NetworkError as exc:
        raise ValueError(exc.message) from exc
    feeds = {
        value.name: random_input(input_shape(value.name, [None, *value.shape], batch), "float32", index)
        for index, value in enumerate(graph.inputs)
    }
    module = to_module(graph, weights=weights).eval().requires_grad_(requires_grad=False)
    return Loaded(torch, _compiled(torch, module) if options["mode"] == "compile" else module, graph.output, feeds)


def _compiled(torch: Any, module: Any) -> Any:
    from torch._inductor import config

    config.compile_threads = 1  # compile here, and not in processes that outlive their use
    return torch.compile(module, fullgraph=True, dynamic=False)


class Loaded:
    """A module and the tensors that it runs on."""

    def __init__(self, torch: Any, module: Any, output: str, feeds: dict[str, Any]) -> None:
        """Run once, which compiles what is to be compiled."""
        self._torch = torch
        self._module = module
        self._output = output
        self._tensors = [torch.from_numpy(array) for array in feeds.values()]
        self.inputs = pack_tensors(feeds)[0]
        self._mode = torch.inference_mode()
        self._mode.__enter__()  # for good: nothing in this process trains
        try:
            self.run()
        except Exception as exc:
            if "compiler" in str(exc).lower():
                raise RefusedError(
                    "device", f"torch.compile found no C++ compiler: {exc}", "install g++, or use mode = 'eager'"
                ) from exc
            raise

    def run(self) -> object:
        """Run once on the inputs that are in place."""
        return self._module(*self._tensors)

    def infer(self, specs: list[list[Any]], payload: bytes) -> tuple[list[list[Any]], bytes]:
        """Return name, type and shape of each output, and their bytes one after the other."""
        given = unpack_tensors(specs, payload)
        tensors = [self._torch.from_numpy(given[name].copy()) for name, _, _ in self.inputs]
        return pack_tensors({self._output: self._module(*tensors).numpy()})
