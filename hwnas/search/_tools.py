"""What a search works with: something that trains, something that measures, something that writes network files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hwnas.errors import ConfigError
from hwnas.search._networks import check_networks

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hwnas.evaluation import Evaluator
    from hwnas.locks import MachineTurns
    from hwnas.measurement import Measurement, MeasurementFailure
    from hwnas.network import NetworkFile
    from hwnas.search._foresight import Foresight
    from hwnas.search._networks import NetworkSource
    from hwnas.search._objective import Objective
    from hwnas.space import Architecture


class Measurer(Protocol):
    """Measures network files on devices."""

    def measure(
        self,
        device: str,
        networks: Sequence[NetworkFile],
        architectures: Sequence[Architecture],
        *,
        again: bool = False,
        cancelled: threading.Event,
        on_progress: Callable[[object], None],
    ) -> Sequence[Measurement | MeasurementFailure]:
        """Return the measurement of each network, or why it could not be measured.

        Args:
            device: the name of a device.
            networks: what is measured, interleaved where the device can.
            architectures: what each network was made from.
            again: measure also what was measured before.
            cancelled: once it is set, give up as soon as possible; what was measured is kept.
            on_progress: gets whatever the measurement says of itself.

        Raises:
            DeviceError: the device cannot be used; that is no network's fault.
            StoppedError: `cancelled` was set.
        """
        ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What a search works with; `None` for what its objectives do not need.

    Attributes:
        evaluator: trains.
        measurer: measures.
        networks: writes network files.
        folder: where trials leave their logs.
        workers: trainings at a time.
        turns: the turns that trainings and measurements of this machine take.
        foresight: predicts what devices give, where not everything is measured.
    """

    evaluator: Evaluator | None
    measurer: Measurer | None
    networks: NetworkSource | None
    folder: Path
    workers: int
    turns: MachineTurns | None
    foresight: Foresight | None = None

    def check(self, objectives: Sequence[Objective]) -> None:
        """Check that every objective's values can be had.

        Raises:
            ConfigError: one's cannot; it is named.
        """
        for objective in objectives:
            if objective.source == "evaluation" and self.evaluator is None:
                raise ConfigError(
                    f"objective {objective.name!r} comes from a training, and there is no evaluator", "give one"
                )
            if objective.source == "device" and self.measurer is None:
                raise ConfigError(f"objective {objective.name!r} is measured, and there is no measurer", "give one")
        check_networks(objectives, self.networks)
