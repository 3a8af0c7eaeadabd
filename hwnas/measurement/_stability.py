"""How well a device repeats itself: a few networks in several fresh campaigns, and how far their figures vary."""

from __future__ import annotations

import contextlib
import itertools
import math
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwnas._deadline import Deadline
from hwnas.errors import HwnasError, MeasurementError
from hwnas.locks import DeviceLock
from hwnas.measurement._campaign import Campaign, CampaignEndedError, Handlers
from hwnas.measurement._connection import connected, turns_on
from hwnas.measurement._events import BlockMeasured, CampaignStarted, NetworkMeasured, Waiting, ignore
from hwnas.measurement._protocol import MeasurementProtocol
from hwnas.measurement._reference import reference_for
from hwnas.measurement._subject import Subject
from hwnas.measurement._summary import summarize
from hwnas.network import GraphBuilder, reference_graph, write_network

if TYPE_CHECKING:
    import threading

    from numpy.typing import NDArray

    from hwnas.device import Device, DeviceFacts, DeviceProfile
    from hwnas.locks import MachineTurns
    from hwnas.measurement._events import Listener
    from hwnas.measurement._measurement import Measurement, Quantile
    from hwnas.measurement._trace import LatencyTrace
    from hwnas.network import Graph, NetworkFile

_LEAST_CAMPAIGNS = 3
_ADVICE_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class StabilityReport:
    """What several campaigns on one device gave.

    Attributes:
        profile: the device's.
        facts: what it is.
        protocol: how was measured.
        campaigns: the measurements of each campaign, the networks in the same order in each; none is stored.
        advice: what makes its figures vary and what to change, as sentences, the worst first.
    """

    profile: DeviceProfile
    facts: DeviceFacts
    protocol: MeasurementProtocol
    campaigns: tuple[tuple[Measurement, ...], ...]
    advice: tuple[str, ...]

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks' names."""
        return tuple(measurement.network_name for measurement in self.campaigns[0])

    def values_ms(self, metric: Quantile) -> NDArray[np.float64]:
        """Return a quantile, `float64[campaigns, networks]`."""
        return np.array([[measurement.figure(metric)[0] for measurement in row] for row in self.campaigns])

    def variation(self, metric: Quantile) -> NDArray[np.float64]:
        """Return each network's coefficient of variation from campaign to campaign, `float64[networks]`."""
        values = self.values_ms(metric)
        return np.asarray(values.std(axis=0, ddof=1) / values.mean(axis=0))

    def ratio_variation(self, metric: Quantile) -> float:
        """Return the coefficient of variation of the ratio of two networks, the median over all pairs."""
        values = self.values_ms(metric)
        ratios = [values[:, i] / values[:, j] for i, j in itertools.combinations(range(values.shape[1]), 2)]
        return float(np.median([ratio.std(ddof=1) / ratio.mean() for ratio in ratios]))

    def order_kept(self, metric: Quantile) -> NDArray[np.float64]:
        """Return for each two networks in which share of all pairs of campaigns they come in the same order.

        `float64[networks, networks]`, symmetric, with ones on the diagonal.
        """
        values = self.values_ms(metric)
        faster = values[:, :, None] < values[:, None, :]
        agreeing = [one == other for one, other in itertools.combinations(faster, 2)]
        return np.asarray(np.mean(agreeing, axis=0))

    def rank_stability(self, metric: Quantile) -> float:
        """Return the share of pairs of networks, over all pairs of campaigns, that come in the same order."""
        kept = self.order_kept(metric)
        return float(kept[np.triu_indices_from(kept, k=1)].mean())

    def explained(self, metric: Quantile) -> float:
        """Return how far campaigns differ, as a multiple of what their intervals let expect; 1 where they fit.

        The root mean square, over networks, of the deviation of the logarithm divided by its standard error.
        """
        logs = np.log(self.values_ms(metric))
        errors = np.array([[getattr(item, metric[:3]).sampling_sigma_log for item in row] for row in self.campaigns])
        deviations = (logs - logs.mean(axis=0)) / errors
        return math.sqrt(float((deviations**2).sum()) / (logs.size - logs.shape[1]))


def check_stability(
    device: Device | DeviceProfile,
    *,
    campaigns: int = 8,
    protocol: MeasurementProtocol | None = None,
    wait_s: float = 0.0,
    turns: MachineTurns | None = None,
    on_progress: Listener = ignore,
    cancelled: threading.Event | None = None,
) -> StabilityReport:
    """Return how far the figures of a few networks vary from campaign to campaign, and why. Nothing is stored.

    Each campaign has fresh processes, and another order of the blocks.

    Args:
        device: a profile, or a device that is connected already.
        campaigns: how many, at least 3.
        protocol: the settings; by default those of the device.
        wait_s: how long to wait for a device that another process holds.
        turns: the machine's turns; by default this user's.
        on_progress: told of each campaign, block and network, and whom it waits for.
        cancelled: ends it when it is set.

    Raises:
        DeviceBusyError: another process holds the device: names it.
        DeviceError: it cannot be reached, or its runtime cannot be used.
        MeasurementError: there are too few campaigns, or a network does not run.
        StoppedError: `cancelled` was set.
    """
    if campaigns < _LEAST_CAMPAIGNS:
        raise MeasurementError(f"{campaigns} campaigns do not tell how figures vary", f"at least {_LEAST_CAMPAIGNS}")
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(connected(device, Deadline.after(math.inf)))

        def waiting(who: str) -> None:
            on_progress(Waiting(opened.profile.name, who))

        stack.enter_context(DeviceLock(opened.lock_key).hold(wait_s=wait_s, on_wait=waiting, cancelled=cancelled))
        chosen = protocol or MeasurementProtocol.for_device(opened.profile)
        reference = stack.enter_context(reference_for(opened, chosen))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="hwnas-"))
        formats, batch = opened.runtime.formats, opened.profile.batch
        files = [write_network(graph, Path(folder) / graph.name, formats, batch=batch) for graph in stability_graphs()]
        seen = opened.watch()
        rows = []
        for number in range(campaigns):
            on_progress(CampaignStarted(opened.profile.name, len(files), 0))
            found = _Gathered(opened.profile.name, chosen, on_progress)
            campaign = Campaign(
                opened,
                replace(chosen, seed=chosen.seed + number),
                reference,
                found.handlers,
                turn=turns_on(opened, turns, on_wait=waiting, cancelled=cancelled),
                deadline=Deadline.after(math.inf),
                cancelled=cancelled,
            )
            rows.append(found.run(campaign, files))
        advice = seen(Deadline.after(_ADVICE_TIMEOUT_S))
        return StabilityReport(opened.profile, opened.facts, chosen, tuple(rows), advice)


class _Gathered:
    """The measurements of one campaign, by the network's hash."""

    def __init__(self, device: str, protocol: MeasurementProtocol, tell: Listener) -> None:
        self._device = device
        self._protocol = protocol
        self._tell = tell
        self._found: dict[str, Measurement] = {}

    @property
    def handlers(self) -> Handlers:
        return Handlers(self._on_block, self._on_trace, self._on_error)

    def run(self, campaign: Campaign, files: list[NetworkFile]) -> tuple[Measurement, ...]:
        try:
            campaign.run([Subject(file, self._protocol) for file in files])
        except CampaignEndedError as exc:
            raise exc.cause from exc
        return tuple(self._found[file.hash] for file in files)

    def _on_block(self, subject: Subject) -> None:
        self._tell(BlockMeasured(self._device, subject.network.name, subject.samples, self._protocol.samples))

    def _on_trace(self, subject: Subject, trace: LatencyTrace) -> None:
        measurement = self._found[subject.network.hash] = summarize(trace)
        self._tell(NetworkMeasured(measurement, known=False))

    def _on_error(self, _subject: Subject, error: HwnasError) -> None:
        raise CampaignEndedError(error)


def stability_graphs() -> list[Graph]:
    """Return the networks of the report: the reference network, and others like it in time, so that order matters."""
    graphs = [reference_graph()]
    for width in (28, 32, 36):
        build = GraphBuilder(f"convolutions-{width}")
        x = build.input((3, 16, 16))
        for _ in range(4):
            x = build.activation(build.conv(x, width, kernel=3), "relu")
        graphs.append(build.graph(build.linear(build.flatten(build.global_avg_pool(x)), 10)))
    build = GraphBuilder("layers-512")
    x = build.input((512,))
    for _ in range(4):
        x = build.activation(build.linear(x, 512), "relu")
    graphs.append(build.graph(build.linear(x, 10)))
    return graphs
