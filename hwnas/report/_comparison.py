"""Studies beside each other: the same objectives, one reference point, one baseline at (1, 1).

`compare.json` has a version, as `front.json` has; its history stands here.

1: `format`, `version`, `written_at`, `hwnas`; `objectives` as in the study files; `baseline`: the study and the trial
   that all are compared with, and its values, or null; `devices`: by name (by no name where there is none)
   `objectives`, `reference`, and `studies`: one entry each with `name`, `strategies`, `complete`, `front`,
   `hypervolume` (now, and after each complete trial), `beaten` (as in `front.json`, or null), and `trials`: number,
   origin, whether it keeps to the limits, `values` and, where there is a baseline, `relative`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import hwnas
from hwnas.errors import StudyError
from hwnas.report._label import number
from hwnas.report._relative import beaten, ratio
from hwnas.search import BASELINE, hypervolume_histories, reference_points

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwnas.report._relative import Beaten
    from hwnas.report._summary import StudySummary
    from hwnas.search import Objective, Trial

FORMAT = "hwnas-compare"
VERSION = 1
#: What must be alike for studies to be compared; the reference may differ, for one is taken for all.
_ALIKE = ("direction", "source", "device", "limit", "log", "optimize")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Studies on one device.

    Attributes:
        device: its name; empty where there is none.
        objectives: of the front there.
        studies: as that front sees them, with hypervolumes above one reference point.
        baseline: what all are compared with; complete, of the first study that has one.
        owner: the name of that study.
    """

    device: str
    objectives: tuple[Objective, ...]
    studies: tuple[StudySummary, ...]
    baseline: Trial | None
    owner: str | None

    @property
    def reference(self) -> Mapping[str, float] | None:
        """The one reference point by objective name; `None` while no trial is complete."""
        return self.studies[0].reference

    def beaten(self, study: StudySummary) -> Beaten | None:
        """Return which trials of a study beat the baseline; `None` without one."""
        if self.baseline is None:
            return None
        return beaten(self.objectives, study.complete, self.baseline, study.difference)

    def pooled(self) -> StudySummary:
        """Return all studies as one, its trials numbered through; for the ends of axes."""
        trials: list[Trial] = []
        front: list[int] = []
        for study in self.studies:
            numbers = {trial.number: len(trials) + at for at, trial in enumerate(study.trials)}
            front += [numbers[member] for member in study.front]
            trials += [replace(trial, number=numbers[trial.number]) for trial in study.trials]
        return replace(self.studies[0], trials=tuple(trials), front=tuple(front), told={})


def compare(studies: Sequence[StudySummary]) -> list[Comparison]:
    """Return a comparison for each device.

    Args:
        studies: at least two, of different names.

    Raises:
        StudyError: a name is given twice, or two have other objectives; what differs is named.
    """
    _check_names(studies)
    first = studies[0]
    for other in studies[1:]:
        _check_objectives(first, other)
    owner = next((study for study in studies if study.baseline is not None), None)
    complete = [trial for study in (owner, *studies) if study is not None for trial in study.complete]
    points = reference_points(first.objectives, complete)
    parts = [_on_reference(study, points) for study in studies]
    return [
        Comparison(
            device,
            parts[0][device].objectives,
            tuple(part[device] for part in parts),
            None if owner is None else owner.baseline,
            None if owner is None else owner.name,
        )
        for device in parts[0]
    ]


def _on_reference(study: StudySummary, points: Mapping[str, dict[str, float] | None]) -> dict[str, StudySummary]:
    """Return a study by device, with hypervolumes above one reference point for all studies."""
    found = {}
    for (device, own), point in zip(study.by_device().items(), points.values(), strict=True):
        (history,) = hypervolume_histories(own.objectives, own.trials, point).values()
        found[device] = replace(own, reference=point, hypervolume=tuple(float(value) for value in history))
    return found


def comparison_data(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Return the comparison as JSON data; the module's docstring has the format."""
    first = comparisons[0]
    baseline = first.baseline
    return {
        "format": FORMAT,
        "version": VERSION,
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "hwnas": hwnas.__version__,
        "objectives": [objective.to_json() for objective in _all_objectives(comparisons)],
        "baseline": None
        if baseline is None
        else {
            "study": first.owner,
            "trial": baseline.number,
            "values": {name: baseline.mean(name) for name in baseline.values},
        },
        "devices": {
            one.device: {
                "objectives": [objective.name for objective in one.objectives],
                "reference": None if one.reference is None else dict(one.reference),
                "studies": [_study(one, study) for study in one.studies],
            }
            for one in comparisons
        },
    }


def comparison_table(comparisons: Sequence[Comparison]) -> tuple[list[str], list[list[str]]]:
    """Return the columns' names and the rows: one for each study and device; a name that ends in `>` is of numbers."""
    several = len(comparisons) > 1
    compared = comparisons[0].baseline is not None
    gained = list(dict.fromkeys(o.metric for one in comparisons for o in _optimised(one)[1:]))
    columns = ["study", *(["device"] if several else []), "strategy", "complete>", "on the front>", "hypervolume>"]
    if compared:
        columns += ["beat the baseline>", "significantly>", *(f"{metric} at no loss>" for metric in gained)]
    rows = []
    for one in comparisons:
        for study in one.studies:
            row = [study.name, *([one.device] if several else []), ", ".join(strategies(study))]
            row += [str(len(study.complete)), str(len(study.front))]
            row.append(number(study.hypervolume[-1] if study.hypervolume else None, even=True))
            found = one.beaten(study)
            if found is not None:
                ratios = {gain.objective.partition("@")[0]: f"{gain.ratio:.3f}" for gain in found.gains}
                row += [str(len(found.better)), str(len(found.surely)), *(ratios.get(name, "–") for name in gained)]
            rows.append(row)
    return columns, rows


def strategies(study: StudySummary) -> list[str]:
    """Return what proposed a study's trials, in order; the start alone where there is nothing else."""
    origins = list(dict.fromkeys(trial.origin for trial in study.trials if trial.origin != BASELINE))
    return [origin for origin in origins if origin != "sobol"] or origins


def _study(one: Comparison, study: StudySummary) -> dict[str, Any]:
    found = one.beaten(study)
    history = list(study.hypervolume)
    return {
        "name": study.name,
        "strategies": strategies(study),
        "complete": len(study.complete),
        "front": list(study.front),
        "hypervolume": {"now": history[-1] if history else None, "history": history},
        "beaten": None if found is None else found.to_json(),
        "trials": [_trial(one, study, trial) for trial in study.complete],
    }


def _trial(one: Comparison, study: StudySummary, trial: Trial) -> dict[str, Any]:
    told: dict[str, Any] = {
        "number": trial.number,
        "origin": trial.origin,
        "within_limits": study.feasible(trial),
        "values": {objective.name: trial.mean(objective.name) for objective in one.objectives},
    }
    if one.baseline is not None:
        told["relative"] = {objective.name: ratio(objective, trial, one.baseline) for objective in one.objectives}
    return told


def _optimised(one: Comparison) -> list[Objective]:
    return [objective for objective in one.objectives if objective.optimize]


def _all_objectives(comparisons: Sequence[Comparison]) -> list[Objective]:
    return list({o.name: o for one in comparisons for o in one.objectives}.values())


def _check_names(studies: Sequence[StudySummary]) -> None:
    names = [study.name for study in studies]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise StudyError(f"study {twice[0]!r} is named twice", "name two that differ")
    if len(names) < 2:
        raise StudyError("there is nothing to compare with", "name two studies or more")


def _check_objectives(first: StudySummary, other: StudySummary) -> None:
    mine = {objective.name: objective for objective in first.objectives}
    theirs = {objective.name: objective for objective in other.objectives}
    both = f"studies {first.name!r} and {other.name!r} cannot be compared"
    for name in [*mine, *theirs]:
        if name not in mine or name not in theirs:
            has, lacks = (first, other) if name in mine else (other, first)
            raise StudyError(
                f"{both}: {name!r} is an objective of {has.name!r} and none of {lacks.name!r}",
                "compare studies that have the same objectives",
            )
        for field in _ALIKE:
            if getattr(mine[name], field) != getattr(theirs[name], field):
                told = f"{getattr(mine[name], field)} and {getattr(theirs[name], field)}"
                raise StudyError(f"{both}: the {field} of {name!r} differs: {told}", "compare like with like")
