"""Study files, with real commands in real processes, and no device."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from hwnas.errors import ConfigError, DeviceNotFoundError, SpaceError, StudyError, StudyNotFoundError
from hwnas.search import Study, StudyFinished, StudyStarted, TrialStarted, TrialState, resume_study, run_study
from hwnas.store import Store

TRAIN = """
import argparse, json, pathlib, time
parser = argparse.ArgumentParser()
for flag in ("--width", "--trial"):
    parser.add_argument(flag, type=int)
parser.add_argument("--log", type=pathlib.Path)
options = parser.parse_args()
if pathlib.Path("slow").exists() and options.trial % 4 > 1:
    pathlib.Path(f"hangs-{options.trial}").touch()
    time.sleep(60)
if pathlib.Path("broken").exists():
    raise SystemExit("out of memory")
with open("trained", "a") as trained:
    trained.write(f"{options.trial}\\n")
print(json.dumps({"accuracy": 1 - 1 / options.width, "cost": options.width}))
"""

STUDY = """
[search]
name = "widths"
trials = 12
batch = 4
strategy = "sobol"
workers = 2

[space.parameters]
width = { type = "int", low = 1, high = 1000 }

[evaluation]
command = "{python} train.py --width {width} --trial {trial}"
timeout_s = 50

[[objectives]]
name = "accuracy"
direction = "maximize"

[[objectives]]
name = "cost"
direction = "minimize"
"""


SPACE = '[space.parameters]\nwidth = { type = "int", low = 1, high = 1000 }'
COST = 'name = "cost"\ndirection = "minimize"'


@pytest.fixture
def project(tmp_path):
    """A project folder with a study file and a training script that notes what it trained."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "train.py").write_text(TRAIN)
    (folder / "search.toml").write_text(STUDY)
    return folder


def edit(project, *replacements):
    path = project / "search.toml"
    text = path.read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def trained(project):
    path = project / "trained"
    return sorted(int(line) for line in path.read_text().split()) if path.exists() else []


def run(project, workspace, **how):
    return run_study(project / "search.toml", workspace, **how)


def test_a_file_is_run_to_its_end_and_then_left_alone(project, workspace, store):
    result = run(project, workspace)
    assert result.finished
    assert trained(project) == list(range(12))
    study = Study.load(store, "widths")
    assert study.source == str(project / "search.toml")
    assert [trial.state for trial in study.trials()] == [TrialState.COMPLETE] * 12
    assert (workspace.searches / "widths" / "trials" / "0003" / "log.txt").exists()
    heard = []
    again = run(project, workspace, on_event=heard.append)
    assert again == result
    assert [type(event) for event in heard] == [StudyStarted, StudyFinished]
    assert heard[0].finished == 12
    assert resume_study("widths", workspace) == result
    assert trained(project) == list(range(12))


def test_a_longer_file_goes_on(project, workspace):
    run(project, workspace)
    edit(project, ("trials = 12", "trials = 14"), ("workers = 2", "workers = 1"))
    assert run(project, workspace).finished
    assert trained(project) == list(range(14))


BASELINE = "\n[baseline.values]\nwidth = 321\n"


def test_the_baseline_is_tried_first_and_the_start_is_as_without(project, workspace, store):
    run(project, workspace)
    without = [trial.id for trial in Study.load(store, "widths").trials()]
    edit(project, ('name = "widths"', 'name = "compared"'), ("[evaluation]", BASELINE + "[evaluation]"))
    run(project, workspace)
    study = Study.load(store, "compared")
    first, *others = study.trials()
    assert (first.number, first.origin, first.architecture["width"]) == (0, "baseline", 321)
    assert study.baseline() == first
    assert [trial.id for trial in others] == without[:11]
    assert resume_study("compared", workspace).finished


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("width = 1001", "search.toml, .baseline.values.: the baseline is none of the space: .*width.*1001"),
        ("with = 8", "the baseline is none of the space: .*with"),
        ("", "the baseline is none of the space: .*width"),
    ],
)
def test_a_baseline_of_another_space_is_refused_before_anything_is_kept(project, workspace, store, line, said):
    edit(project, ("[evaluation]", f"[baseline.values]\n{line}\n[evaluation]"))
    with pytest.raises(ConfigError, match=said):
        run(project, workspace)
    assert Study.names(store) == []


def test_another_baseline_is_another_study(project, workspace):
    edit(project, ("[evaluation]", BASELINE + "[evaluation]"))
    run(project, workspace)
    edit(project, ("width = 321", "width = 322"))
    with pytest.raises(StudyError, match=r"it differs .* in baseline.values.width"):
        run(project, workspace)


def test_another_file_of_that_name_is_refused_and_what_differs_is_named(project, workspace):
    run(project, workspace)
    edit(project, ("batch = 4", "batch = 3\nseed = 1"), ("high = 1000", "high = 999"))
    with pytest.raises(StudyError, match="study 'widths' already, and it differs") as caught:
        run(project, workspace)
    assert "search.batch, search.seed, space.parameters.width.high" in caught.value.message
    assert "--again" in caught.value.hint
    assert run(project, workspace, again=True).finished
    assert trained(project) == sorted([*range(12), *range(12)])


def test_a_space_that_changed_its_code_is_another_space(project, workspace):
    (project / "space.py").write_text(
        "from hwnas.space import Int, SearchSpace\nspace = SearchSpace('widths', [Int('width', 1, 900)])\n"
    )
    edit(
        project,
        (SPACE, "[space]\npython = 'space.py:space'"),
    )
    assert run(project, workspace).finished
    source = project / "space.py"
    source.write_text(source.read_text().replace("900", "901"))
    with pytest.raises(StudyError, match=r"differs from .* in the space that space.py:space describes"):
        run(project, workspace)
    with pytest.raises(StudyError, match="searches another space"):
        resume_study("widths", workspace)


@pytest.mark.parametrize(
    ("old", "new", "error", "said"),
    [
        ("--width {width}", "--width {wdith}", ConfigError, r"unknown placeholder \{wdith\}"),
        (
            COST,
            'name = "p99_ms"\ndevice = "phone"',
            ConfigError,
            "the space makes none",
        ),
        (
            SPACE,
            '[space]\nbuiltin = "x"',
            SpaceError,
            "no built-in space is called 'x'",
        ),
    ],
)
def test_what_the_file_names_is_checked_before_anything_is_kept(project, workspace, store, old, new, error, said):
    edit(project, (old, new))
    with pytest.raises(error, match=said):
        run(project, workspace)
    assert Study.names(store) == []


def test_a_missing_device_is_named_before_anything_is_kept(project, workspace, store):
    edit(
        project,
        (COST, 'name = "p99_ms"\ndevice = "phone"'),
        ("[evaluation]", '[network]\ncommand = "export {network}"\n\n[evaluation]'),
    )
    with pytest.raises(DeviceNotFoundError, match="phone"):
        run(project, workspace)
    assert Study.names(store) == []


def test_a_device_that_does_not_run_what_the_command_writes_is_named_before_anything_is_kept(project, workspace, store):
    (workspace.devices / "lite.toml").write_text('transport = "host"\nruntime = "litert"\nthreads = 1\n')
    edit(
        project,
        (COST, 'name = "p99_ms"\ndevice = "lite"'),
        ("[evaluation]", '[network]\ncommand = "export {network}"\n\n[evaluation]'),
    )
    with pytest.raises(ConfigError, match=r"device 'lite' runs tflite \(litert\), .* writes onnx"):
        run(project, workspace)
    assert Study.names(store) == []


def test_only_a_study_from_a_file_can_be_resumed(project, workspace, make_study):
    make_study()
    with pytest.raises(StudyError, match="made by a program"):
        resume_study("first", workspace)
    with pytest.raises(StudyNotFoundError, match="no study 'widths'"):
        resume_study("widths", workspace)
    run(project, workspace)
    project.rename(project.with_name("moved"))
    with pytest.raises(StudyError, match="that folder is gone"):
        resume_study("widths", workspace)


def test_a_broken_command_ends_the_study_with_its_reason(project, workspace):
    (project / "broken").touch()
    with pytest.raises(StudyError, match=r"all 4 trials so far failed; the last, trial 3: .*exit code 1"):
        run(project, workspace)


def test_a_stop_ends_what_runs_and_resuming_finishes_it(project, workspace, store):
    (project / "slow").touch()
    stop = threading.Event()

    def hear(event):
        if isinstance(event, TrialStarted) and event.number == 3:
            stop.set()

    began = time.monotonic()
    assert not run(project, workspace, on_event=hear, stop=stop).finished
    assert time.monotonic() - began < 30.0
    study = Study.load(store, "widths")
    assert [trial.state for trial in study.trials()] == ["complete", "complete", "proposed", "proposed"]
    (project / "slow").unlink()
    assert resume_study("widths", workspace).finished
    assert trained(project) == list(range(12))


RUNS = """
import sys
from pathlib import Path
from hwnas.search import run_study
from hwnas.workspace import Workspace
run_study(Path(sys.argv[1]), Workspace(Path(sys.argv[2])))
"""


def wait_until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_killed_search_resumes_with_nothing_lost_and_nothing_done_twice(project, workspace, store, asynchronous):
    edit(project, ("workers = 2", f"workers = 2\nasynchronous = {str(asynchronous).lower()}"))
    uninterrupted = workspace.root.with_name("other")
    other = type(workspace).create(uninterrupted)
    run(project, other)
    expected = [trial.id for trial in Study.load(Store.open(other.store_url), "widths").trials()]
    (project / "trained").unlink()

    (project / "slow").touch()  # trials 2 and 3 of each batch hang: a kill catches them at it
    arguments = [sys.executable, "-c", RUNS, str(project / "search.toml"), str(workspace.root)]
    process = subprocess.Popen(arguments)
    states = [TrialState.COMPLETE, TrialState.COMPLETE, TrialState.RUNNING, TrialState.RUNNING]
    wait_until(lambda: "widths" in Study.names(store))
    study = Study.load(store, "widths")
    wait_until(lambda: [trial.state for trial in study.trials()[:4]] == states)
    wait_until(lambda: not asynchronous or len(study.trials()) == 8)  # those that wait for the two that hang
    wait_until(lambda: all((project / f"hangs-{number}").exists() for number in (2, 3)))
    before = study.trials()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert trained(project) == [0, 1]

    (project / "slow").unlink()
    heard = []
    assert resume_study("widths", workspace, on_event=heard.append).finished
    assert heard[0] == StudyStarted("widths", 12, 2, resumed=True)
    after = study.trials()
    assert trained(project) == list(range(12))
    assert [trial.id for trial in after] == expected
    assert after[:2] == before[:2]
    assert [trial.attempts for trial in after] == [1] * 12
    assert {len(study.moves(trial)) for trial in after[:2]} == {3}
    assert [new for _, _, new, _ in study.moves(2)] == [
        "proposed",
        "running",
        "stale",
        "proposed",
        "running",
        "complete",
    ]


def test_two_searches_share_a_study(project, workspace, store):
    edit(project, ("trials = 12", "trials = 20"))
    arguments = [sys.executable, "-c", RUNS, str(project / "search.toml"), str(workspace.root)]
    processes = [subprocess.Popen(arguments) for _ in range(2)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    study = Study.load(store, "widths")
    assert study.is_finished
    assert trained(project) == list(range(20))


def test_replicas_without_a_training_are_refused_and_the_study_stays_as_it_was(project, workspace, store):
    (project / "search.toml").write_text(
        '[search]\nname = "params"\ntrials = 4\nbatch = 4\nstrategy = "sobol"\n[space]\nbuiltin = "digits"\n'
        '[[objectives]]\nname = "params"\ndirection = "minimize"\n'
    )
    run(project, workspace)
    with pytest.raises(ConfigError, match="replicas = 2 repeats trainings"):
        resume_study("params", workspace, sizes={"replicas": 2})
    with pytest.raises(ConfigError, match="replicas = 2 repeats trainings"):
        Study.load(store, "params").resize(replicas=2)
    assert resume_study("params", workspace, sizes={"trials": 6}).finished
    assert len(Study.load(store, "params").trials()) == 6


def test_a_resume_that_is_refused_changes_nothing(project, workspace, store, make_study):
    make_study()
    with pytest.raises(StudyError, match="made by a program"):
        resume_study("first", workspace, sizes={"trials": 20})
    assert Study.load(store, "first").settings.trials == 8
    run(project, workspace)
    with pytest.raises(ConfigError, match="has 12 trials, and cannot have 5"):
        resume_study("widths", workspace, sizes={"trials": 5})
    project.rename(project.with_name("moved"))
    with pytest.raises(StudyError, match="that folder is gone"):
        resume_study("widths", workspace, sizes={"trials": 20})
    assert Study.load(store, "widths").settings.trials == 12


def test_a_file_whose_study_was_made_larger_since_leaves_it_so(project, workspace):
    run(project, workspace)
    resume_study("widths", workspace, sizes={"trials": 14})
    assert run(project, workspace).finished
    assert trained(project) == list(range(14))


@pytest.mark.parametrize(
    ("break_it", "error"),
    [
        (lambda project, folder: edit(project, ("{width} --trial", "{widht} --trial")), ConfigError),
        (lambda project, folder: (shutil.rmtree(folder), folder.write_text("")), StudyError),
    ],
    ids=["a wrong command", "no folder"],
)
def test_what_is_to_be_replaced_goes_only_when_the_new_one_is_sound(project, workspace, store, break_it, error):
    run(project, workspace)
    break_it(project, workspace.searches / "widths")
    with pytest.raises(error):
        run(project, workspace, again=True)
    assert len(Study.load(store, "widths").trials(TrialState.COMPLETE)) == 12


EXPORT = """
import sys, torch
torch.onnx.export(torch.nn.Linear(2, int(sys.argv[2])).eval(), torch.zeros(1, 2), sys.argv[1], dynamo=False)
"""


def test_again_writes_the_network_files_anew(project, workspace, store):
    (project / "export.py").write_text(EXPORT)
    (project / "search.toml").write_text(
        '[search]\nname = "files"\ntrials = 2\nbatch = 2\nstrategy = "sobol"\n'
        '[space.parameters]\nwidth = { type = "int", low = 1, high = 9 }\n'
        '[network]\ncommand = "{python} export.py {network} {width}"\n'
        '[[objectives]]\nname = "size_bytes"\ndirection = "minimize"\n'
    )

    def sizes():
        run(project, workspace, again=True)
        return [trial.values["size_bytes"].value for trial in Study.load(store, "files").trials()]

    before = sizes()
    (project / "export.py").write_text(EXPORT.replace("int(sys.argv[2])", "1000 * int(sys.argv[2])"))
    assert all(after > 5 * size for size, after in zip(before, sizes(), strict=True))
