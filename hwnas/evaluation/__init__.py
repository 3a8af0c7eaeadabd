"""How good it is: a training command of the user's own, or a Python function, run in child processes.

A child process, and all that it starts, ends at its deadline, when it is cancelled, and when hwnas dies, however that
dies; one that fails says why in one line and leaves its log in the trial's folder.
"""

from hwnas.evaluation._callable import CallableEvaluator
from hwnas.evaluation._command import CommandEvaluator
from hwnas.evaluation._config import EvaluationConfig
from hwnas.evaluation._factory import evaluator_from_config, settings_from_config
from hwnas.evaluation._metrics import CURVE_KEY
from hwnas.evaluation._network import NetworkCommand
from hwnas.evaluation._pool import WorkerPool
from hwnas.evaluation._settings import RunSettings, threads_per_worker
from hwnas.evaluation._shown import shown_training
from hwnas.evaluation._task import CurvePoint, EvaluationResult, EvaluationTask, Evaluator

__all__ = [
    "CURVE_KEY",
    "CallableEvaluator",
    "CommandEvaluator",
    "CurvePoint",
    "EvaluationConfig",
    "EvaluationResult",
    "EvaluationTask",
    "Evaluator",
    "NetworkCommand",
    "RunSettings",
    "WorkerPool",
    "evaluator_from_config",
    "settings_from_config",
    "shown_training",
    "threads_per_worker",
]
