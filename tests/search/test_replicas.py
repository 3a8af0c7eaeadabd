"""Repeated trainings as a study keeps them."""

import math
import multiprocessing
import os
import signal
import subprocess
import sys

import pytest

from hwnas.errors import StudyError
from hwnas.search import Objective, Study, TrialState, Value
from hwnas.search._replicas import replica_seed
from hwnas.store import Store


@pytest.fixture
def told(make_study):
    """A study of two complete trials and one that is proposed; it wants two replicas."""
    study = make_study(replicas=2)
    first, second, _ = study.ask(3)
    study.tell(first, {"accuracy": 0.9, "p99_ms": 1.0})
    study.tell(second, {"accuracy": 0.8, "p99_ms": 2.0})
    return study


def test_further_trainings_stand_beside_the_first(told, store):
    told.record_replica(0, {"accuracy": 0.86, "loss": 0.4}, seed=17)
    trial = told.record_replica(0, {"accuracy": Value(0.82, 0.01)}, seed=18)
    assert trial.values["accuracy"] == Value(0.9)
    assert trial.replicas == ({"accuracy": Value(0.86), "loss": Value(0.4)}, {"accuracy": Value(0.82, 0.01)})
    assert (trial.trainings("accuracy"), trial.trainings("loss"), trial.trainings("p99_ms")) == (3, 1, 1)
    assert trial.mean("accuracy") == pytest.approx(0.86)
    assert trial.mean("p99_ms") == 1.0
    again = Study.load(store, "first")
    assert again.trial(0) == trial
    assert again.trial(1).replicas == ()
    assert [(item.number, item.seed, item.is_over) for item in again.replicas(0)] == [(1, 17, True), (2, 18, True)]
    assert trial.state == TrialState.COMPLETE


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"accuracy": math.nan}, "trial 0, accuracy: a value of nan is not a finite number"),
        ({"accuracy": "good"}, "trial 0, accuracy: 'good' is not a number"),
        ({"accuracy": 0.9, "p99_ms": 1.0}, "trial 0, p99_ms: no training tells it"),
        ({"loss": 0.4}, "a further training of trial 0 lacks accuracy"),
        ({}, "a further training of trial 0 lacks accuracy"),
    ],
)
def test_what_no_training_gives_is_refused_and_nothing_kept(told, values, said):
    with pytest.raises(StudyError, match=said):
        told.record_replica(0, values)
    begun = told.begin_replica(0)
    with pytest.raises(StudyError, match=said):
        told.record_replica(0, values, replica=begun)
    assert told.trial(0).replicas == ()


def test_only_complete_trials_are_trained_again(told):
    for action in (lambda: told.record_replica(2, {"accuracy": 0.9}), lambda: told.begin_replica(2)):
        with pytest.raises(StudyError, match="trial 2 is proposed: it has no further trainings"):
            action()
    with pytest.raises(StudyError, match="the study has no trial 9"):
        told.begin_replica(9)


def test_each_training_is_begun_once_with_a_seed_of_its_own(told):
    first, second = told.begin_replica(0), told.begin_replica(0)
    assert told.begin_replica(0) is None
    assert (first.number, second.number) == (1, 2)
    assert first.seed == replica_seed(0, 0, 1)
    assert len({first.seed, second.seed, told.begin_replica(1).seed}) == 3
    told.fail_replica(first, "diverged")
    told.record_replica(0, {"accuracy": 0.7}, replica=second)
    assert told.begin_replica(0) is None
    assert [(item.error, dict(item.values)) for item in told.replicas(0)] == [
        ("diverged", {}),
        (None, {"accuracy": Value(0.7)}),
    ]
    assert told.trial(0).replicas == ({"accuracy": Value(0.7)},)
    for late in (first, second):
        with pytest.raises(StudyError, match=f"training {late.number} of trial 0 is over"):
            told.record_replica(0, {"accuracy": 0.6}, replica=late)
    assert told.begin_replica(0, most=3).number == 3


def test_what_is_handed_back_is_given_out_again(told):
    first = told.begin_replica(0)
    told.release_replica(first)
    assert told.replicas(0) == []
    again = told.begin_replica(0)
    assert (again.number, again.seed) == (first.number, first.seed)


DIES = """
import os, signal, sys
from hwnas.search import Study
from hwnas.store import Store
study = Study.load(Store.open(sys.argv[1]), "first")
study.record_replica(0, {"accuracy": 0.85}, replica=study.begin_replica(0))
study.begin_replica(0)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_loses_only_what_it_was_training(told, workspace):
    died = subprocess.run([sys.executable, "-c", DIES, workspace.store_url], check=False)
    assert died.returncode == -signal.SIGKILL
    assert len(told.replicas(0)) == 2
    again = told.begin_replica(0)
    assert (again.number, again.seed) == (2, replica_seed(0, 0, 2))
    assert str(os.getpid()) in again.owner
    assert told.trial(0).replicas == ({"accuracy": Value(0.85)},)


def hold(url, done):
    """Begin further trainings of one trial until there are none, in a process of its own."""
    study = Study.load(Store.open(url), "first")
    while replica := study.begin_replica(0, most=40):
        done.put(replica.number)
        study.record_replica(0, {"accuracy": 0.5}, replica=replica)


def test_two_processes_never_begin_the_same_training(told, workspace):
    context = multiprocessing.get_context("spawn")
    done = context.Queue()
    processes = [context.Process(target=hold, args=(workspace.store_url, done)) for _ in range(2)]
    for process in processes:
        process.start()
    got = [done.get(timeout=60) for _ in range(40)]
    for process in processes:
        process.join(timeout=60)
    assert sorted(got) == list(range(1, 41))
    assert len(told.trial(0).replicas) == 40


def test_a_lucky_seed_leaves_the_front_and_what_it_hid_comes_up(told):
    assert [trial.number for trial in told.pareto_front()] == [0]
    third = told.trial(2)
    told.tell(third, {"accuracy": 0.88, "p99_ms": 1.1})
    assert [trial.number for trial in told.pareto_front()] == [0]
    told.record_replica(0, {"accuracy": 0.8})
    assert [trial.number for trial in told.pareto_front()] == [2, 0]
    assert told.best_under(p99_ms=3.0).number == 2


def test_a_limit_holds_for_the_mean_of_all_trainings(make_study):
    study = make_study(objectives=[Objective("accuracy", "maximize", limit=0.85), Objective("loss", "minimize")])
    (trial,) = study.ask(1)
    study.tell(trial, {"accuracy": 0.9, "loss": 1.0})
    assert len(study.pareto_front()) == 1
    study.record_replica(trial, {"accuracy": 0.7, "loss": 1.0})
    assert study.pareto_front() == []


def test_the_noise_is_that_of_all_repeated_trials(told):
    assert told.noise("accuracy") is None
    assert told.best_estimate(0, "accuracy") == Value(0.9)
    told.record_replica(0, {"accuracy": 0.86})
    told.record_replica(1, {"accuracy": 0.84})
    told.record_replica(1, {"accuracy": 0.82})
    noise = told.noise("accuracy")
    assert noise.dof == 3
    assert noise.sigma == pytest.approx(math.sqrt((2 * 0.02**2 + 2 * 0.02**2) / 3))
    assert told.best_estimate(1, "accuracy").sigma == pytest.approx(noise.sigma / math.sqrt(3))
    with pytest.raises(StudyError, match="'acuracy' is no objective"):
        told.noise("acuracy")
    with pytest.raises(StudyError, match="trial 2 has no accuracy yet"):
        told.best_estimate(2, "accuracy")


def test_how_many_are_wanted_may_change(told, store):
    told.resize(replicas=5)
    assert Study.load(store, "first").settings.replicas == 5


def test_what_another_machine_held_is_given_out_again_where_one_says_that_it_is_gone(told, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    assert told.begin_replica(0) is not None
    assert told.begin_replica(0) is not None
    monkeypatch.undo()
    assert told.begin_replica(0) is None
    told.reset_stale()
    assert told.begin_replica(0) is None
    told.record_replica(1, {"accuracy": 0.7}, seed=3)
    told.reset_stale(everywhere=True)
    assert told.begin_replica(0).number == 1
    assert len(told.trial(1).replicas) == 1
