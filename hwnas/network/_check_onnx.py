"""An ONNX file read and checked, without running it and without following it out of its folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from hwnas.errors import NetworkError
from hwnas.network._file import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

_EXPORT_AGAIN = "export the network again; the copy may be cut off"


def read_onnx(file: Path, content: bytes) -> tuple[tuple[TensorSpec, ...], list[Path]]:
    """Return the inputs of an ONNX file, and the files beside it that hold weights.

    Raises:
        NetworkError: it cannot be parsed, breaks the rules of ONNX, or names weights outside its folder.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it ships without types

    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as exc:
        raise NetworkError(f"{file}: not a whole ONNX file", _EXPORT_AGAIN) from exc
    if not model.HasField("graph") or not model.opset_import or not model.graph.output:
        raise NetworkError(f"{file}: not a whole ONNX file: no graph, no output or no opset", _EXPORT_AGAIN)
    external = _external_files(file, model)
    _check(file, model)
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = tuple(_spec(file, value) for value in model.graph.input if value.name not in constants)
    return inputs, external


def _check(file: Path, model: Any) -> None:
    """Let ONNX's own checker judge the file, where it knows the file's opset."""
    import onnx

    opsets = {entry.domain: entry.version for entry in model.opset_import}
    if opsets.get("", 0) > onnx.defs.onnx_opset_version() or model.ir_version > onnx.IR_VERSION:
        return
    try:
        onnx.checker.check_model(str(file))
    except (onnx.checker.ValidationError, UnicodeDecodeError) as exc:  # the latter where it quotes a damaged name
        reason = "a name is no text" if isinstance(exc, UnicodeDecodeError) else str(exc).strip().splitlines()[0]
        raise NetworkError(f"{file}: not a valid ONNX network: {reason}", _EXPORT_AGAIN) from exc


def _spec(file: Path, value: Any) -> TensorSpec:
    import onnx

    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        raise NetworkError(
            f"{file}: input {value.name!r} is no tensor ({kind or 'no type'})", "export with tensors as inputs"
        )
    tensor = value.type.tensor_type
    shape = tuple(
        int(size.dim_value) if size.HasField("dim_value") and size.dim_value > 0 else None for size in tensor.shape.dim
    )
    try:
        dtype = str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    except KeyError as exc:
        raise NetworkError(f"{file}: input {value.name!r} has an unknown type", "export it again") from exc
    return TensorSpec(value.name, shape, dtype)


def _external_files(file: Path, model: Any) -> list[Path]:
    """Return the weight files beside the model, each within the model's folder.

    Raises:
        NetworkError: one lies elsewhere, or is missing or too short.
    """
    import onnx

    folder = file.resolve().parent
    needed: dict[Path, int] = {}
    for tensor in _tensors(model):
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        target = _within(file, folder, location)
        try:
            end = int(entries.get("offset", "0")) + int(entries.get("length", "0"))
        except ValueError as exc:
            raise NetworkError(f"{file}: weights {tensor.name!r} have no sound offset", _EXPORT_AGAIN) from exc
        needed[target] = max(end, needed.get(target, 0))
    for target, end in needed.items():
        if not target.is_file():
            raise NetworkError(f"{file}: its weights {target.name!r} are missing", "copy that file beside it")
        if target.stat().st_size < end:
            raise NetworkError(f"{file}: its weights {target.name!r} are cut off", "copy that file again")
    return sorted(needed)


def _within(file: Path, folder: Path, location: str) -> Path:
    parts = PureWindowsPath(location).parts  # splits at both kinds of slash
    absolute = PurePosixPath(location).is_absolute() or PureWindowsPath(location).is_absolute()
    target = (folder / location).resolve()
    if not location or absolute or ".." in parts or not target.is_relative_to(folder):
        raise NetworkError(
            f"{file}: wants weights from {location!r}, outside its own folder",
            "do not measure a file of unknown origin; a sound export keeps its weights beside it",
        )
    return target


def _tensors(model: Any) -> Iterator[Any]:
    """Yield every constant of the model, in its graphs, functions and attributes."""
    pending = [model.graph, *model.functions]
    while pending:
        part = pending.pop()
        if hasattr(part, "initializer"):
            yield from part.initializer
            for sparse in part.sparse_initializer:
                yield sparse.values
                yield sparse.indices
        for node in part.node:
            for attribute in node.attribute:
                yield attribute.t
                yield from attribute.tensors
                yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
                for sparse in attribute.sparse_tensors:
                    yield from (sparse.values, sparse.indices)
                if attribute.HasField("g"):
                    pending.append(attribute.g)
                pending.extend(attribute.graphs)
