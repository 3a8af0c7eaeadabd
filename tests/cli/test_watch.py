from datetime import UTC, datetime

import pytest

from hwnas.cli import _output
from hwnas.cli._board import Board
from hwnas.cli._watch import log, watching
from hwnas.search import (
    BatchProposed,
    FrontRemeasured,
    Objective,
    Progress,
    Provenance,
    ReplicaCompleted,
    ReplicaFailed,
    StudyFinished,
    StudyStarted,
    StudyStopped,
    Trial,
    TrialFailed,
    TrialStarted,
    TrialState,
    Value,
    Warned,
)
from hwnas.space import Architecture

OBJECTIVES = (Objective("accuracy", "maximize"),)
MADE_UP = Architecture("toy", "1", {"width": 8})
TRIAL = Trial(3, MADE_UP, TrialState.COMPLETE, 0, "sobol", datetime(2024, 1, 1, tzinfo=UTC), {"accuracy": Value(0.9)})
PROGRESS = Progress({"complete": 3}, 8, 0.5, 1.0, 2.0, 3.0, 60.0)


@pytest.fixture(autouse=True)
def fresh_consoles():
    _output.forget_consoles()
    yield
    _output.forget_consoles()


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        (StudyStarted("digits", 64, 0, resumed=False), ["searching digits: 64 trials"]),
        (StudyStarted("digits", 64, 16, resumed=True), ["going on with digits: 64 trials, 16 of them done"]),
        (BatchProposed(0, (0, 1), "sobol", 0.0, 0.1), ["batch 1: 2 trials by sobol"]),
        (
            BatchProposed(1, (2,), "saas-qnehvi", 12.0, 3.0),
            ["batch 2: 1 trial by saas-qnehvi, fit 12 s, acquisition 3.0 s"],
        ),
        (
            TrialFailed(7, "exit code 1", "see its log.txt", retried=True),
            ["warning: trial 7 failed: exit code 1; it will be tried again", "   hint: see its log.txt"],
        ),
        (
            FrontRemeasured(3, "p99_ms", Value(1.0, 0.1, Provenance.MEASURED), Value(1.1, 0.1, Provenance.MEASURED)),
            ["trial 3: p99 latency (ms) 1, measured again 1.1 (+10%)"],
        ),
        (
            ReplicaCompleted(TRIAL, 1, {"accuracy": Value(0.87)}),
            ["trial 3: accuracy 0.9, trained again 0.87"],
        ),
        (
            ReplicaFailed(3, 2, "exit code 1", "see its log.txt"),
            ["warning: training 2 of trial 3 again failed: exit code 1", "   hint: see its log.txt"],
        ),
        (Warned("the chain is poor", "more samples"), ["warning: the chain is poor", "   hint: more samples"]),
        (StudyStopped("digits", 9, 64, "hwnas search resume digits"), [
            "stopped digits: 9 of 64 trials done", "hwnas search resume digits",
        ]),
        (
            StudyFinished("digits", 64, (3, 5), 1.5),
            ["finished digits: 64 trials, 2 on the front, hypervolume 1.5"],
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, list) else "",
)  # fmt: skip
def test_what_is_worth_keeping_is_a_line(event, lines, capsys):
    assert log(event)
    captured = capsys.readouterr()
    assert captured.err.splitlines() == lines
    assert captured.out == ""


def test_what_is_not_is_none(capsys):
    assert not log(PROGRESS)
    assert not log(TrialStarted(1, 1))
    assert capsys.readouterr().err == ""


def test_without_a_terminal_progress_is_a_line_now_and_then(capsys):
    now_s = [0.0]
    with watching(Board(OBJECTIVES), clock=lambda: now_s[0]) as listen:
        for now_s[0] in (1.0, 5.0, 11.0, 12.0, 20.0, 22.0):
            listen(PROGRESS)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("3 of 8 trials · hypervolume 0.5")


def test_on_a_terminal_the_panel_stays_and_failures_scroll_by(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with watching(Board(OBJECTIVES)) as listen:
        listen(StudyStarted("digits", 8, 0, resumed=False))
        listen(TrialFailed(3, "exit code 9", "", retried=False))
        listen(PROGRESS)
    err = capsys.readouterr().err
    assert "trial 3 failed: exit code 9" in err
    assert "╭─ digits" in err
    assert "3 of 8" in err
