import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import pytest

from hwnas.workspace import Workspace

from .conftest import wait_until

STUDY = """
[search]
name = "toy"
trials = 4
batch = 2
start = 4
strategy = "sobol"
workers = 2
remeasure = true
attempts = 1
seed = 0

[space.parameters]
width = {{ type = "int", low = 1, high = 64 }}

[evaluation]
command = "{{python}} train.py {{width}} {{trial}}"

[[objectives]]
name = "accuracy"
direction = "maximize"

[[objectives]]
name = "cost"
direction = "minimize"
source = "evaluation"
{more}
"""
TRAIN = """
import json, sys
width = int(sys.argv[1])
print(json.dumps({"accuracy": 1 - 1 / width, "cost": width}))
"""
SLOW = "import time; time.sleep(0.6)\n" + TRAIN
NOISY = """
import json, random, sys
width, noise = int(sys.argv[1]), random.Random(int(sys.argv[2])).gauss(0, 0.01)
print(json.dumps({"accuracy": 1 - 1 / width + noise, "cost": width}))
"""
FAILS = 'import sys\nif sys.argv[2] == "1": sys.exit("out of luck")\n' + TRAIN


def write_study(folder, train=TRAIN, more="", **replaced):
    """Write a study file with its training script, and return its path."""
    (folder / "train.py").write_text(textwrap.dedent(train))
    text = STUDY.format(more=more)
    for old, new in replaced.items():
        text = text.replace(f"{old} = ", f"{old} = {new} # ")
    path = folder / "study.toml"
    path.write_text(text)
    return path


@pytest.fixture
def study(tmp_path):
    """Write a study file into the test's own folder; see `write_study`."""
    return functools.partial(write_study, tmp_path)


@pytest.fixture(scope="module")
def finished_once(tmp_path_factory):
    """A workspace with a study that has run to its end, made once; its file and its output."""
    folder = tmp_path_factory.mktemp("finished")
    path = write_study(folder)
    workspace = Workspace.create(folder / "workspace")
    command = [sys.executable, "-m", "hwnas", "--workspace", str(workspace.root), "search", "run", str(path)]
    environment = {**os.environ, "HWNAS_LOCKS": str(folder), "NO_COLOR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment)
    return workspace, path, done


@pytest.fixture
def finished(finished_once, workspace):
    """A copy of it in the test's workspace; the path of its file."""
    shutil.copytree(finished_once[0].root, workspace.root, dirs_exist_ok=True)
    return finished_once[1]


def complete(hwnas, name="toy"):
    return hwnas("search", "status", name, "--json").data["trials"]["complete"]


def test_run_shows_the_front_and_writes_it(finished_once):
    workspace, _, done = finished_once
    assert done.returncode == 0, done.stderr
    folder = workspace.searches / "toy"
    assert (folder / "front.png").read_bytes().startswith(b"\x89PNG")
    written = json.loads((folder / "front.json").read_text())
    assert written["study"]["trials"]["complete"] == 4
    head, _, *rows = done.stdout.splitlines()
    assert head.split()[:3] == ["trial", "accuracy", "cost"]
    assert len(rows) == len(written["front"]) == 4
    assert "searching toy: 4 trials" in done.stderr
    assert "finished toy" in done.stderr
    assert str(folder / "front.png") in done.stderr


def test_a_finished_study_is_shown_and_not_done_again(hwnas, finished, finished_once):
    before = hwnas("search", "status", "toy", "--json").data
    said = hwnas("search", "run", finished)
    assert (said.code, said.out) == (0, finished_once[2].stdout)
    assert "batch" not in said.err
    assert hwnas("search", "status", "toy", "--json").data == before


def test_two_studies_are_compared(hwnas, study, workspace, tmp_path):
    """The baseline has 0.9 at a cost of 10; Sobol points beat it nowhere, for cost decides the accuracy here."""
    baseline = "\n[baseline.values]\nwidth = 10\n"
    assert hwnas("search", "run", study(more=baseline)).code == 0
    path = study(more=baseline, seed=1, strategy='"random"', start=1)
    path.write_text(path.read_text().replace('name = "toy"', 'name = "other"'))
    assert hwnas("search", "run", path).code == 0
    said = hwnas("search", "compare", "toy", "other")
    assert said.code == 0, said.err
    head, _, *rows = said.out.splitlines()
    assert head.split()[:2] == ["study", "strategy"]
    assert [row.split()[:3] for row in rows] == [["toy", "sobol", "4"], ["other", "random", "4"]]
    assert "the baseline is trial 0 of toy" in said.err
    folder = workspace.searches / "toy"
    assert (folder / "compare.png").read_bytes().startswith(b"\x89PNG")
    data = json.loads((folder / "compare.json").read_text())
    assert data["baseline"]["values"] == {"accuracy": 0.9, "cost": 10.0}
    assert hwnas("search", "compare", "toy", "other", "--json").data["devices"] == data["devices"]
    elsewhere = tmp_path / "both.png"
    assert hwnas("search", "compare", "toy", "other", "--output", elsewhere).code == 0
    assert (elsewhere.exists(), elsewhere.with_suffix(".json").exists()) == (True, True)
    front = hwnas("search", "front", "toy")
    assert "configurations beat the baseline" in front.err
    assert "baseline beaten" in hwnas("search", "status", "toy").out
    assert any(line.split()[:2] == ["baseline", "0"] for line in front.out.splitlines())


def test_each_device_has_its_table_and_a_row_of_the_status(hwnas, workspace):
    """A study by a program: the watch is fast where the phone is slow."""
    from hwnas.search import Objective, SearchSettings, Study
    from hwnas.space import Int, SearchSpace
    from hwnas.store import Store

    names = ("phone", "watch")
    objectives = [Objective("accuracy", "maximize")]
    objectives += [Objective(f"p99_ms@{name}", "minimize", "device", name) for name in names]
    store = Store.open(workspace.store_url)
    space = SearchSpace("widths", [Int("width", 1, 9)])
    study = Study.create(store, SearchSettings(name="two", trials=4, start=4, strategy="sobol"), space, objectives)
    for trial, accuracy in zip(study.ask(4), (0.9, 0.8, 0.8, 0.7), strict=True):
        p99_ms = 1.0 + trial.number
        study.tell(trial, {"accuracy": accuracy, "p99_ms@phone": p99_ms, "p99_ms@watch": 5.0 - p99_ms})
    store.close()
    said = hwnas("search", "front", "two")
    assert said.code == 0, said.err
    phone, _, watch = said.out.partition("the front on watch")
    assert [row.split()[0] for row in phone.splitlines()[3:] if row.strip()] == ["0"]
    assert [row.split()[0] for row in watch.splitlines()[3:6]] == ["0", "2", "3"]
    assert "rank correlation" in said.out
    assert "front on phone" in hwnas("search", "status", "two").out
    data = hwnas("search", "status", "two", "--json").data
    assert {device: found["front"] for device, found in data["fronts"].items()} == {"phone": [0], "watch": [0, 2, 3]}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("toy",), "nothing to compare with"),
        (("toy", "toy"), "named twice"),
        (("toy", "tay"), "no study 'tay' (did you mean 'toy'?)"),
        (("toy", "toy", "--output", "both.pdf"), "the picture is a PNG"),
    ],
)
def test_what_cannot_be_compared_is_said(hwnas, finished, arguments, said):
    found = hwnas("search", "compare", *arguments)
    assert (found.code, found.out) == (2, "")
    assert said in found.err


def test_a_finished_study_as_json(hwnas, finished):
    said = hwnas("search", "run", finished, "--json")
    assert said.data["format"] == "hwnas-front"
    assert len(said.data["front"]) == 4


def test_again_begins_anew(hwnas, finished, study):
    before = hwnas("search", "front", "toy", "--json").data["front"]
    assert hwnas("search", "run", study(seed="7"), "--again").code == 0
    assert complete(hwnas) == 4
    assert hwnas("search", "front", "toy", "--json").data["front"] != before


def test_another_study_of_that_name_is_refused_and_says_what_differs(refused, finished, study):
    text = refused("search", "run", study(attempts="3"))
    assert "search.attempts" in text
    assert "--again" in text


def test_a_larger_study_goes_on(hwnas, finished):
    assert hwnas("search", "resume", "toy", "--trials", "6", "--workers", "1").code == 0
    assert complete(hwnas) == 6


def test_the_front_is_trained_again_and_its_noise_shown(hwnas, study):
    seeded = '"{python} train.py {width} {seed}"'
    said = hwnas("search", "run", study(NOISY, command=seeded, remeasure="true\nreplicas = 2\n"))
    assert said.code == 0
    assert "trained again" in said.err
    assert (
        "± is the standard error of accuracy over n trainings; ≈: no significant difference from the next row"
        in said.err
    )
    head, _, first, *_ = said.out.splitlines()
    assert head.split()[:5] == ["trial", "accuracy", "±", "n", "cost"]
    assert first.replace("≈", "").split()[3] == "3"
    status = hwnas("search", "status", "toy")
    assert "noise of accuracy" in status.out
    data = hwnas("search", "status", "toy", "--json").data
    assert data["noise"]["accuracy"]["dof"] == 2 * data["trained_again"]
    more = hwnas("search", "resume", "toy", "--replicas", "3")
    front = hwnas("search", "front", "toy", "--json").data["front"]
    assert more.code == 0
    assert {len(member["trainings"]["accuracy"]) for member in front} == {4}


def test_a_failed_trial_says_why_and_the_others_go_on(hwnas, study):
    said = hwnas("search", "run", study(FAILS))
    assert said.code == 0
    assert "trial 1 failed" in said.err
    assert "out of luck" in said.err
    data = hwnas("search", "status", "toy", "--json").data
    assert data["trials"]["complete"] == 3
    (failure,) = data["failed"]
    assert failure["trial"] == 1
    shown = hwnas("search", "status", "toy").out
    assert "3 complete · 1 failed, of 4" in shown
    assert "trial 1 failed" in shown


def test_what_is_too_large_is_not_trained_and_status_says_why(hwnas, tmp_path):
    (tmp_path / "train.py").write_text("def train(trial):\n    return 0.5 + trial.number / 100\n")
    (tmp_path / "study.toml").write_text(
        """
        [search]
        name = "small"
        trials = 8
        batch = 8
        start = 8
        [space]
        builtin = "digits"
        [evaluation]
        python = "train.py:train"
        [[objectives]]
        name = "accuracy"
        direction = "maximize"
        [[objectives]]
        name = "size_bytes"
        limit = 80_000
        """
    )
    said = hwnas("search", "run", tmp_path / "study.toml")
    assert said.code == 0, said.err
    data = hwnas("search", "status", "small", "--json").data
    assert data["failed"] == []
    assert data["trials"]["complete"] + data["trials"]["abandoned"] == 8
    assert len(data["abandoned"]) == data["trials"]["abandoned"] > 0
    first = data["abandoned"][0]
    assert first["reason"].endswith("is above the limit 80,000: not trained")
    assert not first["trained"]
    assert f"trial {first['trial']}: {first['reason']}" in " ".join(said.err.split())
    assert f"trial {first['trial']} abandoned" in hwnas("search", "status", "small").out


def test_a_command_that_never_works_ends_the_search(hwnas, study):
    said = hwnas("search", "run", study("import sys; sys.exit('no data')"))
    assert (said.code, said.out) == (2, "")
    assert "error: all 4 trials so far failed" in said.err
    assert said.err.splitlines()[-1].startswith(" hint: ")


def test_a_space_that_is_used_up_ends_the_search_and_shows_the_front(hwnas, study):
    path = study(trials="8", start="8")
    path.write_text(path.read_text().replace("high = 64", "high = 5"))
    said = hwnas("search", "run", path)
    assert said.code == 0, said.err
    assert "ends early" in said.err
    assert len(said.out.splitlines()) == 2 + 5


def test_list(hwnas, finished):
    assert hwnas("search", "list", "--json").data == [
        {"name": "toy", "state": "finished", "planned": 4, "complete": 4, "objectives": ["accuracy", "cost"]}
    ]
    assert hwnas("search", "list").out.splitlines()[-1].split()[:4] == ["toy", "finished", "4", "4"]


def test_an_empty_list_says_how_to_begin(hwnas):
    said = hwnas("search", "list")
    assert (said.code, said.out) == (0, "")
    assert "hwnas search run" in said.err
    assert hwnas("search", "list", "--json").data == []


def test_status_of_a_finished_study(hwnas, finished):
    said = hwnas("search", "status", "toy")
    assert "finished" in said.out
    assert "4 complete, of 4" in said.out
    data = hwnas("search", "status", "toy", "--json").data
    assert data["state"] == "finished"
    assert set(data["best"]) == {"accuracy", "cost"}
    assert data["running"] == data["failed"] == []


def test_front_again_later(hwnas, finished, finished_once, workspace):
    (workspace.searches / "toy" / "front.png").unlink()
    assert hwnas("search", "front", "toy").out == finished_once[2].stdout
    assert (workspace.searches / "toy" / "front.png").exists()
    assert hwnas("search", "front", "toy", "--json").data["study"]["name"] == "toy"


@pytest.mark.parametrize("verb", ["status", "front", "resume"])
def test_a_study_that_is_not_there(refused, finished, verb):
    assert "did you mean 'toy'?" in refused("search", verb, "tyo")


def test_a_file_that_is_not_there(refused, tmp_path):
    assert "no such file" in refused("search", "run", tmp_path / "gone.toml")


def test_a_way_to_know_latencies_that_cannot_be_is_refused(refused, study):
    device = '[[objectives]]\nname = "p99_ms"\ndevice = "phone"\n'
    assert "'measured', 'predicted' or 'auto'" in refused("search", "run", study(more=device), "--latency", "guessed")
    assert "needs a predictor" in refused("search", "run", study(more=device), "--latency", "predicted")
    assert "uses none" in refused("search", "run", study(more=device), "--predictor", "mine")
    assert "no objective is measured on a device" in refused("search", "run", study(), "--latency", "auto")


def test_a_wrong_key_names_its_line(refused, study):
    path = study()
    path.write_text(path.read_text().replace("batch = 2", "bacth = 2"))
    text = refused("search", "run", path)
    assert "line 5" in text
    assert "did you mean 'batch'?" in text


def test_a_device_that_is_not_registered(refused, study):
    text = refused("search", "run", study(more='[[objectives]]\nname = "p99_ms"\ndevice = "phone"\n'))
    assert "phone" in text or "network file" in text


def test_ctrl_c_stops_cleanly_and_resume_finishes(hwnas, study, started, tmp_path):
    process = started("search", "run", study(SLOW, trials="6", start="6"))
    wait_until(lambda: hwnas("search", "list", "--json").data and complete(hwnas) >= 1)
    assert hwnas("search", "list", "--json").data[0]["state"] == "running"
    assert "at work on it" in hwnas("search", "run", tmp_path / "study.toml", "--again").err
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert "hwnas search resume toy" in err
    assert "Traceback" not in err
    before = hwnas("search", "status", "toy", "--json").data
    assert before["state"] == "stopped"
    assert before["running"] == []
    assert "hwnas search resume toy" in hwnas("search", "status", "toy").err
    said = hwnas("search", "resume", "toy")
    assert said.code == 0
    assert f"going on with toy: 6 trials, {before['trials']['complete']} of them done" in said.err
    assert complete(hwnas) == 6


def test_a_killed_search_loses_nothing(hwnas, study, started):
    process = started("search", "run", study(SLOW, trials="6", start="6"))
    wait_until(lambda: hwnas("search", "list", "--json").data and complete(hwnas) >= 1)
    process.kill()
    process.wait()
    before = hwnas("search", "status", "toy", "--json").data
    assert before["state"] == "stopped"
    assert hwnas("search", "resume", "toy").code == 0
    after = hwnas("search", "status", "toy", "--json").data
    assert (after["trials"]["complete"], after["state"]) == (6, "finished")


def test_a_device_and_the_picture_of_it(hwnas, tmp_path, workspace):
    """The whole path once: a registered device, networks measured on it, the front measured again."""
    added = hwnas("device", "add", "host", "--protocol", "samples=100", "--protocol", "processes=1")
    assert added.code == 0, added.err
    (tmp_path / "train.py").write_text('import json, sys; print(json.dumps({"accuracy": float(sys.argv[1])}))')
    from hwnas.space import get_space

    names = [parameter.name for parameter in get_space("digits").parameters if parameter.name != "dropout"]
    (tmp_path / "study.toml").write_text(
        f"""
        [search]
        name = "real"
        trials = 3
        batch = 3
        start = 3
        strategy = "sobol"
        [space]
        builtin = "digits"
        [evaluation]
        command = "{{python}} train.py {{dropout}}"
        unused_parameters = {names}
        [[objectives]]
        name = "accuracy"
        direction = "maximize"
        [[objectives]]
        name = "p99_ms"
        device = "host"
        """
    )
    said = hwnas("search", "run", tmp_path / "study.toml", "--json")
    assert said.code == 0, said.err
    assert "measured again" in said.err
    assert said.data["devices"]["host"]["profile"]["runtime"] == "onnxruntime"
    member = said.data["front"][0]
    first, again = member["values"]["p99_ms"], member["again"]["p99_ms"]
    assert first["provenance"] == again["provenance"] == "measured"
    assert first["trace"] != again["trace"]
    assert first["interval_95"][0] <= first["value"]
    assert "again" in hwnas("search", "front", "real").out.splitlines()[0]
    assert first["verdict"] in ("ok", "noisy", "drifting", "preempted", "throttled")


def test_models_are_judged_from_the_command_line(hwnas, refused, workspace):
    path = write_study(workspace.root, more='[search.saas]\nfit = "map"\nmembers = 1', trials=6, start=6)
    assert hwnas("search", "run", path).code == 0
    said = hwnas("search", "diagnose", "toy", "--json")
    assert said.code == 0, said
    assert [outcome["objective"] for outcome in said.data["outcomes"]] == ["accuracy", "cost"]
    folder = workspace.searches / "toy"
    assert not (folder / "diagnosis.png").exists()
    said = hwnas("search", "diagnose", "toy")
    assert said.code == 0, said
    assert "plain GP" in said.out
    assert "accuracy depends most on" in said.err
    assert (folder / "diagnosis.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((folder / "diagnosis.json").read_text())["study"] == "toy"
    refused("search", "diagnose", "tyo")


def test_models_of_too_few_trials_are_not_judged(hwnas, refused, workspace):
    assert hwnas("search", "run", write_study(workspace.root)).code == 0
    assert "only 4 trials have a value of accuracy" in refused("search", "diagnose", "toy")
