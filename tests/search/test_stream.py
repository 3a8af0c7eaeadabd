"""Asynchronous searches: workers never wait for the slowest of a batch, and what is pending is known."""

import threading
import time

import pytest

from hwnas.errors import DeviceConnectionError, EvaluationError, StoppedError, StudyError
from hwnas.evaluation import EvaluationResult
from hwnas.search import (
    BatchProposed,
    PhaseStarted,
    Progress,
    StudyFinished,
    TrialCompleted,
    TrialState,
    ValueRecorded,
    optimize,
)

from .test_optimize import kinds, tools  # noqa: F401  a fixture


class Workers:
    """Trains at once, but for one trial, which takes until so many others are over; notes who was busy."""

    def __init__(self, truth, tmp_path, slow=(), until=0):
        self.truth, self.tmp_path, self.slow, self.until = truth, tmp_path, slow, until
        self.over, self.busy, self.waited = [], 0, False
        self.enough = threading.Event()
        self._lock = threading.Lock()

    def evaluate(self, task, *, cancelled):
        if task.trial in self.slow:
            end = time.monotonic() + 60.0
            while not self.enough.wait(0.01):
                if cancelled.is_set():
                    raise StoppedError("told to stop")
                if time.monotonic() > end:
                    raise EvaluationError("the others wait for this training", "they should not")
            self.waited = True
        with self._lock:
            self.over.append(task.trial)
            if len(self.over) >= self.until:
                self.enough.set()
        accuracy = self.truth(task.architecture)["accuracy"]
        return EvaluationResult({"accuracy": accuracy}, {}, 0.1, self.tmp_path / "log")


@pytest.fixture
def streaming(make_study, tools, made_up, tmp_path):  # noqa: F811
    """Make an asynchronous study with its tools; trials of `slow` take until `until` others are over."""

    def make(slow=(), until=0, bad=(), crash=(), error=None, **settings):
        settings = {"trials": 24, "batch": 4, "start": 24, "asynchronous": True, **settings}
        study = make_study(**settings)
        made = tools(bad=bad, crash=crash, error=error)
        made["evaluator"] = Workers(made_up.truth, tmp_path, slow, until)
        return study, made

    return make


def test_one_slow_training_keeps_no_worker_waiting(streaming):
    study, made = streaming(slow=(1,), until=20)
    heard = []
    result = optimize(study, **made, workers=2, on_event=heard.append)
    assert result.finished
    assert made["evaluator"].waited
    assert study.counts()[TrialState.COMPLETE] == 24
    assert made["evaluator"].over.index(1) >= 20  # in batches of four it would have been among the first four
    assert all(trial.attempts == 1 for trial in study.trials())
    assert len(kinds(heard, BatchProposed)) == 6
    assert isinstance(heard[-1], StudyFinished)
    assert kinds(heard, Progress)[-1].counts["complete"] == 24


def test_in_batches_the_others_wait_for_it(streaming):
    study, made = streaming(slow=(1,), until=4, asynchronous=False, trials=8, attempts=1)
    made["evaluator"].until = 3
    optimize(study, **made, workers=2)
    assert made["evaluator"].over.index(1) == 3


def test_what_waits_and_what_runs_is_known_when_the_next_are_chosen(streaming, listed):
    study, made = streaming(slow=(1,), until=20, start=0)
    seen, propose = [], listed.propose

    def noting(space, objectives, trials, n, rng, *, cancelled=None):
        seen.append({trial.number: trial.state for trial in trials})
        return propose(space, objectives, trials, n, rng)

    listed.propose = noting
    study.strategy = listed
    optimize(study, **made, workers=2)
    assert len(seen) == 6
    for batch, states in enumerate(seen):
        assert len(states) == 4 * batch  # it is told of every trial
        if 1 <= batch <= 3:
            assert states[1] in (TrialState.RUNNING, TrialState.PROPOSED)
    assert seen[3][1] == TrialState.RUNNING
    assert len({trial.id for trial in study.trials()}) == 24
    # the same store and the same batch give the same proposals: the generator depends on the batch alone
    draws = [draw for _, _, draw in listed.calls]
    other, again = streaming(start=0, name="second", asynchronous=False)
    listed.calls.clear()
    other.strategy = listed
    optimize(other, **again)
    assert [draw for _, _, draw in listed.calls] == draws


def test_events_are_heard_in_the_callers_thread_and_in_order(streaming):
    study, made = streaming(slow=(2,), until=10, remeasure=False)
    threads, heard = set(), []

    def hear(event):
        threads.add(threading.current_thread())
        heard.append(event)

    optimize(study, **made, workers=2, on_event=hear)
    assert threads == {threading.current_thread()}
    for number in range(24):
        values = [place for place, event in enumerate(heard) if getattr(event, "number", None) == number]
        over = [
            place
            for place, event in enumerate(heard)
            if isinstance(event, TrialCompleted) and event.trial.number == number
        ]
        assert isinstance(heard[values[0]], ValueRecorded)
        assert max(values) < over[0]
    assert {event.phase for event in kinds(heard, PhaseStarted)} >= {"propose", "network", "measure", "evaluate"}


def test_failures_are_tried_again_and_stay_with_their_trials(streaming):
    study, made = streaming(bad=(0,), crash=(1,))
    plain, failed = made["evaluator"].evaluate, []

    def evaluate(task, *, cancelled):
        if task.trial == 5 and task.attempt == 1:
            failed.append(task.seed)
            raise EvaluationError("out of luck", "again")
        return plain(task, cancelled=cancelled)

    made["evaluator"].evaluate = evaluate
    assert optimize(study, **made, workers=2).finished
    assert study.trial(0).state == TrialState.FAILED
    assert [(study.trial(number).state, study.trial(number).attempts) for number in (1, 5)] == [("complete", 2)] * 2
    assert failed


def test_it_gives_up_when_nothing_ever_works(streaming):
    study, made = streaming(attempts=1)

    def evaluate(task, *, cancelled):
        raise EvaluationError("exit code 1", "look")

    made["evaluator"].evaluate = evaluate
    with pytest.raises(StudyError, match="trials so far failed; the last"):
        optimize(study, **made, workers=2)
    assert 4 <= study.counts()[TrialState.FAILED] < 24
    assert all(trial.owner is None for trial in study.trials() if not trial.state.finished)


def test_a_stop_ends_trainings_and_hands_their_trials_back(streaming):
    study, made = streaming(slow=(3,), until=99)
    stop = threading.Event()

    def hear(event):
        if isinstance(event, TrialCompleted) and len(study.trials(TrialState.COMPLETE)) > 8:
            stop.set()

    assert not optimize(study, **made, workers=2, on_event=hear, stop=stop).finished
    left = study.trials(TrialState.PROPOSED)
    assert 3 in {trial.number for trial in left}
    assert all((trial.owner, trial.attempts) == (None, 0) for trial in left)
    made["evaluator"].slow = ()
    assert optimize(study, **made, workers=2).finished
    assert study.counts()[TrialState.COMPLETE] == 24
    assert sorted(made["evaluator"].over) == list(range(24))


def test_a_stop_while_networks_are_written_is_a_clean_stop(streaming):
    study, made = streaming(slow=(1,), until=99)
    stop, plain = threading.Event(), made["networks"].write

    def slowly(task, *, cancelled):
        if task.trial >= 4:
            stop.set()
            time.sleep(0.5)  # the workers go home meanwhile
        return plain(task, cancelled=cancelled)

    made["networks"].write = slowly
    assert not optimize(study, **made, workers=2, stop=stop).finished
    assert all(trial.owner is None for trial in study.trials(TrialState.PROPOSED))


def test_a_lost_device_lets_what_runs_come_to_its_end(streaming):
    lost = DeviceConnectionError("the phone is gone", "plug it in")
    study, made = streaming(slow=(1,), until=3)
    measure, calls = made["measurer"].measure, []

    def measuring(*arguments, **how):
        calls.append(arguments)
        if len(calls) == 2:
            made["evaluator"].enough.set()
            raise lost
        return measure(*arguments, **how)

    made["measurer"].measure = measuring
    with pytest.raises(DeviceConnectionError, match="the phone is gone"):
        optimize(study, **made, workers=2)
    assert study.trial(1).state == TrialState.COMPLETE
    left = study.trials(TrialState.PROPOSED)
    assert all((trial.owner, trial.attempts) == (None, 0) for trial in left)
    assert optimize(study, **made, workers=2).finished


def test_without_trainings_there_is_nothing_to_stream(make_study, tools):  # noqa: F811
    from hwnas.search import Objective

    study = make_study(objectives=[Objective("size_bytes", "minimize", "network")], asynchronous=True)
    assert optimize(study, networks=tools()["networks"]).finished
