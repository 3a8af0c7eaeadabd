"""Every shape of an ONNX model, also where the model computes it from other shapes, as exporters of PyTorch do."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from hwnas.errors import PredictorError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

_ROUNDS = 50  # each finds at least one more shape
_SMALL = 4096  # elements of a value worth computing: shapes and indices are far smaller
#: What shapes are computed with; evaluated by ONNX's own reference, which is plain numpy.
_ARITHMETIC = frozenset(
    {
        *("Add", "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Floor", "Ceil", "Sqrt", "Min", "Max", "Pow"),
        *("Gather", "Slice", "Concat", "Split", "Squeeze", "Unsqueeze", "Reshape", "Transpose", "Expand", "Identity"),
        *("Cast", "Equal", "Less", "Greater", "Not", "And", "Or", "Where", "ReduceProd", "ReduceSum", "ReduceMax"),
        *("Range", "ConstantOfShape", "Constant"),
    }
)


def with_shapes(path: Path, model: Any) -> Any:
    """Return the model with the shapes of its values, each input's free batch taken as one.

    Raises:
        PredictorError: an input has another free dimension, or the shapes contradict each other.
    """
    _fix_batch(path, model)
    model = _inferred(path, model)
    for _ in range(_ROUNDS):
        if all(name in _known(model) for node in model.graph.node for name in node.output if name):
            break
        if not _fold(model):
            break
        model = _inferred(path, model)
    return model


def sizes_of(model: Any) -> dict[str, tuple[int, ...]]:
    """Return the shape of each value that is wholly known, by name, constants included."""
    graph = model.graph
    sizes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    sizes |= {tensor.values.name: tuple(tensor.dims) for tensor in graph.sparse_initializer}
    return _known(model) | sizes


def _known(model: Any) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for value in [*model.graph.input, *model.graph.value_info, *model.graph.output]:
        tensor = value.type.tensor_type
        if tensor.HasField("shape") and all(size.HasField("dim_value") for size in tensor.shape.dim):
            found.setdefault(value.name, tuple(size.dim_value for size in tensor.shape.dim))
    return found


def _inferred(path: Path, model: Any) -> Any:
    import onnx

    try:
        return onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError) as exc:
        reason = str(exc).strip().splitlines()[0]
        raise PredictorError(f"{path}: its shapes cannot be inferred: {reason}", "export it with fixed shapes") from exc


def _fix_batch(path: Path, model: Any) -> None:
    """Set each input's free batch to one; forget the shapes that were inferred with it free."""
    constants = {tensor.name for tensor in model.graph.initializer}
    freed = False
    for value in model.graph.input:
        if value.name in constants:
            continue
        for index, size in enumerate(value.type.tensor_type.shape.dim):
            if size.dim_value > 0:
                continue
            if index > 0:
                raise PredictorError(
                    f"{path}: input {value.name!r} has a free dimension {index} ({size.dim_param or 'unnamed'})",
                    "export it with fixed shapes; the batch alone may be free, and counts as one",
                )
            size.Clear()
            size.dim_value, freed = 1, True
    if freed:
        del model.graph.value_info[:]
        for value in model.graph.output:
            value.type.tensor_type.ClearField("shape")


def _fold(model: Any) -> bool:
    """Replace nodes that depend on shapes alone by constants; says whether there was one."""
    from onnx import numpy_helper

    graph = model.graph
    sizes = sizes_of(model)
    values: dict[str, np.ndarray] = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if prod(tensor.dims) <= _SMALL and not tensor.external_data
    }
    kept, made = [], []
    for node in graph.node:
        results = _value(node, values, sizes)
        if results is None:
            kept.append(node)
            continue
        values |= results
        made += [numpy_helper.from_array(array, name) for name, array in results.items()]
    if not made:
        return False
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(made)
    return True


def _value(node: Any, values: dict[str, np.ndarray], sizes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray] | None:
    """Return the values that a node gives; `None` where it computes with the input's own values."""
    import numpy as np
    from onnx.reference import ReferenceEvaluator

    if node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type == "Shape" and node.input[0] in sizes and not node.attribute:
        return {node.output[0]: np.array(sizes[node.input[0]], np.int64)}
    given = [name for name in node.input if name]
    if node.op_type not in _ARITHMETIC or not all(name in values for name in given):
        return None
    if not _stays_small(node.op_type, [values[name] for name in given]):
        return None
    try:
        found = ReferenceEvaluator(node).run(None, {name: values[name] for name in given})
    except Exception:  # noqa: BLE001  (the reference raises whatever numpy does; the node is then left to inference)
        return None
    arrays = {name: np.asarray(array) for name, array in zip(node.output, found, strict=False) if name}
    return arrays if all(array.size <= _SMALL for array in arrays.values()) else None


def _stays_small(kind: str, given: list[np.ndarray]) -> bool:
    """Say whether a node that makes more out of little makes little: a file may ask for any size."""
    if kind in ("ConstantOfShape", "Expand"):
        return 0 <= prod(int(size) for size in given[-1].ravel()) <= _SMALL
    if kind == "Range":
        start, limit, delta = (float(value) for value in given)
        return delta != 0 and (limit - start) / delta <= _SMALL
    return True
