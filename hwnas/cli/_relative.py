"""What a front is worth beside the baseline, and beside another device's, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.cli import _output

if TYPE_CHECKING:
    from hwnas.report import Beaten, StudySummary


def show_beaten(summary: StudySummary) -> None:
    """Say how many configurations beat the baseline, and what can be had at no loss."""
    from hwnas.search import BASELINE

    if summary.baseline is None:
        if any(trial.origin == BASELINE for trial in summary.trials):
            _output.note("the baseline is not complete, so nothing is compared with it")
        return
    found = summary.beaten()
    for device, one in found.items():
        _output.note(beaten_text(one, f" on {device}" if len(found) > 1 else ""))


def beaten_text(found: Beaten, on: str = "") -> str:
    """Return the comparison with the baseline as a sentence."""
    surely = f", {len(found.surely)} of them significantly" if found.better else ""
    text = f"{len(found.better)} of {found.compared} configurations beat the baseline{on}{surely}"
    gains = [
        f"{g.objective} {g.ratio:.3f} times the baseline's at no loss of {g.kept} (trial {g.trial})"
        for g in found.gains
    ]
    return "; ".join([text, *gains])


def show_tradeoffs(summary: StudySummary) -> None:
    """Write a table of what devices make of each other's networks; nothing with one device."""
    from hwnas.report import tradeoffs

    found = tradeoffs(summary)
    if not found:
        return
    rows = []
    for one in found:
        rank = "–" if one.rank_correlation is None else f"{one.rank_correlation:.2f}"
        for of, on, price in ((one.across, one.up, one.price[0]), (one.up, one.across, one.price[1])):
            middle, worst = ("–", "–") if price is None else (f"{price[0]:.2f}", f"{price[1]:.2f}")
            rows.append([str(of.device), str(on.device), on.metric, rank, middle, worst])
    columns = ["the front of", "measured on", "figure", "rank correlation>", "over the best there>", "at worst>"]
    _output.show(_output.table(columns, rows))
    first = summary.optimised[0].name
    _output.note(f"over the best there: the figure over that of the other device's own front at no loss of {first}")
