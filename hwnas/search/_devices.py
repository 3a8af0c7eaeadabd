"""Measuring on the devices of a workspace, for a search."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hwnas.errors import ConfigError, NetworkError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hwnas.device import DeviceProfile
    from hwnas.locks import MachineTurns
    from hwnas.measurement import Measurement, MeasurementFailure
    from hwnas.network import NetworkFile
    from hwnas.space import Architecture, SearchSpace
    from hwnas.store import Store


class DeviceMeasurer:
    """Measures on registered devices, each by its own protocol; what the store knows already costs nothing.

    It waits for a device that another process uses, and takes turns with the trainings of this machine. A device that
    takes another format or batch than the search's network files have, gets files of its own.
    """

    def __init__(
        self,
        profiles: Sequence[DeviceProfile],
        store: Store,
        turns: MachineTurns | None = None,
        *,
        space: SearchSpace | None = None,
        folder: Path | None = None,
    ) -> None:
        """Take the devices' profiles, where traces are kept, and whose turns are taken.

        Args:
            profiles: of the devices.
            store: where traces are kept.
            turns: with whom this machine is shared.
            space: whose graphs the network files were written from; `None` where they come from elsewhere, and every
                device has to take them as they are.
            folder: where the files lie that a device needs for itself.
        """
        self._profiles = {profile.name: profile for profile in profiles}
        self._store = store
        self._turns = turns
        self._space = space
        self._folder = folder

    def measure(
        self,
        device: str,
        networks: Sequence[NetworkFile],
        architectures: Sequence[Architecture],
        *,
        again: bool = False,
        cancelled: threading.Event,
        on_progress: Callable[[object], None],
    ) -> list[Measurement | MeasurementFailure]:
        """Return the measurement of each network, or why it could not be measured; see `Measurer.measure`."""
        from hwnas.measurement import MeasurementFailure, MeasurementStore, measure

        profile = self._profiles[device]
        results: dict[int, Measurement | MeasurementFailure] = {}
        files: dict[int, NetworkFile] = {}
        for index, (network, architecture) in enumerate(zip(networks, architectures, strict=True)):
            try:
                files[index] = self._fitting(profile, network, architecture)
            except NetworkError as exc:
                results[index] = MeasurementFailure(network.name, network.hash, architecture.id, device, exc)
        measured = measure(
            list(files.values()),
            profile,
            store=MeasurementStore(self._store),
            again=again,
            architectures=[architectures[index] for index in files],
            wait_s=math.inf,
            turns=self._turns,
            on_progress=on_progress,
            cancelled=cancelled,
        )
        results |= dict(zip(files, measured, strict=True))
        return [results[index] for index in range(len(networks))]

    def _fitting(self, profile: DeviceProfile, network: NetworkFile, architecture: Architecture) -> NetworkFile:
        """Return the network in a format and for the batch that the device takes."""
        from hwnas.device import runtime_kind
        from hwnas.network import write_network

        formats = runtime_kind(profile.transport, profile.runtime).formats
        if self._space is None or self._folder is None or (network.format in formats and profile.batch == 1):
            return network
        self._folder.mkdir(parents=True, exist_ok=True)
        stem = architecture.id if profile.batch == 1 else f"{architecture.id}-batch{profile.batch}"
        graph = self._space.graph(architecture)
        return write_network(graph, self._folder / stem, formats, batch=profile.batch, name=network.name)


def check_format(profiles: Sequence[DeviceProfile], written: str) -> None:
    """Check that every device runs the network files that a command writes.

    Args:
        profiles: of the devices.
        written: the files' format, such as `onnx`.

    Raises:
        ConfigError: one does not; it is named, with what it runs.
    """
    from hwnas.device import runtime_kind

    for profile in profiles:
        formats = runtime_kind(profile.transport, profile.runtime).formats
        if written not in formats:
            raise ConfigError(
                f"device {profile.name!r} runs {' and '.join(sorted(formats))} ({profile.runtime}), and the command of "
                f"[network] writes {written}",
                "name devices that run what it writes, or let it write another format; the file of a space with a "
                "graph is written as each device needs it",
            )
