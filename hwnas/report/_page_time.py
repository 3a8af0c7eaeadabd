"""When what happened, and what it cost: the timeline of a study, with the time in which nothing happened cut out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwnas._words import duration, plural
from hwnas.report._page_plot import BLUE, GREEN, GREY, ORANGE, PINK, SKY, VERMILION, Figure, Plot, axis, layout, plain
from hwnas.search import TrialState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hwnas.report._page_material import Material
    from hwnas.search import Trial

#: Pauses longer than this, and than this share of the work, are cut out.
_PAUSE_S, _PAUSE_SHARE = 120.0, 0.05
#: What is shorter than this was told at once, not worked on.
_AT_ONCE_S = 0.05
_COLOURS = {
    "fit": PINK,
    "acquisition": ORANGE,
    "measuring": SKY,
    "complete": BLUE,
    "failed": VERMILION,
    "abandoned": "#A45A00",
    "interrupted": GREY,
    "running": GREEN,
}


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took time.

    Attributes:
        row: the line of the timeline that it belongs to.
        kind: a key of the colours.
        start, end: in UTC.
        text: what hovering over it says.
        trial: the number of the trial that was worked on, where it was one.
    """

    row: str
    kind: str
    start: datetime
    end: datetime
    text: str
    trial: int | None = None

    @property
    def duration_s(self) -> float:
        """How long it took."""
        return (self.end - self.start).total_seconds()


def spans(material: Material) -> list[Span]:
    """Return what took time: choosing, measuring on each device, and each attempt at a trial."""
    return [*_choosing(material), *_measuring(material), *_attempts(material)]


def _choosing(material: Material) -> list[Span]:
    from datetime import timedelta

    found = []
    for record in material.proposals:
        chosen = record.at - timedelta(seconds=record.acquisition_s)
        began = chosen - timedelta(seconds=record.fit_s)
        for kind, start, end in (("fit", began, chosen), ("acquisition", chosen, record.at)):
            if (end - start).total_seconds() >= _AT_ONCE_S:
                text = f"batch {record.batch}, {record.origin}: {kind}"
                found.append(Span("choosing", kind, start, end, text))
    return found


def _measuring(material: Material) -> list[Span]:
    """Return for each batch and device the time from what came before it to its last measurement.

    A measurement is interleaved with those of its batch, and alone its end is known. Where a batch is measured while
    another one is trained, what came before may be longer ago than the measuring began.
    """
    found = []
    for record in material.proposals:
        began = record.at
        trials = [trial for trial in material.summary.trials if trial.batch == record.batch]
        rows = {value.trace_id for trial in trials for value in trial.values.values() if value.trace_id is not None}
        ends: dict[str, tuple[datetime, int]] = {}
        for measurement in (material.measurements[row] for row in rows):
            if measurement.created_at > record.at:
                last, count = ends.get(measurement.device, (measurement.created_at, 0))
                ends[measurement.device] = (max(last, measurement.created_at), count + 1)
        for device, (end, count) in sorted(ends.items(), key=lambda item: item[1][0]):
            text = f"batch {record.batch}: {plural(count, 'network')} written and measured on {device}"
            found.append(Span(f"measuring on {device}", "measuring", began, end, text))
            began = end
    return found


def _attempts(material: Material) -> list[Span]:
    """Return each attempt at each trial, in as many rows as ran side by side."""
    found = [span for trial in material.summary.trials for span in _attempts_at(material, trial)]
    return _in_lanes(sorted(found, key=lambda span: (span.start, span.trial or 0)))


def _attempts_at(material: Material, trial: Trial) -> list[Span]:
    found, began, number = [], None, 0
    for at, _, new, detail in material.moves[trial.number]:
        if new == TrialState.RUNNING:
            began, number = at, number + 1
        elif began is not None:
            kind = str(new) if new in (TrialState.COMPLETE, TrialState.FAILED, TrialState.ABANDONED) else "interrupted"
            if (at - began).total_seconds() < _AT_ONCE_S and material.study.file is None:
                began = trial.created_at  # a program asked and told; what it did in between is the work
            why = f": {detail.partition(chr(10))[0]}" if detail else ""
            found.append(
                Span("", kind, began, at, f"trial {trial.number}, attempt {number}, {kind}{why}", trial.number)
            )
            began = None
    if began is not None and material.running:
        text = f"trial {trial.number}, attempt {number}, running"
        found.append(Span("", "running", began, material.at, text, trial.number))
    return found


def _in_lanes(found: Sequence[Span]) -> list[Span]:
    from dataclasses import replace

    free: list[datetime] = []
    placed = []
    for span in found:
        lane = next((lane for lane, at in enumerate(free) if at <= span.start), len(free))
        free[lane : lane + 1] = [max(span.end, span.start)]
        placed.append(replace(span, row=f"trials {lane + 1}"))
    return placed


class Clock:
    """Seconds of work from the beginning: pauses, in which nothing happened, are cut out."""

    def __init__(self, found: Sequence[Span]) -> None:
        """Find the pauses between all spans."""
        self._pieces: list[tuple[datetime, datetime]] = []
        for span in sorted(found, key=lambda span: span.start):
            if self._pieces and span.start <= self._pieces[-1][1]:
                start, end = self._pieces[-1]
                self._pieces[-1] = (start, max(end, span.end))
            else:
                self._pieces.append((span.start, span.end))
        self.work_s = sum((end - start).total_seconds() for start, end in self._pieces)
        self._join(max(_PAUSE_S, _PAUSE_SHARE * self.work_s))

    def _join(self, least_s: float) -> None:
        """Keep as pauses only what is long."""
        joined: list[tuple[datetime, datetime]] = []
        for start, end in self._pieces:
            if joined and (start - joined[-1][1]).total_seconds() < least_s:
                joined[-1] = (joined[-1][0], end)
            else:
                joined.append((start, end))
        self._pieces = joined

    def seconds(self, at: datetime) -> float:
        """Return the seconds of work before a moment."""
        before = 0.0
        for start, end in self._pieces:
            if at <= end:
                return before + max(0.0, (at - start).total_seconds())
            before += (end - start).total_seconds()
        return before

    def pauses(self) -> list[tuple[float, float]]:
        """Return where time was cut out, in seconds of work, and how long each pause was."""
        found = []
        for (_, end), (start, _) in zip(self._pieces, self._pieces[1:], strict=False):
            found.append((self.seconds(end), (start - end).total_seconds()))
        return found


def timeline_plot(found: Sequence[Span]) -> Plot | None:
    """Return the timeline; `None` where nothing took time."""
    if not found:
        return None
    clock = Clock(found)
    total_s = max(clock.seconds(span.end) for span in found)
    unit, name = next(
        (size, word)
        for size, word in ((3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))
        if total_s >= 2 * size or size == 1.0
    )
    rows = _rows(found)
    traces = []
    for kind in _COLOURS:
        some = [span for span in found if span.kind == kind]
        if some:
            traces.append(_bars(kind, some, clock, unit))
    height = 120 + 30 * len(rows)
    pauses = [duration(pause_s) for _, pause_s in clock.pauses()]
    shapes = [_pause(at_s / unit) for at_s, _ in clock.pauses()]
    counts = ", ".join(
        f"{sum(span.kind == kind for span in found)} {kind}" for kind in _COLOURS if any(s.kind == kind for s in found)
    )
    return Plot(
        "timeline",
        "Timeline",
        f"Bars over time: choosing, measuring and the attempts at each trial ({counts}). The table below has the sums.",
        {
            "data": traces,
            "layout": layout(
                height,
                xaxis=axis(f"{name} of work", rangemode="tozero"),
                yaxis=axis(categoryorder="array", categoryarray=rows[::-1], ticklen=0, fixedrange=True),
                barmode="overlay",
                bargap=0.25,
                shapes=shapes,
            ),
        },
        note="A bar is a fit, an acquisition, a batch's measurements, or an attempt at a trial."
        + (f" Pauses are cut out at the dashed lines: {', '.join(pauses)}." if shapes else ""),
        height_px=height,
    )


def _rows(found: Sequence[Span]) -> list[str]:
    rows = list(dict.fromkeys(span.row for span in found))
    return [
        *(row for row in rows if not row.startswith("trials ")),
        *(row for row in rows if row.startswith("trials ")),
    ]


def _bars(kind: str, some: Sequence[Span], clock: Clock, unit: float) -> Figure:
    starts = [clock.seconds(span.start) / unit for span in some]
    return {
        "type": "bar",
        "orientation": "h",
        "name": f"{kind} ({len(some)})",
        "y": [plain(span.row) for span in some],
        "base": starts,
        "x": [clock.seconds(span.end) / unit - start for span, start in zip(some, starts, strict=True)],
        "hovertext": [f"{plain(span.text)}<br>{duration(span.duration_s)}" for span in some],
        "hoverinfo": "text",
        "textposition": "none",
        "marker": {"color": _COLOURS[kind], "line": {"width": 0.8, "color": "rgba(255,255,255,0.55)"}},
    }


def _pause(x: float) -> Figure:
    line = {"color": GREY, "width": 1.2, "dash": "dash"}
    return {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "y domain", "line": line}


def cost_rows(found: Sequence[Span]) -> list[list[str]]:
    """Return what each phase cost: its name, how often, its sum, and its share of the sum of all."""
    names = {
        "fit": "fitting models",
        "acquisition": "choosing architectures",
        "measuring": "writing and measuring networks",
        "complete": "trials that completed",
        "failed": "attempts that failed",
        "abandoned": "trials that were given up",
        "interrupted": "attempts that were interrupted",
        "running": "trials that run now",
    }
    whole = sum(span.duration_s for span in found) or 1.0
    rows = []
    for kind, name in names.items():
        some = [span.duration_s for span in found if span.kind == kind]
        if some:
            rows.append([name, str(len(some)), duration(sum(some)), f"{sum(some) / whole:.0%}"])
    return rows
