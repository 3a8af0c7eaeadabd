"""The front's members as commands that can be run at once."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.errors import HwnasError
from hwnas.report._label import GUESS, number, objective_label
from hwnas.report._summary import is_guess

if TYPE_CHECKING:
    from hwnas.evaluation import EvaluationTask
    from hwnas.report._page_material import Material
    from hwnas.search import Study, Trial


@dataclass(frozen=True, slots=True)
class ReadyCommand:
    """One configuration to be run.

    Attributes:
        trial: its number.
        figures: what it is like, in words.
        text: the command; or the architecture's values as JSON where the study has none.
    """

    trial: int
    figures: str
    text: str


def ready_commands(material: Material) -> list[ReadyCommand]:
    """Return the members of all fronts, best in the first objective first."""
    return [
        ReadyCommand(trial.number, _figures(material, trial), training_text(material.study, trial, material.folder))
        for trial in material.members
    ]


def _figures(material: Material, trial: Trial) -> str:
    said = []
    for objective in material.summary.objectives:
        value = trial.values[objective.name]
        guess = GUESS if is_guess(value) else ""
        said.append(f"{objective_label(objective)} {guess}{number(value.value)}")
    return ", ".join(said)


def training_text(study: Study, trial: Trial, folder: Path) -> str:
    """Return a trial's training as shell text, with the seed that it had; without a command its values as JSON."""
    from hwnas.evaluation import shown_training
    from hwnas.search import StudyConfig

    plain = json.dumps(dict(trial.architecture.values), ensure_ascii=False)
    if study.file is None or study.source is None:
        return plain
    try:
        config = StudyConfig.model_validate(study.file)
    except ValueError:  # of an older hwnas; what was searched is known all the same
        return plain
    if config.evaluation is None:
        return plain
    names = [parameter.name for parameter in study.space.parameters]
    try:
        return shown_training(
            config.evaluation, Path(study.source).parent, names, _task(study, trial, folder, config.network)
        )
    except HwnasError as exc:
        return f"{plain}\n# no command: {exc.message}"


def _task(study: Study, trial: Trial, folder: Path, network: object) -> EvaluationTask:
    """Return the task of the trial's last attempt, with the place of its network file."""
    from hwnas.search import task_of

    suffix = getattr(network, "format", "onnx")
    last = replace(trial, attempts=max(0, trial.attempts - 1))
    task = task_of(study, last, folder)
    return replace(task, network_file=folder / "networks" / f"{trial.architecture.id}.{suffix}")
