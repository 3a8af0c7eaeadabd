"""What cannot be done is one clear error, said before any work is done."""

import os
import subprocess
import sys

import pytest

from hwnas.errors import ConfigError
from hwnas.search import Objective, SearchSettings, Study
from hwnas.space import Int, SearchSpace

from .conftest import QUICK


@pytest.fixture
def studied(store):
    """A study that was made by a program, and has two trials to go."""
    settings = SearchSettings(name="toy", trials=6, batch=2, start=6, strategy="sobol")
    objectives = [Objective("accuracy", "maximize"), Objective("cost", "minimize")]
    study = Study.create(store, settings, SearchSpace("toy", [Int("width", 1, 8)]), objectives)
    for trial in study.ask(4):
        width = trial.architecture["width"]
        study.tell(trial, {"accuracy": 1 - 1 / width, "cost": width})
    return study


def test_a_study_of_a_program_goes_on_by_its_program(hwnas, studied, monkeypatch):
    said = hwnas("search", "status", "toy")
    assert "go on with it by its program" in said.err
    assert "search resume" not in said.err


def test_what_only_reads_makes_no_folder(hwnas, studied, workspace):
    (workspace.searches / "README.md").unlink()
    workspace.searches.rmdir()
    for command in (("search", "list"), ("search", "status", "toy"), ("search", "front", "toy", "--json")):
        assert hwnas(*command).code == 0
        assert not workspace.searches.exists()
    assert hwnas("search", "front", "toy").code == 0
    assert (workspace.searches / "toy" / "front.png").exists()


@pytest.mark.parametrize("command", ["search front toy", "report toy", "search compare toy two"])
@pytest.mark.parametrize("place", [".", "toy"])
def test_a_file_where_a_study_has_its_folder_is_said(hwnas, studied, store, workspace, place, command):
    Study.create(store, studied.settings.model_copy(update={"name": "two"}), studied.space, studied.objectives)
    (workspace.searches / "README.md").unlink()
    workspace.searches.rmdir()
    path = workspace.searches / place
    path.parent.mkdir(exist_ok=True)
    path.write_text("a file")
    said = hwnas(*command.split())
    assert said.code == 2
    assert f"error: cannot make {workspace.searches / 'toy'}: " in said.err
    assert "Traceback" not in said.err
    assert hwnas("search", "list").code == 0


@pytest.mark.parametrize("more", [{}, {"HWNAS_WORKSPACE": "here"}, "--workspace", "--output"])
def test_a_current_folder_that_is_gone_is_said(environment, studied, workspace, tmp_path, more):
    gone = tmp_path / "gone"
    gone.mkdir()
    arguments = {"--workspace": "--workspace here search list", "--output": "report toy --output page.html"}
    words = arguments.get(more, "search list") if isinstance(more, str) else "search list"
    command = f'rmdir "{gone}"; exec "{sys.executable}" -m hwnas {words}'
    names = {**os.environ, "NO_COLOR": "1"}
    if more != "--output":
        del names["HWNAS_WORKSPACE"]
    names.update(more if isinstance(more, dict) else {})
    done = subprocess.run(["bash", "-c", command], cwd=gone, env=names, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "error: the current folder is not there any more\n hint: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_comparison_makes_no_folders_where_there_are_none(refused, studied, tmp_path):
    path = tmp_path / "nowhere" / "both.png"
    assert "there is no folder" in refused("search", "compare", "toy", "toy", "--output", path)
    assert not path.parent.exists()


def test_a_page_that_cannot_be_written_is_said_before_models_are_fitted(refused, studied, tmp_path, monkeypatch):
    from hwnas.cli import _diagnosis

    monkeypatch.setattr(_diagnosis, "judge", lambda study: pytest.fail("the models were fitted"))
    assert "there is no folder" in refused("report", "toy", "--diagnose", "-o", tmp_path / "no" / "such.html")


@pytest.mark.parametrize("text", ["nan", "-5%", "0", "inf", "500%", "1", "five"])
def test_a_precision_that_is_no_share_is_refused(text):
    from hwnas.cli._measure import share

    with pytest.raises(ConfigError, match="not a share"):
        share(text)


def test_a_filter_that_nothing_matches_is_told_from_an_empty_store(hwnas, network):
    assert "nothing measured yet" in hwnas("measurements", "list", "--device", "host").err
    assert hwnas("device", "add", "host").code == 0
    assert hwnas("measure", "host", network, *QUICK).code == 0
    said = hwnas("measurements", "list", "--device", "hots", "--verdict", "ok", "--verdict", "throttled")
    assert said.code == 0
    assert said.err == (
        "of 1 measurement none matches --verdict ok, --verdict throttled, --device hots (did you mean 'host'?)\n"
    )
    assert hwnas("measurements", "list", "--network", "nope", "--json").data == []
    assert hwnas("measurements", "list", "--space", "digits").err == "of 1 measurement none matches --space digits\n"


def test_options_of_a_table_are_refused_for_measurements(hwnas, refused, network, tmp_path):
    assert hwnas("device", "add", "host").code == 0
    assert hwnas("measure", "host", network, *QUICK).code == 0
    path = tmp_path / "all.csv"
    assert hwnas("measurements", "export", path).code == 0
    said = refused("measurements", "import", path, "--name", "mine", "--space", "digits")
    assert "all.csv holds measurements, and --name and --space would be of a table" in said
    assert hwnas("measurements", "import", path).code == 0


def test_where_the_picture_of_a_check_goes_is_looked_at_before_anything_is_measured(hwnas, refused, tmp_path):
    assert hwnas("device", "add", "host").code == 0
    check = ("device", "check", "host", "--stability", "--plot")
    assert "there is no folder" in refused(*check, tmp_path / "no" / "such.png")
    assert "the picture is a PNG" in refused(*check, tmp_path / "such.pdf")


def test_one_device_whose_file_is_not_valid_hides_no_other(hwnas, workspace):
    assert hwnas("device", "add", "good").code == 0
    (workspace.devices / "bad.toml").write_text("threads = 'many'")
    (workspace.devices / "dir.toml").mkdir()
    said = hwnas("device", "list")
    assert said.code == 3
    assert [line.split()[0] for line in said.out.splitlines()[2:]] == ["good"]
    assert "warning: " in said.err
    assert "bad.toml" in said.err
    assert "dir.toml" not in said.err
    listed = hwnas("device", "list", "--json")
    assert (listed.code, [found["name"] for found in listed.data]) == (3, ["good"])
    (workspace.devices / "good.toml").unlink()
    said = hwnas("device", "list")
    assert (said.code, said.out) == (3, "")
    assert "no devices yet" not in said.err
    assert "did you mean" not in hwnas("device", "show", "dir").err
