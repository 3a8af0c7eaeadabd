"""A workspace: the folder that holds what a user accumulates.

devices/ (one TOML profile a target), measurements/ (latency tables, and beside them the store of raw traces),
predictors/ (trained latency predictors) and searches/ (reports and logs, one folder a study).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hwnas._files import absolute
from hwnas.errors import WorkspaceError

_FOLDERS = {
    "devices": "One TOML profile for each registered target: hardware, runtime and settings.\n"
    "Written by `hwnas device add`.",
    "measurements": "Latency tables to keep and to share, each with a card that says how and on what it was measured.\n"
    "The raw traces lie in the workspace's store, `hwnas.sqlite`.",
    "predictors": "Trained latency predictors, one folder each. Written by `hwnas predictor train`.",
    "searches": "What searches leave behind: one folder a study, with its front,\n"
    "its plots and the logs of its trainings.",
}
_REQUIRED = ("devices", "measurements", "predictors")


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder with `devices/`, `measurements/` and `predictors/`.

    Attributes:
        root: the folder, absolute.
    """

    root: Path

    @classmethod
    def create(cls, root: Path) -> Workspace:
        """Return a workspace at `root`, made where it is missing; what is there already stays as it is.

        Raises:
            WorkspaceError: the folder cannot be written.
        """
        root = absolute(root)
        try:
            for name, text in _FOLDERS.items():
                folder = root / name
                folder.mkdir(parents=True, exist_ok=True)
                readme = folder / "README.md"
                if not readme.exists():
                    readme.write_text(f"# {name}\n\n{text}\n", encoding="utf-8")
            ignore = root / ".gitignore"
            if not ignore.exists():
                ignore.write_text("/hwnas.sqlite*\n/searches/*/\n", encoding="utf-8")
        except OSError as exc:
            raise WorkspaceError(
                f"cannot make a workspace in {root}: {exc.strerror or exc}", "choose a folder that you may write to"
            ) from exc
        return cls(root)

    @classmethod
    def find(cls, start: Path | None = None) -> Workspace:
        """Return the workspace named by `HWNAS_WORKSPACE`, else the nearest one at or above `start`.

        Args:
            start: where to begin; the current folder by default. When given, `HWNAS_WORKSPACE` is not read.

        Raises:
            WorkspaceError: there is none, or the current folder is gone.
        """
        named = os.environ.get("HWNAS_WORKSPACE") if start is None else None
        if named:
            root = absolute(Path(named).expanduser())
            if not _is_workspace(root):
                raise WorkspaceError(
                    f"HWNAS_WORKSPACE names {root}, which is no workspace", f"make one with `hwnas init {root}`"
                )
            return cls(root)
        here = absolute(start or Path())
        for folder in (here, *here.parents):
            if _is_workspace(folder):
                return cls(folder)
        raise WorkspaceError(
            f"no workspace at or above {here}", "make one with `hwnas init`, or name one with --workspace"
        )

    @property
    def devices(self) -> Path:
        """The folder of device profiles."""
        return self.root / "devices"

    @property
    def measurements(self) -> Path:
        """The folder of latency tables."""
        return self.root / "measurements"

    @property
    def predictors(self) -> Path:
        """The folder of trained predictors."""
        return self.root / "predictors"

    @property
    def searches(self) -> Path:
        """The folder of what searches leave behind; what is the first to write there makes it."""
        return self.root / "searches"

    @property
    def store_url(self) -> str:
        """The SQLAlchemy URL of the store: `HWNAS_STORE` where it is set, else SQLite in the workspace."""
        return os.environ.get("HWNAS_STORE") or f"sqlite:///{self.root / 'hwnas.sqlite'}"


def _is_workspace(folder: Path) -> bool:
    return all((folder / name).is_dir() for name in _REQUIRED)
