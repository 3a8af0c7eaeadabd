"""A study whose training command gets into trouble, in another way for each value of one parameter; all of it real."""

import pytest

from hwnas.search import Study, TrialCompleted, TrialFailed, TrialState, Warned, run_study

from .test_optimize import kinds

TRAIN = """
import json, os, signal, sys
mood, width, group, path = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
line = json.dumps({"accuracy": 1 - 1 / width}) + "\\n"
if mood == "hungry":
    with open(os.path.join(group, "cgroup.procs"), "w") as procs:
        procs.write(str(os.getpid()))
    eaten = []
    while True:
        eaten.append(b"x" * 2**20)
if mood == "chatty":
    sys.stdout.write("".join(f"step {step}: so far so good\\n" for step in range(1_000_000)))
if mood != "silent":
    with open(path, "w") as file:
        file.write(line.replace("0.", "0.0") + line if mood == "twice" else line)
"""
STUDY = """
[search]
name = "trouble"
trials = 10
batch = 10
start = 10
strategy = "sobol"
attempts = 1
workers = 2

[space.parameters]
mood = {{ type = "categorical", choices = ["good", "hungry", "twice", "chatty", "silent"] }}
width = {{ type = "int", low = 8, high = 16, step = 8 }}

[evaluation]
command = "{{python}} train.py {{mood}} {{width}} {group} {{folder}}/metrics.json"
output = "{{folder}}/metrics.json"
log_bytes = 100_000

[[objectives]]
name = "accuracy"
direction = "maximize"
"""


@pytest.fixture
def project(tmp_path, memory_group):
    """A study file and its training; what is hungry may have 64 MiB."""
    (tmp_path / "train.py").write_text(TRAIN)
    path = tmp_path / "study.toml"
    path.write_text(STUDY.format(group=memory_group(64)))
    return path


def test_each_trial_says_what_was_wrong_and_the_study_goes_on(project, workspace, store):
    heard = []
    assert run_study(project, workspace, on_event=heard.append).finished
    study = Study.load(store, "trouble")
    trials = {(trial.architecture["mood"], trial.architecture["width"]): trial for trial in study.trials()}
    assert len(trials) == 10
    for width in (8, 16):
        true = 1 - 1 / width
        assert trials["good", width].values["accuracy"].value == true
        hungry = trials["hungry", width]
        assert hungry.state == TrialState.FAILED
        assert hungry.error.startswith("killed by signal SIGKILL by the kernel, which ran out of memory, with ")
        assert "make it smaller" in hungry.error
        twice = trials["twice", width]
        assert twice.values["accuracy"].value == true  # the last one
        assert study.moves(twice)[-1][-1] == "accuracy written 2 times: the last counts"
        chatty = trials["chatty", width]
        assert chatty.values["accuracy"].value == true
        assert "its log is cut" in study.moves(chatty)[-1][-1]
        log = workspace.searches / "trouble" / "trials" / f"{chatty.number:04d}" / "log.txt"
        assert log.stat().st_size < 150_000
        silent = trials["silent", width]
        assert silent.state == TrialState.FAILED
        assert silent.error.startswith("no metric: it wrote no ")
    assert len(kinds(heard, TrialCompleted)) == 6
    assert len(kinds(heard, TrialFailed)) == 4
    said = [event.message for event in kinds(heard, Warned)]
    assert sum("the last counts" in line for line in said) == 2
    assert sum("its log is cut" in line for line in said) == 2
