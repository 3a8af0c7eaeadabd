"""What the runtimes share inside the process of a network: refusals, inputs to run on, tensors as bytes."""

from __future__ import annotations

import importlib
import math
from typing import Any


class RefusedError(Exception):
    """The network or the device cannot do what is asked. `fault` says which: `network` or `device`."""

    def __init__(self, fault: str, message: str, hint: str = "") -> None:
        """Keep the parts."""
        super().__init__(message)
        self.fault = fault
        self.hint = hint


def input_shape(name: str, shape: list[Any], batch: int) -> list[int]:
    """Return the shape of an input with the batch put in; whatever is no whole number counts as free.

    Raises:
        RefusedError: another dimension than the first is free, or the batch does not fit.
    """
    sizes = list(shape)
    if sizes and not isinstance(sizes[0], int):
        sizes[0] = batch
    elif batch != 1 and (not sizes or sizes[0] != batch):
        raise RefusedError(
            "network",
            f"input {name!r} has the fixed shape {shape}, and the profile says batch {batch}",
            "write it with that batch, or with a free first dimension",
        )
    for axis, size in enumerate(sizes):
        if not isinstance(size, int):
            raise RefusedError(
                "network",
                f"input {name!r} has no fixed size in dimension {axis} ({size!r})",
                "write the network with fixed shapes; only the first dimension, the batch, may be free",
            )
    return sizes


def prepare(backend: Any) -> None:
    """Have a runtime's module import all that it needs, and what makes the inputs: neither is the network's memory."""
    backend.prepare()
    importlib.import_module("numpy.random")


def random_input(shape: list[int], kind: str, index: int) -> Any:
    """Return an input array: normal numbers, or zeros where it takes whole numbers, since an index must exist.

    Args:
        shape: its shape.
        kind: its numpy type.
        index: which input it is; the numbers differ between inputs, and are the same in every process.
    """
    import numpy as np

    if np.dtype(kind).kind != "f":
        return np.zeros(shape, dtype=kind)
    return np.random.default_rng(index).standard_normal(shape).astype(kind)


def unpack_tensors(specs: list[list[Any]], payload: bytes) -> dict[str, Any]:
    """Return arrays by name from (name, type, shape) of each and their bytes one after the other."""
    import numpy as np

    arrays, offset = {}, 0
    for name, kind, shape in specs:
        array = np.frombuffer(payload, dtype=kind, count=math.prod(shape), offset=offset).reshape(shape)
        arrays[name] = array
        offset += array.nbytes
    return arrays


def pack_tensors(arrays: dict[str, Any]) -> tuple[list[list[Any]], bytes]:
    """Return what `unpack_tensors` reads."""
    import numpy as np

    specs = [[name, str(array.dtype), list(array.shape)] for name, array in arrays.items()]
    return specs, b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())
