"""A training as a line that a person can paste into a shell: the study's own command, with a trial's values put in."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from hwnas.evaluation._template import CommandTemplate, built_in_values

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from hwnas.evaluation._config import EvaluationConfig
    from hwnas.evaluation._task import EvaluationTask


def shown_training(config: EvaluationConfig, base: Path, parameters: Collection[str], task: EvaluationTask) -> str:
    """Return the training of a task as shell text: change to its folder, and run it; or as a call of a function.

    `{python}` becomes `python`, so that the line works in another environment too.

    Args:
        config: the study's `[evaluation]`.
        base: the folder of the study file; where relative paths begin.
        parameters: the names of the space's parameters.
        task: what was trained.

    Raises:
        ConfigError: the command does not fit the space.
        EvaluationError: a placeholder has no value.
    """
    task = replace(task, folder=task.folder.absolute())
    values = dict(task.architecture.values)
    if config.command is None:
        told = ", ".join(f"{name}={value!r}" for name, value in values.items())
        return f"{config.python}({told})"
    template = CommandTemplate.parse(config.command, parameters, where="[evaluation] command")
    words = template.fill(values, {**built_in_values(task), "python": "python"})
    return f"cd {shlex.quote(str((base / config.folder).absolute()))} && {_environment(config.env)}{shlex.join(words)}"


def _environment(env: Mapping[str, str]) -> str:
    return "".join(f"{name}={shlex.quote(value)} " for name, value in env.items())
