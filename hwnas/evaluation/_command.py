"""An evaluator that runs the user's own training command."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hwnas.errors import EvaluationError
from hwnas.evaluation._metrics import CURVE_KEY, MetricReader, numbers, parse_object
from hwnas.evaluation._run import Finished, run_logged
from hwnas.evaluation._settings import RunSettings
from hwnas.evaluation._task import EvaluationResult
from hwnas.evaluation._template import CommandTemplate, built_in_values

if TYPE_CHECKING:
    import threading
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from hwnas.evaluation._task import EvaluationTask

_METRIC_FILE_BYTES = 16_000_000


class CommandEvaluator:
    """Trains an architecture with a command, and reads its metrics from what the command prints or writes.

    The command is a line, split once into arguments before any value is put in, or a list of arguments. No shell runs
    it: a value is one argument or a part of one, whatever characters it has. Its placeholders:

        {width}         the value of the space's parameter `width`; booleans as true and false
        {lr:.3g}        the same in a format of Python's
        {trial}         the number of the trial
        {seed}          a seed for everything random in it
        {folder}        the trial's own folder
        {network}       the trial's network file
        {python}        the Python that runs hwnas
        {{ and }}       braces that are meant as such

    Each parameter of the space has a placeholder, or is named in `unused_parameters`. A parameter that is not active
    in an architecture has no value: an argument that names it is dropped whole, such as `--kernel={kernel}`. For
    `--kernel {kernel}` the flag before it goes too, unless a placeholder argument that stays follows directly.

    The metrics are those of the last line of the standard output that is a JSON object with all of them, so a command
    that reports after each epoch is read right, and of a metric that is printed twice the last counts; the result's
    notes say so. Or they are those of a JSON file, `output`, which the command must have written anew; it may hold
    one object, or such lines. A metric is a finite number. `<metric>_sigma` beside it, if given, is its standard error.

    A line of the standard output with `"epoch": 3` beside its figures is a point of the learning curve, and handed on
    at once, see `EvaluationTask.on_point`. It comes when the command flushes its output.

    The command's standard input is empty, and its environment is this process's with the settings' own. It counts as
    ended when its first process ends; what it has left running then is ended. It dies with this process.
    Its output goes to `log.txt` in the trial's folder. Thread-safe.
    """

    def __init__(
        self,
        command: str | Sequence[str],
        parameters: Collection[str],
        metrics: Sequence[str],
        *,
        output: str = "stdout",
        unused_parameters: Collection[str] = (),
        settings: RunSettings | None = None,
        curve_key: str = CURVE_KEY,
    ) -> None:
        """Check the command against the space.

        Args:
            command: the template.
            parameters: the names of the space's parameters.
            metrics: what to read; at least one.
            output: `stdout`, or a template for the path of a JSON file, from the folder in which the command runs.
            unused_parameters: parameters that the command leaves out on purpose.
            settings: how it runs.
            curve_key: what the points of a learning curve call their epoch.

        Raises:
            ConfigError: a placeholder is unknown, or a parameter has none.
        """
        where = "[evaluation] command"
        self._template = CommandTemplate.parse(command, parameters, where=where, unused=unused_parameters)
        self._output = (
            None if output == "stdout" else CommandTemplate.parse([output], parameters, where="[evaluation] output")
        )
        self._metrics = tuple(metrics)
        self._settings = settings or RunSettings()
        self._curve_key = curve_key

    def evaluate(self, task: EvaluationTask, *, cancelled: threading.Event) -> EvaluationResult:
        """Return the metrics of the task's architecture; see `Evaluator`."""
        task = replace(task, folder=task.folder.absolute())
        values = dict(task.architecture.values)
        argv = self._template.fill(values, built_in_values(task))
        if self._output is None:
            return self._from_output(argv, task, cancelled)
        path = self._settings.folder / self._output.fill(values, built_in_values(task))[0]
        return self._from_file(argv, task, cancelled, path)

    def _from_output(self, argv: list[str], task: EvaluationTask, cancelled: threading.Event) -> EvaluationResult:
        reader = MetricReader(self._metrics, curve_key=self._curve_key, on_point=task.on_point)
        finished = run_logged(argv, self._settings, task, cancelled=cancelled, on_stdout=reader.feed)
        finished.check()
        reader.end()
        return self._result(reader, finished, "printed", "no line of its output is")

    def _from_file(
        self, argv: list[str], task: EvaluationTask, cancelled: threading.Event, path: Path
    ) -> EvaluationResult:
        before = _stamp(path)
        curve = MetricReader((), curve_key=self._curve_key, on_point=task.on_point)
        finished = run_logged(argv, self._settings, task, cancelled=cancelled, on_stdout=curve.feed)
        finished.check()
        curve.end()
        if _stamp(path) is None:
            raise finished.failure(f"no metric: it wrote no {path}", "check `output` and the path that it writes to")
        if _stamp(path) == before:
            raise finished.failure(f"no metric: {path} is from an earlier run", "it did not write the file this time")
        reader = MetricReader(self._metrics, curve_key=self._curve_key)
        _feed_file(reader, path, finished)
        return self._result(reader, finished, "wrote", f"nothing in {path} is")

    def _result(self, reader: MetricReader, finished: Finished, verb: str, nothing: str) -> EvaluationResult:
        wanted = ", ".join(self._metrics)
        if reader.found is None and reader.seen:
            partly = f"no metric: {', '.join(sorted(reader.seen))} came, but never all of {wanted} in one JSON object"
            raise finished.failure(partly, "report all metrics together")
        if reader.found is None:
            example = "{" + ", ".join(f'"{name}": 0.5' for name in self._metrics) + "}"
            raise finished.failure(f"no metric: {nothing} a JSON object with {wanted}", f"such as {example}")
        twice = f"{wanted} {'written' if verb == 'wrote' else verb} {reader.count} times: the last counts"
        return result(reader.found, self._metrics, finished, verb, [twice] if reader.count > 1 else [])


def result(
    data: Mapping[str, object], metrics: Sequence[str], finished: Finished, verb: str, notes: Sequence[str] = ()
) -> EvaluationResult:
    """Return the result that a JSON object with every metric is.

    Args:
        data: the object.
        metrics: what is wanted of it.
        finished: the process that gave it.
        verb: how it gave it, for messages.
        notes: what else a person may want to know.

    Raises:
        EvaluationError: a metric in it is not a finite number.
    """
    try:
        reported = numbers(data, metrics, verb=verb)
    except EvaluationError as exc:
        raise finished.failure(exc.message, exc.hint) from exc
    return EvaluationResult(
        metrics=reported.metrics,
        sigmas=reported.sigmas,
        duration_s=finished.ending.duration_s,
        log=finished.log,
        extras=reported.extras,
        notes=(*notes, *finished.notes),
    )


def _feed_file(reader: MetricReader, path: Path, finished: Finished) -> None:
    try:
        with path.open("rb") as file:
            content = file.read(_METRIC_FILE_BYTES + 1)
    except OSError as exc:
        raise finished.failure(f"no metric: {path} cannot be read: {exc.strerror or exc}") from exc
    if len(content) > _METRIC_FILE_BYTES:
        raise finished.failure(
            f"no metric: {path} is larger than {_METRIC_FILE_BYTES // 10**6} MB",
            "write the metrics to a file of their own",
        )
    whole = parse_object(content.decode("utf-8", errors="replace"))
    if whole is not None:
        reader.offer(whole)
    else:
        reader.feed(content)
        reader.end()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is written; `None` where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
