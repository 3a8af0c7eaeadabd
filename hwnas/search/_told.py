"""Checks of what a study is told, before any of it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.errors import StudyError
from hwnas.search._trial import Trial, Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hwnas.search._objective import Objective


def checked_values(
    objectives: Sequence[Objective], trial: Trial | int, values: Mapping[str, float | Value]
) -> dict[str, Value]:
    """Return what was told of a trial as `Value`s.

    Raises:
        StudyError: a name or a number that cannot be kept; trial and figure are named.
    """
    by_name = {objective.name: objective for objective in objectives}
    checked = {}
    for name, given in values.items():
        where = f"trial {number_of(trial)}, {name}"
        if ":" in name:
            raise StudyError(f"{where}: a name has no ':'", "rename the metric")
        try:
            value = given if isinstance(given, Value) else Value(float(given))
        except StudyError as exc:
            raise StudyError(f"{where}: {exc.message}", exc.hint) from exc
        except (TypeError, ValueError) as exc:
            raise StudyError(f"{where}: {given!r} is not a number", "tell a number or a Value") from exc
        if name in by_name and not by_name[name].admits(value.value):
            raise StudyError(
                f"{where}: {value.value:g} is not positive, and it is modelled as a logarithm",
                "check the value, or give the objective log = false",
            )
        checked[name] = value
    return checked


def number_of(trial: Trial | int) -> int:
    """Return the number of a trial that is given by itself or by its number."""
    return trial if isinstance(trial, int) else trial.number
