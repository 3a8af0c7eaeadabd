"""What `hwnas device check --stability` says: how far figures vary from campaign to campaign, and what to change."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from hwnas.cli import _output
from hwnas.cli._options import check_picture
from hwnas.cli._stop import stopping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hwnas.device import DeviceProfile
    from hwnas.measurement import MeasurementEvent, StabilityReport

_METRICS: tuple[Literal["p50_ms"], Literal["p99_ms"]] = ("p50_ms", "p99_ms")
#: Two networks whose order holds in fewer pairs of campaigns than this cannot be told apart here.
_SAME_ORDER = 0.95
#: Beyond this the campaigns differ by more than their intervals let expect.
_UNEXPLAINED = 1.5


def show_stability(profile: DeviceProfile, *, campaigns: int, plot: Path | None, wait_s: float, json: bool) -> None:
    """Measure, then show the report and draw the picture.

    Raises:
        HwnasError: see `check_stability` and `write_stability_png`.
    """
    from hwnas.measurement import check_stability

    if plot is not None:
        check_picture(plot)
    with _progress(campaigns) as listen, stopping() as stop:
        report = check_stability(profile, campaigns=campaigns, wait_s=wait_s, on_progress=listen, cancelled=stop)
    try:
        if plot is not None:
            from hwnas.report import write_stability_png

            write_stability_png(report, plot)
    finally:
        if json:
            _output.emit(stability_data(report))
        else:
            _tell(profile, report)
    if plot is not None:
        _output.note(f"drawn: {plot}")


def _tell(profile: DeviceProfile, report: StabilityReport) -> None:
    """Show a report as a table, and say what follows from it."""
    _output.show(_output.table([profile.name, "p50 ms>", "varies>", "p99 ms>", "varies>", "verdicts"], _rows(report)))
    for sentence in findings(report):
        _output.note(sentence)
    for number, sentence in enumerate(report.advice, 1):
        _output.note(f"{number}. {sentence}")


def stability_data(report: StabilityReport) -> dict[str, Any]:
    """Return a report as JSON data."""
    return {
        "device": report.profile.name,
        "profile": report.profile.to_json(),
        "facts": report.facts.to_json(),
        "protocol": report.protocol.to_json(),
        "networks": list(report.networks),
        "metrics": {
            metric: {
                "variation": report.variation(metric).tolist(),
                "ratio_variation": report.ratio_variation(metric),
                "rank_stability": report.rank_stability(metric),
                "order_kept": report.order_kept(metric).tolist(),
                "explained": report.explained(metric),
            }
            for metric in _METRICS
        },
        "campaigns": [[measurement.to_json() for measurement in row] for row in report.campaigns],
        "findings": findings(report),
        "advice": list(report.advice),
    }


def findings(report: StabilityReport) -> list[str]:
    """Return what the figures of a report say, as sentences."""
    said = []
    for metric in _METRICS:
        name, ratio, rank = metric[:3], report.ratio_variation(metric), report.rank_stability(metric)
        said.append(f"{name}: ratios of two networks vary by {ratio:.1%}; {rank:.0%} of pairs keep their order")
        if report.explained(metric) > _UNEXPLAINED:
            said.append(
                f"{name}: campaigns differ {report.explained(metric):.1f} times as much as their intervals let expect"
            )
    kept = report.order_kept("p99_ms")
    unsure = [
        f"{first} and {second} ({kept[i, i + 1 + j]:.0%})"
        for i, first in enumerate(report.networks)
        for j, second in enumerate(report.networks[i + 1 :])
        if kept[i, i + 1 + j] < _SAME_ORDER
    ]
    if unsure:
        said.append(f"p99 does not tell these apart: {', '.join(unsure)}")
    return said


def _rows(report: StabilityReport) -> list[list[str]]:
    import numpy as np

    from hwnas.report import number

    rows = []
    for index, network in enumerate(report.networks):
        row = [network]
        for metric in _METRICS:
            level = float(np.median(report.values_ms(metric)[:, index]))
            row += [number(level, even=True), f"{report.variation(metric)[index]:.1%}"]
        verdicts = [str(campaign[index].verdict) for campaign in report.campaigns]
        counts = {verdict: verdicts.count(verdict) for verdict in dict.fromkeys(sorted(verdicts))}
        rows.append([*row, ", ".join(f"{count} {verdict}" for verdict, count in counts.items())])
    return rows


@contextmanager
def _progress(campaigns: int) -> Iterator[Callable[[MeasurementEvent], None]]:
    """Show a bar on a terminal, and elsewhere a line for each campaign."""
    from hwnas.measurement import BlockMeasured, CampaignStarted, NetworkMeasured, Waiting

    number = done = total = 0

    def told(event: MeasurementEvent) -> None:
        nonlocal number, done, total
        match event:
            case CampaignStarted():
                number, total = number + 1, event.total
                if not console.is_terminal:
                    _output.note(f"campaign {number} of {campaigns}")
            case NetworkMeasured():
                done += 1
            case Waiting():
                _output.note(f"waiting for {event.who}")
            case _:
                pass

    console = _output.human()
    if not console.is_terminal:
        yield told
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    words = TextColumn("{task.description}", markup=False)  # names of files are no markup
    columns = (BarColumn(), words, TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", total=None)

        def listen(event: MeasurementEvent) -> None:
            told(event)
            text = f"campaign {number} of {campaigns}"
            if isinstance(event, BlockMeasured):
                text += f", {event.network_name}: {event.samples} of {event.wanted} samples"
            bars.update(task, description=text, completed=done, total=campaigns * total or None)

        yield listen
