"""From a study file's `[evaluation]` to the evaluator that it describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwnas.errors import ConfigError
from hwnas.evaluation._callable import CallableEvaluator
from hwnas.evaluation._command import CommandEvaluator
from hwnas.evaluation._metrics import CURVE_KEY
from hwnas.evaluation._settings import RunSettings, threads_per_worker

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from hwnas.evaluation._config import EvaluationConfig


def evaluator_from_config(
    config: EvaluationConfig,
    base: Path,
    parameters: Collection[str],
    metrics: Sequence[str],
    *,
    workers: int = 1,
    curve_key: str = CURVE_KEY,
) -> CommandEvaluator | CallableEvaluator:
    """Return the evaluator that a study file describes, checked against the space.

    Args:
        config: its `[evaluation]`.
        base: the folder of the study file; where relative paths begin.
        parameters: the names of the space's parameters.
        metrics: what is read: the objectives that come from the evaluation.
        workers: how many run at a time; they share the cores.
        curve_key: what the points of a learning curve call their epoch.

    Raises:
        ConfigError: the command or the function does not fit the space, or the folder is missing.
    """
    if not metrics:
        raise ConfigError("[evaluation]: no objective reads anything of it", "add an objective, or take it out")
    settings = settings_from_config(config, base, workers=workers)
    if config.command is not None:
        return CommandEvaluator(
            config.command,
            parameters,
            metrics,
            output=config.output,
            unused_parameters=config.unused_parameters,
            settings=settings,
            curve_key=curve_key,
        )
    return CallableEvaluator(
        config.python or "",
        parameters,
        metrics,
        unused_parameters=config.unused_parameters,
        settings=settings,
        curve_key=curve_key,
    )


def settings_from_config(config: EvaluationConfig, base: Path, *, workers: int = 1) -> RunSettings:
    """Return how an evaluation's child processes run; `[network]`'s command may run in the same way.

    Raises:
        ConfigError: the folder is missing.
    """
    folder = (base / config.folder).absolute()
    if not folder.is_dir():
        raise ConfigError(f"[evaluation] folder: {folder}: no such folder", "it begins at the study file's folder")
    return RunSettings(
        folder=folder,
        env=config.env,
        timeout_s=config.timeout_s,
        grace_s=config.grace_s,
        threads=config.threads or threads_per_worker(workers),
        log_bytes=config.log_bytes,
    )
