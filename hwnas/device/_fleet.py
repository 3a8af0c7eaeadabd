"""Several devices at once: one worker a device; one that fails stops no other."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from hwnas._thread_turns import ThreadTurns
from hwnas.device._kinds import transport_kind
from hwnas.errors import ConfigError, HwnasError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hwnas.device._profile import DeviceProfile

    T = TypeVar("T")

_LOOK_S = 0.5  # how often the caller's thread wakes, so that signals reach it


def on_each(profiles: Sequence[DeviceProfile], work: Callable[[DeviceProfile], T]) -> dict[str, T | HwnasError]:
    """Return what `work` returned for each profile by its name, or the error that it raised there.

    Devices work side by side. Profiles of one device, which cannot be used at the same time, come one after the other:
    those that name it alike at once, and others where they want its `DeviceLock`, once the device has said what it is.
    A `KeyboardInterrupt` ends the call at once; what the workers do then ends with the process.

    Args:
        profiles: where to work.
        work: called with each of them, in several threads.

    Raises:
        ConfigError: two profiles have one name.
    """
    names = [profile.name for profile in profiles]
    if len(set(names)) != len(names):
        raise ConfigError(f"a device is named twice: {', '.join(names)}", "name each once")
    groups: dict[str, list[DeviceProfile]] = {}
    for profile in profiles:
        groups.setdefault(transport_kind(profile.transport).lock_key(profile), []).append(profile)
    found: dict[str, T | HwnasError] = {}
    faults: list[BaseException] = []
    turns = ThreadTurns()

    def one_device(group: list[DeviceProfile]) -> None:
        for profile in group:
            try:
                with turns.joined():
                    found[profile.name] = work(profile)
            except HwnasError as exc:
                found[profile.name] = exc
            except BaseException as exc:  # noqa: BLE001  # raised again in the caller's thread
                faults.append(exc)

    workers = [
        threading.Thread(target=one_device, args=(group,), name=f"device {group[0].name}", daemon=True)
        for group in groups.values()
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        while worker.is_alive():
            worker.join(_LOOK_S)
    if faults:
        raise faults[0]
    return {name: found[name] for name in names}
