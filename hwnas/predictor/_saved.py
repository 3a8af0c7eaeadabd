"""Predictors in files: arrays in `predictor.npz` (no pickle in it), everything else in `card.json`.

A predictor's folder, all of it written before it bears its name:

    card.json        how and on what it was trained, its held-out scores, the sha256 of the arrays
    predictor.npz
    any/             the same for networks that are not of the space, where its networks are known
    devices/D.npz    what adapted it to the device D: features and latencies of the measured networks, and their record
    devices/D.json   the same record, for people
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

import hwnas
from hwnas._files import replaced
from hwnas.errors import PredictorError
from hwnas.predictor._basis import Basis
from hwnas.predictor._cells import CellFeaturiser
from hwnas.predictor._fbnet import FbnetFeaturiser
from hwnas.predictor._features import Featuriser, MatrixFeaturiser
from hwnas.predictor._graph_features import GraphFeaturiser
from hwnas.predictor._latency_predictor import LatencyPredictor
from hwnas.predictor._sources import Standard

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FORMAT = 2
#: What changed with each format. 1: the first. 2: the card has the sha256 of the arrays, and a part `trained`.
_STANDARD = ("centre", "unit", "curved", "product_centre", "product_unit", "factor")


def save_predictor(predictor: LatencyPredictor, folder: Path, trained: Mapping[str, Any] | None = None) -> None:
    """Write a trained predictor; the card is written last, so that a folder with a card is whole.

    Args:
        predictor: it must be trained.
        folder: where to; made if absent.
        trained: how it was trained, as JSON data for the card.
    """
    basis = predictor.basis_
    arrays = {
        **{f"standard.{name}": getattr(basis.standard, name) for name in _STANDARD},
        "basis.weights": basis.weights,
        "basis.offsets": basis.offsets,
        "basis.centre": basis.centre,
        "basis.unit": basis.unit,
        "basis.factors": np.array([basis.mean_factor, basis.difference_factor]),
        "scales": predictor.scales_,
        "log_prior": predictor.log_prior_,
        "log_learned": predictor.log_learned_,
        "population": predictor.population_,
        "range": predictor.range_,
        "votes": predictor.votes_,
    }
    content = packed(arrays)
    card = {
        "format": FORMAT,
        "kind": "transfer Gaussian process",
        "featuriser": predictor.featuriser.name,
        "settings": {k: v for k, v in predictor.get_params().items() if k != "featuriser"},
        "devices": list(predictor.devices_),
        "twins": [list(pair) for pair in predictor.twins_],
        "architectures": predictor.architectures_,
        "blocks": dict(zip(basis.standard.names, basis.standard.widths, strict=True)),
        "versions": {"hwnas": hwnas.__version__, "numpy": np.__version__},
        "sha256": hashlib.sha256(content).hexdigest(),
        **({"trained": dict(trained)} if trained is not None else {}),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "card.json").unlink(missing_ok=True)
    except OSError as exc:
        raise PredictorError(f"{folder}: the predictor cannot be written: {exc}", "check the folder and disk") from exc
    write_whole(folder / "predictor.npz", content)
    write_whole(folder / "card.json", json_bytes(card))


def load_predictor(folder: Path, featuriser: Featuriser | None) -> LatencyPredictor:
    """Return the predictor in a folder; see `LatencyPredictor.load`."""
    card, arrays = _read(folder)
    try:
        known = {f.name: f for f in (CellFeaturiser(), FbnetFeaturiser(), GraphFeaturiser(), MatrixFeaturiser())}
        chosen = known.get(card["featuriser"]) if featuriser is None else featuriser
        if chosen is None or chosen.name != card["featuriser"]:
            raise PredictorError(
                f"{folder}: trained with the featuriser {card['featuriser']!r}", "pass that featuriser to load()"
            )
        standard = Standard(
            tuple(card["blocks"]),
            tuple(card["blocks"].values()),
            *(arrays[f"standard.{name}"] for name in _STANDARD),
        )
        mean_factor, difference_factor = (float(value) for value in arrays["basis.factors"])
        weights, offsets, centre, unit = (arrays[f"basis.{name}"] for name in ("weights", "offsets", "centre", "unit"))
        predictor = LatencyPredictor(chosen, **card["settings"])
        predictor.basis_ = Basis(standard, weights, offsets, centre, unit, mean_factor, difference_factor)
        predictor.scales_, predictor.population_ = arrays["scales"], arrays["population"]
        predictor.log_prior_, predictor.log_learned_ = arrays["log_prior"], arrays["log_learned"]
        predictor.range_, predictor.votes_ = arrays["range"], arrays["votes"]
        predictor.devices_ = tuple(card["devices"])
        predictor.twins_ = tuple((first, second) for first, second in card["twins"])
        predictor.architectures_ = int(card["architectures"])
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise damaged(folder, exc, "train and save it again") from exc
    return predictor


def read_card(folder: Path) -> dict[str, Any]:
    """Return the card of a predictor.

    Raises:
        PredictorError: there is none, or it is damaged or of a newer version.
    """
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise PredictorError(f"{folder}: no predictor here", "a predictor is a card.json and a predictor.npz") from exc
    except (OSError, ValueError) as exc:
        raise damaged(folder, exc, "train and save it again") from exc
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        found = card.get("format") if isinstance(card, dict) else None
        raise PredictorError(
            f"{folder}: a predictor of format {found!r}",
            f"this version reads format {FORMAT}; train it again, or update hwnas if it is newer",
        )
    return card


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    card = read_card(folder)
    arrays, digest = read_arrays(folder / "predictor.npz", "train and save it again")
    if digest != card.get("sha256"):
        raise damaged(folder, "predictor.npz is not the file that its card names", "train and save it again")
    return card, arrays


def packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return arrays as the content of an npz file, without pickle."""
    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]  # numpy's annotation of keyword arrays
    return stream.getvalue()


def read_arrays(path: Path, hint: str) -> tuple[dict[str, np.ndarray], str]:
    """Return the arrays of an npz file by name, and the file's sha256.

    Raises:
        PredictorError: it is missing or damaged.
    """
    try:
        content = path.read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return dict(arrays), hashlib.sha256(content).hexdigest()
    except FileNotFoundError as exc:
        raise PredictorError(f"{path.parent}: no {path.name} here", hint) from exc
    except (OSError, ValueError, EOFError, KeyError, AttributeError, TypeError, zipfile.BadZipFile) as exc:
        raise damaged(path, exc, hint) from exc


def damaged(path: Path, reason: object, hint: str) -> PredictorError:
    """Return the error of a file that is not what was written."""
    text = str(reason) or type(reason).__name__
    return PredictorError(f"{path}: the predictor is damaged: {text}", hint)


def json_bytes(data: Any) -> bytes:
    """Return JSON for people as the content of a file."""
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode()


def write_whole(target: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        PredictorError: it cannot be written.
    """
    try:
        with replaced(target) as partial:
            partial.write_bytes(content)
    except OSError as exc:
        raise PredictorError(f"{target}: cannot be written: {exc}", "check the folder and disk") from exc
