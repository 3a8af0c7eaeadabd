"""The devices of a workspace: one TOML file each in `devices/`."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas._toml import closest
from hwnas.device._device import check_profile
from hwnas.device._profile import check_device_name
from hwnas.errors import ConfigError, DeviceError, DeviceNotFoundError

if TYPE_CHECKING:
    from hwnas.device._profile import DeviceProfile
    from hwnas.workspace import Workspace


class DeviceRegistry:
    """Adds, finds and removes device profiles.

    Threads and processes may share a folder: a file is written whole or not at all, and two that add the same name at
    the same time do not both succeed.
    """

    def __init__(self, workspace: Workspace) -> None:
        """Look in the workspace's `devices/`."""
        self._folder = workspace.devices

    def names(self) -> list[str]:
        """Return the names of all devices, sorted; their files are not read."""
        found = (path for path in self._folder.glob("*.toml") if not path.name.startswith("."))
        return sorted(path.stem for path in found if path.is_file())

    def list(self) -> list[DeviceProfile]:
        """Return every profile, by name.

        Raises:
            ConfigError: a file is not valid: names it and the field.
        """
        return [self.get(name) for name in self.names()]

    def get(self, name: str) -> DeviceProfile:
        """Return the profile of that name.

        Raises:
            DeviceNotFoundError: there is none; the nearest name is said.
            ConfigError: its file is not valid: names the field.
        """
        from hwnas.device._profile_file import read_profile

        path = self._known(name)
        profile = read_profile(path)
        check_profile(profile)
        return profile

    def add(self, profile: DeviceProfile, *, replace: bool = False) -> Path:
        """Write a profile to its file; returns the path.

        Args:
            profile: what to add.
            replace: whether a profile of that name may be overwritten.

        Raises:
            DeviceError: there is one of that name, or the file cannot be written.
            ConfigError: the transport or the runtime does not know one of the options; it is named.
        """
        from hwnas.device._profile_file import profile_text

        check_profile(profile)
        path = self._path(profile.name)
        try:
            handle, temporary = tempfile.mkstemp(prefix=".adding-", dir=self._folder)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(profile_text(profile))
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).chmod(0o644)
                if replace:
                    Path(temporary).replace(path)
                else:
                    path.hardlink_to(temporary)  # unlike a rename, it refuses where there is one already
            finally:
                Path(temporary).unlink(missing_ok=True)
        except FileExistsError as exc:
            raise DeviceError(
                f"there is a device {profile.name!r} already ({path})", "choose another name, or replace it"
            ) from exc
        except OSError as exc:
            raise DeviceError(
                f"{path} cannot be written: {exc.strerror or exc}", "check the folder's permissions and the free space"
            ) from exc
        return path

    def remove(self, name: str) -> None:
        """Remove the profile of that name; what was measured on it stays in the store.

        Raises:
            DeviceNotFoundError: there is none; the nearest name is said.
            DeviceError: its file cannot be removed.
        """
        path = self._known(name)
        try:
            path.unlink()
        except OSError as exc:
            raise DeviceError(
                f"{path} cannot be removed: {exc.strerror or exc}", "check the folder's permissions"
            ) from exc

    def _path(self, name: str) -> Path:
        check_device_name(name)
        return self._folder / f"{name}.toml"

    def _known(self, name: str) -> Path:
        try:
            path = self._path(name)
        except ConfigError as exc:
            raise DeviceNotFoundError(f"no device {name!r}: not even a name", exc.hint) from exc
        if not path.is_file():
            raise DeviceNotFoundError(
                f"no device {name!r}{closest(name, self.names())}",
                f"register it with `hwnas device add {name}`, or see `hwnas device list`",
            )
        return path
