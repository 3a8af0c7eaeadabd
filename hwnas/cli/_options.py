"""Options that several commands share, and what the global ones set."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas._files import absolute
from hwnas.errors import ConfigError, HwnasError, WorkspaceError
from hwnas.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hwnas.store import Store

#: The exit code of what Ctrl-C stopped.
STOPPED = 130
#: The exit code of what was done in part: what failed was said.
PART_DONE = 3

Json = Annotated[bool, typer.Option("--json", help="Write the result to stdout as JSON.")]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the global options say.

    Attributes:
        folder: the folder named by `--workspace`; `None` to look for one.
    """

    folder: Path | None = None

    def workspace(self) -> Workspace:
        """Return the workspace to work in.

        Raises:
            WorkspaceError: there is none.
        """
        if self.folder is None:
            return Workspace.find()
        named = absolute(self.folder.expanduser())
        found = Workspace.find(named)
        if found.root != named:
            raise WorkspaceError(f"{named} is no workspace", f"make one with: hwnas init {named}")
        return found

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Open the workspace's store for as long as the block runs.

        Raises:
            StoreError: it cannot be opened.
        """
        from hwnas.store import Store

        store = Store.open(self.workspace().store_url)
        try:
            yield store
        finally:
            store.close()


def study_folder(workspace: Workspace, name: str) -> Path:
    """Return a study's folder, made where it is not there.

    Raises:
        WorkspaceError: it cannot be made.
    """
    folder = workspace.searches / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise WorkspaceError(f"cannot make {folder}: {exc.strerror or exc}", "check the folder's permissions") from exc
    return folder


def check_output(path: Path) -> None:
    """Look whether a file can be written there, before the work is done of which it is the result.

    Raises:
        HwnasError: its folder is not there, or it is a folder itself.
    """
    if not path.parent.is_dir():
        raise HwnasError(f"cannot write {path}: there is no folder {path.parent}", "make it first, or name another")
    if path.is_dir():
        raise HwnasError(f"cannot write {path}: it is a folder", "name a file")


def check_picture(path: Path) -> None:
    """Look whether a picture can be written there; see `check_output`.

    Raises:
        HwnasError: it cannot, or the name is not that of a PNG file.
    """
    if path.suffix != ".png":
        raise ConfigError(f"{path}: the picture is a PNG", "give a name that ends in .png")
    check_output(path)


def settings(context: typer.Context) -> Settings:
    """Return what the global options say."""
    found = context.obj
    return found if isinstance(found, Settings) else Settings()
