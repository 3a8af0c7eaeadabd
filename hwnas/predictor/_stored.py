"""A predictor in its folder, and what it knows of the devices that it was adapted to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hwnas._toml import closest
from hwnas.errors import PredictorError
from hwnas.predictor._anywhere import AnyNetworkPredictor
from hwnas.predictor._fbnet import FbnetFeaturiser
from hwnas.predictor._features import FeatureBlocks, Featuriser
from hwnas.predictor._latency_predictor import LatencyPredictor
from hwnas.predictor._saved import damaged, json_bytes, packed, read_arrays, read_card, write_whole
from hwnas.predictor._space_features import SpaceFeaturiser, featuriser_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hwnas.predictor._device_predictor import DevicePredictor
    from hwnas.space import SearchSpace

_SUPPORT_FORMAT = 1
_ADAPT_AGAIN = "adapt it again: hwnas predictor adapt NAME --device DEVICE"


@dataclass(frozen=True)
class StoredPredictor:
    """A predictor in its folder. What it needs is read when it is asked for.

    Attributes:
        name: in the workspace.
        folder: where it lies.
    """

    name: str
    folder: Path

    @cached_property
    def card(self) -> dict[str, Any]:
        """The whole card."""
        return read_card(self.folder)

    @property
    def trained(self) -> dict[str, Any]:
        """How it was trained: `space` (name, version, source, definition), `metric`, counts, held-out scores."""
        found = self.card.get("trained")
        if not isinstance(found, dict) or not isinstance(found.get("space"), dict):
            raise damaged(self.folder, "its card does not say how it was trained", "train it again")
        return found

    @property
    def told(self) -> dict[str, Any]:
        """The same, with all that people are told of it.

        Raises:
            PredictorError: a part is not there.
        """
        found = self.trained
        for where, part, names in (
            ("the card", self.card, ("devices", "architectures", "twins", "versions")),
            ("its part trained", found, ("metric", "networks", "sources", "at", "notes", "held_out")),
            ("its part trained.space", found["space"], ("name", "version", "source")),
            ("its part trained.held_out", found.get("held_out"), ("devices", "mean", "measurements")),
        ):
            lacks = names if not isinstance(part, dict) else [name for name in names if name not in part]
            if lacks:
                raise damaged(self.folder, f"{where} lacks {', '.join(lacks)}", "train it again")
        return found

    def featuriser(self, space: SearchSpace | None = None) -> Featuriser:
        """Return what turns architectures into features for this predictor.

        Args:
            space: see `load_device_predictor`.

        Raises:
            PredictorError: the space is another one, or has to be given.
        """
        told = self.trained["space"]
        if space is not None and (space.name, space.version) != (told.get("name"), told.get("version")):
            raise PredictorError(
                f"predictor {self.name!r} is of the space {told.get('name')!r}, version {told.get('version')!r}, "
                f"not of {space.name!r}, version {space.version!r}",
                "name that space, or train a predictor for this one",
            )
        if told.get("definition") is None:
            return FbnetFeaturiser()
        chosen = space if space is not None else self.space()
        if isinstance(featuriser_of(chosen), SpaceFeaturiser) and told.get("graph") and not chosen.has_graph:
            raise PredictorError(
                f"predictor {self.name!r} was trained on the networks of its space, and {chosen.name!r} as given "
                "makes none",
                f"give the space with its graph: --space {told.get('source')}",
            )
        return featuriser_of(chosen)

    def space(self) -> SearchSpace:
        """Return its space, where that needs no code of the user's.

        Raises:
            PredictorError: it does; the message says which space to give.
        """
        from hwnas.space import SearchSpace, builtin_spaces, get_space

        told = self.trained["space"]
        if told.get("definition") is None:
            raise PredictorError(
                f"predictor {self.name!r} is of the table space {told.get('name')!r}, which makes no networks",
                "adapt and evaluate it with a table: --table FILE",
            )
        if told.get("source") in builtin_spaces():
            return get_space(str(told["source"]))
        if told.get("graph"):
            raise PredictorError(
                f"predictor {self.name!r} is of the space {told.get('name')!r}, whose networks your own code makes",
                f"name it: --space {told.get('source')}",
            )
        return SearchSpace.from_json(told["definition"])

    def main(self, space: SearchSpace | None = None) -> LatencyPredictor:
        """Return the predictor of the space's architectures."""
        return LatencyPredictor.load(self.folder, self.featuriser(space))

    def graph(self) -> LatencyPredictor:
        """Return the predictor of any network.

        Raises:
            PredictorError: the space makes no networks, so there is none.
        """
        if not (self.folder / "any" / "card.json").exists():
            raise PredictorError(
                f"predictor {self.name!r} knows architectures of its space alone, no networks",
                "train it on a space that makes networks",
            )
        return LatencyPredictor.load(self.folder / "any")

    def devices(self) -> list[str]:
        """Return the devices that it was adapted to, sorted."""
        return sorted(path.stem for path in (self.folder / "devices").glob("*.npz") if not path.name.startswith("."))

    def record(self, device: str) -> dict[str, Any]:
        """Return what was kept of an adaptation for people."""
        return self._support(device)[1]

    def device(self, device: str, *, space: SearchSpace | None = None) -> DevicePredictor:
        """Return the predictor adapted to a device; see `load_device_predictor`."""
        blocks, _, y, sigma = self._of(device, "space")
        return self.main(space).adapt(blocks, y, sigma_log=sigma, device=device)

    def any_network(self, device: str) -> AnyNetworkPredictor:
        """Return the predictor of any network, adapted to a device.

        Raises:
            PredictorError: the space makes no networks; or what was measured on the device was kept without them.
        """
        predictor = self.graph()
        blocks, _, y, sigma = self._of(device, "graph")
        return AnyNetworkPredictor(predictor.adapt(blocks, y, sigma_log=sigma, device=device))

    def keep(self, adapted: DevicePredictor, *, graph: FeatureBlocks | None = None, record: Mapping[str, Any]) -> Path:
        """Write what adapted it to a device; see `save_device_predictor`."""
        from hwnas.device import check_device_name

        check_device_name(adapted.device)
        count = len(adapted.support_ms)
        full = {
            "format": _SUPPORT_FORMAT,
            "device": adapted.device,
            "measurements": count,
            "expected_error": adapted.expected_error,
            "outliers": adapted.outliers(),
            "order": {"space": list(adapted.support.blocks), "graph": list(graph.blocks) if graph else []},
            "curved": {"space": list(adapted.support.curved), "graph": list(graph.curved) if graph else []},
            **record,
        }
        arrays = {"latencies_ms": adapted.support_ms, "record": np.frombuffer(json_bytes(full), np.uint8)}
        if adapted.sigma_log is not None:
            arrays["sigma_log"] = adapted.sigma_log
        for part, blocks in (("space", adapted.support), ("graph", graph)):
            if blocks is not None:
                arrays[f"{part}.live"] = blocks.live
                arrays |= {f"{part}.{name}": block for name, block in blocks.blocks.items()}
        target = self.folder / "devices" / f"{adapted.device}.npz"
        try:
            target.parent.mkdir(exist_ok=True)
        except OSError as exc:
            raise PredictorError(f"{target}: cannot be written: {exc}", "check the folder and disk") from exc
        write_whole(target, packed(arrays))
        write_whole(target.with_suffix(".json"), json_bytes(full))
        return target

    def _support(self, device: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        known = self.devices()
        if device not in known:
            raise PredictorError(
                f"predictor {self.name!r} is not adapted to device {device!r}{closest(device, known)}",
                f"adapt it: hwnas predictor adapt {self.name} --device {device}",
            )
        path = self.folder / "devices" / f"{device}.npz"
        arrays, _ = read_arrays(path, _ADAPT_AGAIN)
        try:
            record = json.loads(arrays["record"].tobytes())
            if record.get("format") != _SUPPORT_FORMAT:
                raise PredictorError(f"{path}: of format {record.get('format')!r}", "update hwnas, or adapt it again")
        except (KeyError, ValueError, AttributeError) as exc:
            raise damaged(path, exc, _ADAPT_AGAIN) from exc
        return arrays, record

    def _of(self, device: str, part: str) -> tuple[FeatureBlocks, dict[str, Any], np.ndarray, np.ndarray | None]:
        arrays, record = self._support(device)
        try:
            names, curved = record["order"][part], tuple(record["curved"][part])
            if not names:
                raise PredictorError(
                    f"predictor {self.name!r}: of the networks measured on {device!r} only the architectures are known",
                    _ADAPT_AGAIN,
                )
            blocks = FeatureBlocks({name: arrays[f"{part}.{name}"] for name in names}, arrays[f"{part}.live"], curved)
            return blocks, record, arrays["latencies_ms"], arrays.get("sigma_log")
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise damaged(self.folder / "devices" / f"{device}.npz", exc, _ADAPT_AGAIN) from exc
