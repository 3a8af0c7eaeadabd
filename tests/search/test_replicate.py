"""Training the front again when the search is over, with trainings made up in this process, and real ones that die."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from hwnas.errors import EvaluationError, StoppedError
from hwnas.evaluation import EvaluationResult
from hwnas.search import (
    Objective,
    PhaseStarted,
    ReplicaCompleted,
    ReplicaFailed,
    Study,
    StudyFinished,
    StudyStopped,
    Warned,
    optimize,
    resume_study,
    run_study,
)
from hwnas.search._front import pareto_front
from hwnas.search._replicas import replica_seed
from hwnas.search._replicate import lacking
from hwnas.space import Int, SearchSpace

WIDTHS = SearchSpace("widths", [Int("width", 1, 1000)])
OBJECTIVES = (Objective("accuracy", "maximize"), Objective("cost", "minimize"))


@dataclass
class Noisy:
    """Trains with noise that the seed decides; `fails` and `hangs` have folders' names."""

    sigma: float
    slope: float = 1.0
    fails: tuple = ()
    hangs: tuple = ()
    tasks: list = field(default_factory=list)
    hanging: threading.Event = field(default_factory=threading.Event)

    def truth(self, architecture):
        return self.slope * (1 - 1 / (1 + architecture["width"] / 100))

    def evaluate(self, task, *, cancelled):
        self.tasks.append(task)
        if task.folder.name in self.hangs:
            self.hanging.set()
            cancelled.wait(60)
            raise StoppedError("told to stop")
        if task.folder.name in self.fails:
            raise EvaluationError("exit code 1", "the log has more")
        noise = self.sigma * np.random.default_rng(task.seed).standard_normal()
        metrics = {"accuracy": self.truth(task.architecture) + noise, "cost": task.architecture["width"]}
        return EvaluationResult(metrics, {}, 0.1, task.folder / "log.txt", {"epoch": 3.0})

    @property
    def again(self):
        return [task for task in self.tasks if task.folder.name.startswith("again")]


@pytest.fixture
def make(make_study):
    def made(**settings):
        settings = {"trials": 16, "batch": 8, "start": 16, "replicas": 2, **settings}
        return make_study(objectives=OBJECTIVES, space=WIDTHS, strategy="sobol", **settings)

    return made


def test_every_member_of_the_front_is_trained_again_with_other_seeds(make, tmp_path):
    study, evaluator, heard = make(), Noisy(0.05), []
    result = optimize(study, evaluator=evaluator, folder=tmp_path, workers=3, on_event=heard.append)
    assert result.front
    assert all(len(trial.replicas) == 2 for trial in result.front)
    again = evaluator.again
    assert len({task.seed for task in evaluator.tasks}) == len(evaluator.tasks)
    by_trial = sorted((task.trial, task.seed, task.folder) for task in again)
    expected = sorted(
        (replica.trial, replica_seed(0, replica.trial, replica.number), folder(tmp_path, replica))
        for replica in study.replicas()
    )
    assert by_trial == expected
    for replica in study.replicas():
        true = evaluator.truth(study.trial(replica.trial).architecture)
        noise = 0.05 * np.random.default_rng(replica.seed).standard_normal()
        assert replica.values["accuracy"].value == true + noise
        assert replica.values["epoch"].value == 3.0
    phases = [event for event in heard if isinstance(event, PhaseStarted) and event.phase == "replicate"]
    completed = [event for event in heard if isinstance(event, ReplicaCompleted)]
    assert sum(len(phase.trials) for phase in phases) == len(completed) == len(again)
    assert set(completed[0].values) == {"accuracy", "cost"}
    assert isinstance(heard[-1], StudyFinished)


def folder(tmp_path, replica):
    return tmp_path / "trials" / f"{replica.trial:04d}" / f"again-{replica.number}"


def test_the_baseline_is_trained_again_too_wherever_it_stands(make, tmp_path):
    study, evaluator = make(replicas=1), Noisy(0.001)
    study.add([WIDTHS.architecture({"width": 1})], "baseline")
    (only,) = study.ask(1)
    study.tell(only, {"accuracy": 0.5, "cost": 1001.0})  # everything is better
    result = optimize(study, evaluator=evaluator, folder=tmp_path)
    assert only.number not in {trial.number for trial in result.front}
    assert len(study.baseline().replicas) == 1


def test_done_again_it_changes_nothing_and_more_are_added_to_those_there_are(make, tmp_path):
    study, evaluator = make(), Noisy(0.05)
    first = optimize(study, evaluator=evaluator, folder=tmp_path)
    count = len(evaluator.tasks)
    assert lacking(study) == []
    assert optimize(study, evaluator=evaluator, folder=tmp_path) == first
    assert len(evaluator.tasks) == count
    study.resize(replicas=3)
    assert set(lacking(study)) == {trial.number for trial in first.front}
    optimize(study, evaluator=evaluator, folder=tmp_path)
    assert {replica.number for replica in study.replicas() if replica.trial == first.front[0].number} == {1, 2, 3}
    assert all(len(trial.replicas) == 3 for trial in study.pareto_front())


def test_without_the_setting_nothing_is_trained_again(make, tmp_path):
    study, evaluator = make(replicas=0), Noisy(0.05)
    optimize(study, evaluator=evaluator, folder=tmp_path)
    assert evaluator.again == []


def test_a_failed_training_is_missing_and_harms_nothing(make, tmp_path):
    study, evaluator, heard = make(), Noisy(0.05, fails=("again-1",)), []
    result = optimize(study, evaluator=evaluator, folder=tmp_path, on_event=heard.append)
    assert all(trial.state == "complete" for trial in study.trials())
    assert all(len(trial.replicas) == 1 for trial in result.front)
    failed = [event for event in heard if isinstance(event, ReplicaFailed)]
    assert {event.error for event in failed} == {"exit code 1"}
    missing = [replica for replica in study.replicas() if replica.error]
    assert len(missing) == len(failed) == len(study.replicas()) / 2
    assert missing[0].error == "exit code 1\nthe log has more"
    count = len(evaluator.tasks)
    optimize(study, evaluator=evaluator, folder=tmp_path)
    assert len(evaluator.tasks) == count


def test_a_stop_hands_back_what_runs_and_the_rest_is_done_later(make, tmp_path):
    study, evaluator, heard, stop = make(), Noisy(0.05, hangs=("again-2",)), [], threading.Event()
    waiter = threading.Thread(target=lambda: evaluator.hanging.wait(60) and stop.set())
    waiter.start()
    optimize(study, evaluator=evaluator, folder=tmp_path, on_event=heard.append, stop=stop)
    waiter.join()
    assert isinstance(heard[-1], StudyStopped)
    assert [(replica.number, replica.is_over) for replica in study.replicas()] == [(1, True)]
    kept = study.replicas()
    evaluator.hangs = ()
    optimize(study, evaluator=evaluator, folder=tmp_path)
    assert [replica for replica in study.replicas() if replica in kept] == kept
    assert all(len(trial.replicas) == 2 for trial in study.pareto_front())
    assert all(replica.is_over for replica in study.replicas())


def test_a_bug_of_the_evaluator_leaves_nothing_held(make, tmp_path):
    study, evaluator = make(), Noisy(0.05)
    plain = evaluator.evaluate

    def broken(task, *, cancelled):
        if task.folder.name == "again-1":
            raise ZeroDivisionError("a bug")
        return plain(task, cancelled=cancelled)

    evaluator.evaluate = broken
    with pytest.raises(ZeroDivisionError):
        optimize(study, evaluator=evaluator, folder=tmp_path)
    assert [replica for replica in study.replicas() if not replica.is_over] == []


def test_a_training_that_ignores_its_seed_is_told(make, tmp_path):
    study, evaluator, heard = make(), Noisy(0.0), []
    optimize(study, evaluator=evaluator, folder=tmp_path, on_event=heard.append)
    warned = [event for event in heard if isinstance(event, Warned)]
    assert "does the training use its seed?" in warned[0].hint
    assert study.noise("accuracy") is None


def test_what_another_process_trains_is_left_to_it(make, tmp_path, monkeypatch):
    study, evaluator, heard = make(replicas=0), Noisy(0.05), []
    (best, *_) = optimize(study, evaluator=evaluator, folder=tmp_path).front
    study.resize(replicas=1)
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    for trial in study.pareto_front():
        study.begin_replica(trial)
    monkeypatch.undo()
    optimize(study, evaluator=evaluator, folder=tmp_path, on_event=heard.append)
    assert evaluator.again == []
    warned = [event for event in heard if isinstance(event, Warned)]
    assert "are left to other processes" in warned[0].message
    assert best.number in lacking(study)


def test_noise_as_large_as_all_differences_does_not_train_everything_again(make, tmp_path):
    study, evaluator, heard = make(trials=64, start=64, replicas=1), Noisy(1.0, slope=0.01), []
    optimize(study, evaluator=evaluator, folder=tmp_path, on_event=heard.append)
    repeated = {replica.trial for replica in study.replicas()}
    first = pareto_front(study.objectives, [replace(trial, replicas=()) for trial in study.trials()])
    assert 4 <= len(repeated) <= max(4, 2 * len(first))
    left = [trial.number for trial in study.pareto_front() if trial.number not in repeated]
    said = [event.message for event in heard if isinstance(event, Warned)]
    assert bool(left) == any("on the front with one training each" in message for message in said)


def test_the_winners_curse_is_mended(store, tmp_path):
    """The best of many networks that are all alike looks good; trained again, it looks much more like what it is."""
    from hwnas.search import SearchSettings

    def claimed(replicas, seed):
        search = {"name": f"curse-{replicas}-{seed}", "trials": 24, "batch": 24, "start": 24, "strategy": "sobol"}
        settings = SearchSettings(**search, seed=seed, replicas=replicas)
        study = Study.create(store, settings, WIDTHS, [Objective("accuracy", "maximize")])
        evaluator = Noisy(0.01, slope=0.0)
        plain = evaluator.evaluate

        def only_accuracy(task, *, cancelled):
            result = plain(task, cancelled=cancelled)
            return EvaluationResult({"accuracy": result.metrics["accuracy"]}, {}, 0.1, result.log)

        evaluator.evaluate = only_accuracy
        (best,) = optimize(study, evaluator=evaluator, folder=tmp_path).front
        return study.best_estimate(best, "accuracy").value

    once = np.array([claimed(0, seed) for seed in range(12)])
    again = np.array([claimed(4, seed) for seed in range(12)])
    assert once.mean() / 0.01 > 1.5  # the expected best of 24 is 1.95 standard deviations above the truth
    assert again.mean() < 0.65 * once.mean()


TRAIN = """
import argparse, json, os, pathlib, random, time
parser = argparse.ArgumentParser()
for flag in ("--width", "--trial", "--seed"):
    parser.add_argument(flag, type=int)
parser.add_argument("--folder", type=pathlib.Path)
options = parser.parse_args()
if pathlib.Path("slow").exists() and options.folder.name == "again-2":
    pathlib.Path("hangs").touch()
    time.sleep(60)
with open("trained", "a") as trained:
    trained.write(f"{options.trial}/{options.folder.name}\\n")
noise = random.Random(options.seed).gauss(0, 0.01)
print(json.dumps({"accuracy": 1 - 1 / options.width + noise, "cost": options.width}))
"""

STUDY = """
[search]
name = "widths"
trials = 8
batch = 8
strategy = "sobol"
replicas = 2

[space.parameters]
width = { type = "int", low = 1, high = 1000 }

[evaluation]
command = "{python} train.py --width {width} --trial {trial} --seed {seed} --folder {folder}"
timeout_s = 50

[[objectives]]
name = "accuracy"
direction = "maximize"

[[objectives]]
name = "cost"
direction = "minimize"
"""

RUNS = """
import sys
from pathlib import Path
from hwnas.search import run_study
from hwnas.workspace import Workspace
run_study(Path(sys.argv[1]), Workspace(Path(sys.argv[2])))
"""


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "train.py").write_text(TRAIN)
    (folder / "search.toml").write_text(STUDY)
    return folder


def trained(project):
    return (project / "trained").read_text().split()


def test_a_search_killed_among_them_loses_only_the_one_that_ran(project, workspace, store):
    (project / "slow").touch()
    process = subprocess.Popen([sys.executable, "-c", RUNS, str(project / "search.toml"), str(workspace.root)])
    end = time.monotonic() + 60.0
    while not (project / "hangs").exists():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (project / "slow").unlink()
    before = trained(project)
    study = Study.load(store, "widths")
    kept = [replica for replica in study.replicas() if replica.is_over]
    assert len(kept) == 1
    resume_study("widths", workspace)
    after = trained(project)
    assert len(set(after)) == len(after)
    assert after[: len(before)] == before
    assert [replica for replica in study.replicas() if replica in kept] == kept
    assert all(len(trial.replicas) == 2 for trial in study.pareto_front())


def test_a_finished_study_whose_file_wants_more_goes_on(project, workspace):
    text = (project / "search.toml").read_text()
    (project / "search.toml").write_text(text.replace("replicas = 2", "replicas = 0"))
    front = run_study(project / "search.toml", workspace).front
    assert not any(trial.replicas for trial in front)
    (project / "search.toml").write_text(text)
    front = run_study(project / "search.toml", workspace).front
    assert all(len(trial.replicas) == 2 for trial in front)
    assert (workspace.searches / "widths" / "trials" / f"{front[0].number:04d}" / "again-2" / "log.txt").exists()
