"""The front as a table: one row a member, its figures with their doubt, and what it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.report._label import ALIKE, GUESS, interval_text, number
from hwnas.report._relative import ratio
from hwnas.report._summary import is_guess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnas.report._summary import StudySummary
    from hwnas.search import Objective, Trial


def front_table(summary: StudySummary, *, relative: bool = False) -> tuple[list[str], list[list[str]]]:
    """Return the columns' names and the rows of the front; a name that ends in `>` is of numbers.

    Figures bear the names of the study file, with the units in them; intervals are those of 95 %. What was measured
    once more, or predicted before it was measured, has both figures; one that was only predicted begins with `~`. A
    verdict other than `ok` is named, where there is one.

    Where trainings were repeated, what they report is the mean, `±` its standard error and `n` the number of trainings,
    and a figure ends in `≈` where it does not differ significantly from that of the next row.

    Args:
        summary: the study, or as the front of one of its devices sees it.
        relative: whether the figures are shown relative to the baseline's too, where there is one, and the baseline
            below the front.
    """
    baseline = summary.baseline if relative else None
    members = list(summary.front_trials)
    if baseline is not None and baseline not in members:
        members.append(baseline)
    again = {name for trial in members for name in trial.again}
    foretold = {name for trial in members for name in trial.foretold}
    doubted = any(_verdict(summary, trial) != "ok" for trial in members)
    columns = ["trial>"]
    for objective in summary.objectives:
        columns.append(f"{objective.name}>")
        columns += ["/ baseline>"] if baseline is not None else []
        if objective.name in summary.noises:
            columns += ["±>", "n>"]
        elif _has_interval(summary, objective):
            columns.append("95 %>")
        if objective.name in again:
            columns.append("again>")
        if objective.name in foretold:
            columns.append("predicted>")
    columns += ["verdict"] if doubted else []
    columns.append("architecture" + (", where they differ" if len(members) > 1 else ""))
    varying = _varying(summary, members)
    rows = []
    nexts = [*summary.front_trials[1:], None, None]
    for trial, following in zip(members, nexts, strict=False):
        row = _figures(summary, trial, following, baseline, again, foretold)
        row += [_verdict(summary, trial)] if doubted else []
        values = trial.architecture.values
        row.append(" ".join(f"{name}={_plain(values[name])}" for name in varying if name in values))
        rows.append(row)
    return columns, rows


def _figures(
    summary: StudySummary,
    trial: Trial,
    following: Trial | None,
    baseline: Trial | None,
    again: set[str],
    foretold: set[str],
) -> list[str]:
    row = [f"baseline {trial.number}" if trial is baseline else str(trial.number)]
    for objective in summary.objectives:
        value = trial.values[objective.name]
        guess, alike = GUESS if is_guess(value) else "", _alike(summary, trial, following, objective)
        row.append(f"{guess}{number(value.value, even=True)}{alike}")
        if baseline is not None:
            relative = ratio(objective, trial, baseline)
            row.append("–" if relative is None else f"{relative:.3f}")
        if objective.name in summary.noises:
            row += [number(value.sigma), str(summary.trainings(trial, objective.name))]
        elif _has_interval(summary, objective):
            row.append(interval_text(summary.interval(objective, value)))
        if objective.name in again:
            second = trial.again.get(objective.name)
            row.append("–" if second is None else number(second.value, even=True))
        if objective.name in foretold:
            before = trial.foretold.get(objective.name)
            row.append("–" if before is None else f"{GUESS}{number(before.value, even=True)}")
    return row


def _alike(summary: StudySummary, trial: Trial, following: Trial | None, objective: Objective) -> str:
    """Return the mark of a figure that does not differ significantly from the next row's; a space for others, beside.

    Without repeated trainings nothing is marked.
    """
    if not summary.noises:
        return ""
    if following is None or summary.difference(trial, following, objective).significant is not False:
        return " "
    return ALIKE


def _verdict(summary: StudySummary, trial: Trial) -> str:
    """Return the verdicts on a trial's measurements other than `ok`, each once; `ok` where there is none."""
    values = [*trial.values.values(), *trial.again.values()]
    said = [summary.verdicts.get(value.trace_id, "ok") for value in values if value.trace_id is not None]
    return ", ".join(dict.fromkeys(verdict for verdict in said if verdict != "ok")) or "ok"


def _varying(summary: StudySummary, members: Sequence[Trial]) -> list[str]:
    """Return the parameters in which the members differ, in the order of the space; all of them for one member."""
    names = [*summary.parameters, *(name for trial in members for name in trial.architecture.values)]
    names = list(dict.fromkeys(names))
    if len(members) < 2:
        return names
    return [name for name in names if len({trial.architecture.values.get(name) for trial in members}) > 1]


def _has_interval(summary: StudySummary, objective: Objective) -> bool:
    intervals = [summary.interval(objective, trial.values[objective.name]) for trial in summary.front_trials]
    return any(interval is not None and interval[0] < interval[1] for interval in intervals)  # not of exact figures


def _plain(value: bool | float | str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, float) else str(value)
