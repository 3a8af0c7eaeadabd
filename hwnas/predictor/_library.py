"""The predictors of a workspace: trained ones by name, and what each knows of the devices it was adapted to."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING, Any

from hwnas._toml import closest
from hwnas.errors import PredictorError
from hwnas.predictor._saved import read_card, save_predictor
from hwnas.predictor._stored import StoredPredictor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hwnas.predictor._device_predictor import DevicePredictor
    from hwnas.predictor._features import FeatureBlocks
    from hwnas.predictor._latency_predictor import LatencyPredictor
    from hwnas.space import SearchSpace
    from hwnas.workspace import Workspace

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def load_device_predictor(
    workspace: Workspace, name: str, device: str, *, space: SearchSpace | None = None
) -> DevicePredictor:
    """Return the predictor `name` of a workspace as it was adapted to a device.

    Args:
        workspace: where it lies.
        name: of the predictor, as `hwnas predictor list` has it.
        device: that it was adapted to, by `hwnas predictor adapt` or `save_device_predictor`.
        space: that it is to predict; needed where the predictor's space is a Python object of the user's, since
            loading runs no code. Its name and version are checked.

    Raises:
        PredictorError: there is no such predictor, it was not adapted to that device, it is of another space, or a
            file is damaged.
    """
    return PredictorLibrary(workspace).get(name).device(device, space=space)


def save_device_predictor(
    workspace: Workspace,
    name: str,
    adapted: DevicePredictor,
    *,
    graph: FeatureBlocks | None = None,
    record: Mapping[str, Any] | None = None,
) -> Path:
    """Keep what adapted a predictor to a device, in place of what was kept before; returns the file.

    Args:
        workspace: where the predictor lies.
        name: of the predictor.
        adapted: has the device's name, and the measurements.
        graph: the same networks' features by `GraphFeaturiser`, for predicting networks that are not of the space.
        record: what people want to know of the measurements, as JSON data.

    Raises:
        PredictorError: there is no such predictor, or the file cannot be written.
    """
    return PredictorLibrary(workspace).get(name).keep(adapted, graph=graph, record=record or {})


class PredictorLibrary:
    """Finds and adds the predictors of a workspace. A folder appears whole, or not at all."""

    def __init__(self, workspace: Workspace) -> None:
        """Look in the workspace's `predictors/`."""
        self._folder = workspace.predictors

    def names(self) -> list[str]:
        """Return the names of all predictors, sorted."""
        cards = self._folder.glob("*/card.json")
        return sorted(path.parent.name for path in cards if not path.parent.name.startswith("."))

    def get(self, name: str) -> StoredPredictor:
        """Return the predictor of that name; its arrays are not read yet.

        Raises:
            PredictorError: there is none (the nearest name is said), or its card is damaged.
        """
        check_predictor_name(name)
        known = self.names()
        if name not in known:
            raise PredictorError(
                f"no predictor {name!r}{closest(name, known)}",
                "see hwnas predictor list; train one with: hwnas predictor train NAME --space SPACE",
            )
        return StoredPredictor(name, self._folder / name)

    def check_new(self, name: str, *, replace: bool) -> None:
        """Check that a predictor may be added under a name.

        Raises:
            PredictorError: it is no name, or is taken and `replace` is not said.
        """
        check_predictor_name(name)
        if name in self.names() and not replace:
            raise PredictorError(f"there is a predictor {name!r} already", "choose another name, or say --replace")

    def add(
        self,
        name: str,
        main: LatencyPredictor,
        graph: LatencyPredictor | None,
        trained: Mapping[str, Any],
        *,
        replace: bool = False,
    ) -> StoredPredictor:
        """Write a predictor; devices that one of the same name and features was adapted to are kept.

        Args:
            name: letters, digits, `-`, `_` and `.`.
            main: of the space's architectures.
            graph: of any network, where the space makes networks.
            trained: see `StoredPredictor.trained`.
            replace: whether one of that name may be replaced.
        """
        self.check_new(name, replace=replace)
        target, new = self._folder / name, self._folder / f".{name}.{os.getpid()}.new"
        old = self._folder / f".{name}.{os.getpid()}.old"
        try:
            shutil.rmtree(new, ignore_errors=True)
            save_predictor(main, new, trained)
            if graph is not None:
                save_predictor(graph, new / "any")
            if target.exists():
                if (target / "devices").is_dir() and _same_features(target, new):
                    shutil.copytree(target / "devices", new / "devices")
                target.replace(old)
            new.replace(target)
        except OSError as exc:
            raise PredictorError(f"{target}: cannot be written: {exc}", "check the folder and disk") from exc
        finally:
            shutil.rmtree(new, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
        return StoredPredictor(name, target)


def check_predictor_name(name: str) -> None:
    """Check that `name` can be the name of a predictor, and of its folder.

    Raises:
        PredictorError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise PredictorError(
            f"predictor name {name!r}: not a name",
            "use up to 100 letters, digits, '-', '_' and '.', beginning with a letter or a digit",
        )


def _same_features(first: Path, second: Path) -> bool:
    try:
        old, new = read_card(first), read_card(second)
    except PredictorError:
        return False
    return all(old.get(key) == new.get(key) for key in ("featuriser", "blocks"))
