from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from hwnas.cli._board import Board
from hwnas.search import (
    BatchProposed,
    Growth,
    LatencyCounts,
    LatencySettled,
    Objective,
    PhaseStarted,
    Progress,
    Provenance,
    ReplicaCompleted,
    ReplicaFailed,
    StudyStarted,
    Trial,
    TrialAbandoned,
    TrialCompleted,
    TrialFailed,
    TrialState,
    Value,
)
from hwnas.space import Architecture

OBJECTIVES = (
    Objective("accuracy", "maximize"),
    Objective("p99_ms", "minimize", "device", "host", limit=2.0),
)


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def board(clock):
    return Board(OBJECTIVES, clock=clock)


def completed(number, accuracy, p99_ms):
    architecture = Architecture("toy", "1", {"width": number})
    values = {"accuracy": Value(accuracy), "p99_ms": Value(p99_ms)}
    state = TrialState.COMPLETE
    return TrialCompleted(Trial(number, architecture, state, 0, "sobol", datetime(2024, 1, 1, tzinfo=UTC), values))


def text(board):
    console = Console(width=120, record=True, file=None, force_terminal=False, no_color=True)
    with console.capture() as captured:
        console.print(board.panel())
    return captured.get()


def hear(board, *events):
    for event in events:
        board.hear(event)


def test_before_anything_is_heard(board):
    assert "starting" in text(board)
    assert board.line() == "0 of 0 trials"


def test_the_panel_says_how_it_stands(board, clock):
    hear(
        board,
        StudyStarted("digits", 64, 0, resumed=False),
        PhaseStarted("propose", 1, (), None),
        BatchProposed(1, tuple(range(16, 32)), "saas-qnehvi", 12.0, 3.5),
        PhaseStarted("measure", 1, tuple(range(16, 32)), "host"),
    )
    clock.now_s = 70.0
    hear(
        board,
        PhaseStarted("evaluate", 1, tuple(range(16, 32)), None),
        completed(16, 0.97, 1.5),
        completed(17, 0.95, 0.5),
        TrialFailed(18, "exit code 1", "see the log", retried=False),
        TrialAbandoned(replace(completed(19, 0.3, 0.7).trial, state=TrialState.ABANDONED, error="hopeless")),
        Progress(
            {"complete": 18, "running": 2, "failed": 1, "abandoned": 1},
            64,
            1.2345,
            15.5,
            70.0,
            65.0,
            200.0,
            (),
            Growth(16, 0.072),
        ),
    )
    clock.now_s = 112.0
    shown = text(board)
    assert "digits" in shown
    assert "20 of 64" in shown
    assert "18 complete · 2 running · 1 failed · 1 abandoned" in shown
    assert "training, batch 2 (4 of 16), 42 s" in shown
    assert "1.234 (7% from the last 16 trials)" in shown
    assert "accuracy 0.97  (trial 16: p99 latency on host (ms) 1.5)" in shown
    assert "p99 latency on host (ms) 0.5  (trial 17: accuracy 0.95)" in shown
    assert "fit 12 s · acquisition 3.5 s · measuring 1 min 10 s · training 42 s" in shown
    assert "about 3 min 20 s left" in shown


def test_what_breaks_a_limit_is_never_the_best(board):
    hear(board, completed(0, 0.9, 1.0), completed(1, 0.99, 2.5))
    assert "accuracy 0.9  (trial 0" in text(board)


def test_the_line_says_the_same_in_short(board, clock):
    hear(
        board,
        StudyStarted("digits", 64, 16, resumed=True),
        PhaseStarted("measure", 2, (1, 2, 3), "host"),
        Progress({"complete": 16, "failed": 1, "abandoned": 2}, 64, 0.5, 1.0, 2.0, 3.0, None),
    )
    clock.now_s = 3.0
    assert board.line() == (
        "19 of 64 trials · 1 failed · 2 abandoned · hypervolume 0.5 · measuring on host, batch 3 (0 of 3), 3.0 s"
    )


def test_a_resumed_search_knows_its_best(board):
    board.seed([completed(3, 0.8, 1.0).trial])
    assert "trial 3" in text(board)


def test_a_name_that_looks_like_markup(board):
    board.hear(StudyStarted("[bold]x", 1, 0, resumed=False))
    assert "[bold]x" in text(board)


def test_a_prediction_is_marked_until_it_is_measured(board):
    value = Value(0.5, 0.1, Provenance.PREDICTED)
    event = completed(3, 0.9, 0.5)
    guess = replace(event.trial, values={**event.trial.values, "p99_ms": value})
    counts = LatencyCounts("host", measured=8, predicted=1, again=0)
    progress = Progress({"complete": 1}, 4, 0.1, 0.0, 0.0, 0.0, None, (counts,))
    hear(board, TrialCompleted(guess), progress)
    assert "p99 latency on host (ms) ~0.5" in text(board)
    assert "8 networks measured, 1 predicted: 1 measurement saved" in text(board)
    measured = Value(0.625, 0.1, Provenance.MEASURED)
    hear(board, PhaseStarted("settle", 0, (3,), "host"), LatencySettled(3, "p99_ms", value, measured))
    assert "p99 latency on host (ms) 0.625" in text(board)
    assert "measuring what the front hangs on on host" in text(board)


def test_trainings_of_the_front_are_counted_and_the_best_is_the_mean(board, clock):
    board.hear(StudyStarted("digits", 2, 2, resumed=True))
    lucky, steady = completed(0, 0.9, 1.0).trial, completed(1, 0.88, 0.5).trial
    board.seed([lucky, steady])
    board.hear(PhaseStarted("replicate", 3, (0, 0, 1)))
    clock.now_s = 5.0
    board.hear(ReplicaCompleted(replace(lucky, replicas=({"accuracy": Value(0.7)},)), 1, {"accuracy": Value(0.7)}))
    board.hear(ReplicaFailed(0, 2, "exit code 1", ""))
    assert "replicating front members (2 of 3), 5.0 s" in text(board)
    assert "training 5.0 s" in text(board)
    assert "accuracy 0.88  (trial 1" in text(board)
