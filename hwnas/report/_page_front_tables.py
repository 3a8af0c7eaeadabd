"""Tables of the fronts: their members, what tells neighbours apart, and the evidence behind each figure."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from hwnas.report._label import ALIKE, GUESS, interval_text, number, objective_label
from hwnas.report._page_parameters import sorted_parameters
from hwnas.report._page_plot import shown
from hwnas.report._page_tables import Table, moment
from hwnas.report._summary import is_guess
from hwnas.report._table import front_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnas.report._page_material import Material
    from hwnas.report._summary import StudySummary
    from hwnas.search import Difference, Objective, Trial, Value

#: Where the members of a front differ in more parameters than `_MOST`, a row names `_NAMED` of them.
_MOST, _NAMED = 12, 8


def members_table(material: Material, device: str) -> Table:
    """Return the members of a front, with their figures relative to the baseline's where there is one."""
    summary = material.fronts[device]
    columns, rows = front_table(summary)
    named = _telling(material, summary)
    if named:
        columns = [*columns[:-1], f"architecture, the {len(named)} parameters that matter most"]
        rows = [[*row[:-1], _named(trial, named)] for row, trial in zip(rows, summary.front_trials, strict=True)]
    baseline = material.baseline
    if baseline is not None:
        ratios = [objective for objective in summary.optimised if baseline.values[objective.name].value > 0]
        columns = [columns[0], *(f"{objective.name} / baseline>" for objective in ratios), *columns[1:]]
        rows = [
            [row[0], *(ratio(trial, baseline, objective) for objective in ratios), *row[1:]]
            for row, trial in zip(rows, summary.front_trials, strict=True)
        ]
    place = f" on {device}" if device and len(material.fronts) > 1 else ""
    marks = f"; ± is the standard error over n trainings, {ALIKE} no significant difference from the next row"
    return Table(f"The front{place}: {len(rows)} members{marks if summary.noises else ''}", columns, rows)


def _telling(material: Material, summary: StudySummary) -> list[str]:
    """Return the parameters that a row names where the members differ in too many to name all; else none.

    Of those in which they differ, the ones that matter most to the models, as far as that is known.
    """
    architectures = [trial.architecture.values for trial in summary.front_trials]
    names = [parameter.name for parameter in sorted_parameters(material)]
    varying = [name for name in names if len({values.get(name) for values in architectures}) > 1]
    return varying[:_NAMED] if len(varying) > _MOST else []


def _named(trial: Trial, names: Sequence[str]) -> str:
    values = trial.architecture.values
    return "  ".join(f"{name}={shown(values[name])}" for name in names if name in values)


def ratio(trial: Trial, baseline: Trial, objective: Objective) -> str:
    """Return a figure as a multiple of the baseline's."""
    return f"{trial.values[objective.name].value / baseline.values[objective.name].value:.3f}"


def neighbours_table(material: Material, device: str) -> Table:
    """Return what tells each member of a front from the next: differences with their 95 % intervals."""
    summary = material.fronts[device]
    rows = []
    for better, worse in itertools.pairwise(summary.front_trials):
        row, apart = [f"{better.number} and {worse.number}"], []
        for objective in summary.optimised:
            told = summary.difference(better, worse, objective)
            row.append(_difference(told))
            apart += [objective.name] if told.significant else []
        rows.append([*row, ", ".join(apart) or "nothing"])
    names = [
        f"{objective.name}, {'ratio' if objective.log else 'difference'} (95 %)>" for objective in summary.optimised
    ]
    place = f" on {device}" if device and len(material.fronts) > 1 else ""
    return Table(f"Neighbours on the front{place}", ["trials", *names, "told apart by"], rows)


def _difference(told: Difference) -> str:
    """Return by how much two figures differ, with its interval."""
    doubt = "unknown" if told.significant is None else interval_text((told.low, told.high))
    return f"{number(told.value, even=True)} ({doubt})"


def evidence_table(material: Material) -> Table:
    """Return what each measured or repeated figure of the front's members rests on."""
    rows = []
    for trial in material.members:
        for objective in material.summary.objectives:
            told = [("", trial.values.get(objective.name)), ("again", trial.again.get(objective.name))]
            told.append(("predicted before", trial.foretold.get(objective.name)))
            told += _trainings(material.told[trial.number], objective.name)
            rows += [
                [str(trial.number), objective_label(objective), which, *_evidence(material, objective, value)]
                for which, value in told
                if value is not None and (value.sigma is not None or value.trace_id is not None or "training" in which)
            ]
    columns = ["trial>", "figure", "which", "value>", "95 %>", "from", "n>", "verdict", "why", "measured", "trace>"]
    return Table("The evidence behind the figures of the front", columns, rows)


def _trainings(trial: Trial, name: str) -> list[tuple[str, Value | None]]:
    """Return the single trainings of a trial that was trained several times."""
    if trial.trainings(name) < 2:
        return []
    values = [trial.values[name], *(replica[name] for replica in trial.replicas if name in replica)]
    return [(f"training {place}", value) for place, value in enumerate(values, start=1)]


def _evidence(material: Material, objective: Objective, value: Value) -> list[str]:
    guess = GUESS if is_guess(value) else ""
    row = [f"{guess}{number(value.value, even=True)}", interval_text(material.summary.interval(objective, value))]
    measurement = None if value.trace_id is None else material.measurements.get(value.trace_id)
    if measurement is None:
        return [*row, str(value.provenance), "–", "–", "", "–", "–"]
    why = "; ".join(measurement.reasons)
    when = moment(measurement.created_at)
    return [*row, str(value.provenance), str(measurement.n), str(measurement.verdict), why, when, str(value.trace_id)]


def best_figures(material: Material, summary: StudySummary) -> list[tuple[str, str, str]]:
    """Return the front's best figure in each objective: its name, the figure, and what belongs to it."""
    found = []
    for objective in summary.optimised:
        members = summary.front_trials
        if not members:
            continue
        trial = max(members, key=lambda member: objective.score(member.values[objective.name].value))
        value = trial.values[objective.name]
        note = f"trial {trial.number}"
        doubt = summary.interval(objective, value)
        note += "" if doubt is None else f", 95 %: {interval_text(doubt)}"
        if material.baseline is not None:
            note += f", {_against(value.value, material.baseline.values[objective.name].value)}"
        found.append(
            (f"best {objective_label(objective)}", f"{GUESS if is_guess(value) else ''}{number(value.value)}", note)
        )
    return found


def _against(value: float, baseline: float) -> str:
    if baseline == 0:
        return f"baseline {number(baseline)}"
    return f"{value / baseline - 1:+.1%} against the baseline's {number(baseline)}"
