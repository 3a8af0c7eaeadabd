import os
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hwnas.evaluation import CommandEvaluator, EvaluationTask, RunSettings
from hwnas.space import Architecture


@pytest.fixture(autouse=True)
def buffered(monkeypatch):
    """Children that print a million lines do so in large pieces, as they do for users."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


@pytest.fixture
def task(tmp_path):
    """Make tasks, each with a folder of its own."""

    def make(trial=0, **values):
        folder = tmp_path / "trials" / str(trial)
        return EvaluationTask(Architecture("test", "1", values), trial, seed=100 + trial, folder=folder)

    return make


@pytest.fixture
def settings(tmp_path):
    """Make settings: a folder to run in, little time, little grace."""

    def make(**changes):
        return RunSettings(**{"folder": tmp_path, "timeout_s": 30.0, "grace_s": 0.3, **changes})

    return make


@pytest.fixture
def run(tmp_path, task, settings):
    """Run a Python script as the training command; returns its result."""

    def run(
        code, *arguments, metrics=("accuracy",), values=None, cancelled=None, output="stdout", on_point=None, **changes
    ):
        (tmp_path / "train.py").write_text(textwrap.dedent(code), encoding="utf-8")
        values = values or {}
        evaluator = CommandEvaluator(
            ["{python}", "train.py", *arguments], list(values), metrics, output=output, settings=settings(**changes)
        )
        return evaluator.evaluate(replace(task(**values), on_point=on_point), cancelled=cancelled or threading.Event())

    return run


def alive(pid):
    """Say whether a process is there and no zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_bytes().rpartition(b")")[2].split()[0] != b"Z"


@pytest.fixture
def gone():
    """Wait until processes have ended; says whether they have."""

    def gone(*pids, within_s=5.0):
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            if not any(alive(pid) for pid in pids):
                return True
            time.sleep(0.02)
        return False

    return gone


@pytest.fixture
def pids_in():
    """Wait for a file with process ids, and return them."""

    def read(path, count, within_s=10.0):
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            words = path.read_text().split() if path.exists() else []
            if len(words) >= count:
                return [int(word) for word in words]
            time.sleep(0.02)
        raise AssertionError(f"{path} did not get {count} process ids")

    return read
