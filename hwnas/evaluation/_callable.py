"""An evaluator that calls a Python function in a child process of its own."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hwnas.errors import ConfigError, EvaluationError
from hwnas.evaluation import _call
from hwnas.evaluation._command import result
from hwnas.evaluation._metrics import CURVE_KEY, MetricReader
from hwnas.evaluation._run import run_logged
from hwnas.evaluation._settings import RunSettings
from hwnas.evaluation._target import check, resolve

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Sequence
    from typing import Any

    from hwnas.evaluation._task import EvaluationResult, EvaluationTask

_MARK = "HWNAS_EVALUATING"  # set in the child, so that a script without a main guard does not start searches for ever


class CallableEvaluator:
    """Trains an architecture by a Python function, in a fresh Python process for each trial.

    The function is named as `file.py:function` (its folder is then where it imports from), as
    `package.module:function`, or given itself where another process can find it by name: at the top level of a module,
    or of the script that is run, where what starts the search stands under `if __name__ == "__main__":`.

    It gets the architecture's values as keyword arguments, by parameter name; a parameter that is not active is left
    out, so its argument wants a default. A function may also take, by these names, `seed`, `folder` (the trial's own, a
    `Path`), `network` (the network file's `Path`, or `None`) and `trial`: all of it, with `values`, `number`, `seed`,
    `folder`, `network_file` and `attempt`. A function that takes `trial` need not name the parameters.

    It returns the one metric as a number, or a mapping of metrics; `<metric>_sigma` in it is a standard error.
    Arguments and result travel as JSON. What it prints goes to `log.txt` in the trial's folder; a line of JSON such as
    `{"epoch": 3, "accuracy": 0.7}` is a point of its learning curve, as a command's is. Time, end and environment are
    as for `CommandEvaluator`. Thread-safe.
    """

    def __init__(
        self,
        function: str | Callable[..., Any],
        parameters: Collection[str],
        metrics: Sequence[str],
        *,
        unused_parameters: Collection[str] = (),
        settings: RunSettings | None = None,
        curve_key: str = CURVE_KEY,
    ) -> None:
        """Check the function against the space, without running the user's code.

        Args:
            function: the function, or what names it; a relative path begins at the settings' folder.
            parameters: the names of the space's parameters.
            metrics: what it is to return; at least one.
            unused_parameters: parameters that it does not take on purpose.
            settings: how it runs.
            curve_key: what the points of a learning curve call their epoch.

        Raises:
            ConfigError: the function is not there, or does not take the space's parameters.
        """
        self._settings = settings or RunSettings()
        if not isinstance(function, str) and _MARK in os.environ:
            raise ConfigError(
                "this search was started from within one of its own trainings, which loads the script again",
                'put what starts the search under `if __name__ == "__main__":`',
            )
        self._target = resolve(function, self._settings.folder)
        check(self._target, parameters, unused_parameters)
        self._marked = replace(self._settings, env={**self._settings.env, _MARK: "1"})
        self._metrics = tuple(metrics)
        self._unused = sorted(unused_parameters)
        self._curve_key = curve_key

    def evaluate(self, task: EvaluationTask, *, cancelled: threading.Event) -> EvaluationResult:
        """Return the metrics of the task's architecture; see `Evaluator`."""
        task = replace(task, folder=task.folder.absolute())
        order, reply = task.folder / "call.json", task.folder / "result.json"
        try:
            task.folder.mkdir(parents=True, exist_ok=True)
            reply.unlink(missing_ok=True)
            order.write_text(json.dumps(self._order(task, reply)), encoding="utf-8")
        except OSError as exc:
            raise EvaluationError(
                f"cannot write {order}: {exc.strerror or exc}", "the study's folder must be yours to write to"
            ) from exc
        argv = [sys.executable, str(Path(_call.__file__).absolute()), str(order)]
        curve = MetricReader((), curve_key=self._curve_key, on_point=task.on_point)
        finished = run_logged(argv, self._marked, task, cancelled=cancelled, on_stdout=curve.feed)
        curve.end()
        answer = _read(reply)
        if finished.ending.exit_code == 1 and "error" in answer and finished.ending.why == "exited":
            raise finished.failure(f"{self._target}: {answer['error']}")
        finished.check()
        if not isinstance(answer.get("metrics"), dict):
            raise finished.failure(f"{self._target}: it ended its process without returning", "do not call sys.exit")
        return result(answer["metrics"], self._metrics, finished, "returned")

    def _order(self, task: EvaluationTask, reply: Path) -> dict[str, Any]:
        place = self._target.rpartition(":")[0]
        own = str(Path(place).parent) if place.endswith(".py") else str(self._settings.folder)
        return {
            "target": self._target,
            "values": dict(task.architecture.values),
            "trial": {
                "number": task.trial,
                "seed": task.seed,
                "folder": str(task.folder),
                "network_file": None if task.network_file is None else str(task.network_file.absolute()),
                "attempt": task.attempt,
            },
            "unused": self._unused,
            "metrics": list(self._metrics),
            "path": [own, *(entry for entry in sys.path if entry)],
            "result": str(reply),
        }


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
