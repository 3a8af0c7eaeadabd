"""Streams that are closed, full, of another encoding, or whose reader leaves early."""

import json
import os
import subprocess
import sys

import pytest

from hwnas.search import Objective, SearchSettings, Study
from hwnas.space import Int, SearchSpace

from .test_search import write_study


@pytest.fixture
def studied(store):
    """A small study that is finished."""
    settings = SearchSettings(name="toy", trials=4, batch=4, start=4)
    space = SearchSpace("toy", [Int("width", 1, 8)])
    study = Study.create(store, settings, space, [Objective("güte", "maximize"), Objective("cost", "minimize")])
    for trial in study.ask(4):
        study.tell(trial, {"güte": 1 - 1 / trial.architecture["width"], "cost": trial.architecture["width"]})
    return study


@pytest.fixture
def shell(environment):
    """Run a shell command in which `hwnas` is the command line; with the exit code of `hwnas`, as `pipefail` has it."""

    def call(command, **variables):
        whole = f'set -o pipefail; hwnas() {{ "{sys.executable}" -m hwnas "$@"; }}; {command}'
        environment = {**os.environ, "NO_COLOR": "1", "OMP_NUM_THREADS": "1", **variables}
        return subprocess.run(["bash", "-c", whole], capture_output=True, check=False, timeout=120, env=environment)

    return call


def test_what_is_to_be_written_is_there_though_the_reader_of_the_table_left(shell, studied, workspace):
    done = shell("hwnas search front toy | true")
    assert done.returncode == 141, done
    assert b"Traceback" not in done.stderr
    assert (workspace.searches / "toy" / "front.png").exists()
    assert (workspace.searches / "toy" / "front.json").exists()


def test_help_that_nobody_reads_is_no_bug(shell):
    done = shell("hwnas search --help | true; hwnas --version | true")
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_search_goes_on_though_nobody_reads_what_it_says(shell, hwnas, tmp_path):
    path = write_study(tmp_path)
    done = shell(f"hwnas search run '{path}' 2>&1 >'{tmp_path}/out' | true")
    assert done.returncode == 0, done
    assert len((tmp_path / "out").read_text().splitlines()) == 6
    assert hwnas("search", "status", "toy", "--json").data["trials"]["complete"] == 4


def test_a_result_that_cannot_be_written_is_one_clear_error(shell, studied):
    for command in ("search list", "search list --json", "--version", "search --help"):
        done = shell(f"hwnas {command} >/dev/full")
        assert b"Traceback" not in done.stderr, done.stderr
        first, hint = done.stderr.decode().splitlines()
        assert done.returncode == 2
        assert first == "error: cannot write the result: No space left on device"
        assert hint.startswith(" hint: ")


def test_words_that_cannot_be_written_are_let_go(shell, studied):
    done = shell("hwnas search front toy 2>/dev/full")
    assert done.returncode == 0
    assert done.stdout.startswith(b"trial")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_streams_may_be_closed(shell, studied, closed):
    done = shell(f"hwnas search front toy {closed}")
    assert done.returncode == 0, done
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_tables_and_data_are_written_in_any_encoding(shell, studied, encoding):
    table = shell("hwnas search status toy", PYTHONIOENCODING=encoding)
    assert table.returncode == 0, table
    name = {"ascii": "g?te", "latin-1": "güte", "utf-8": "güte"}[encoding]
    assert name in table.stdout.decode(encoding)
    data = shell("hwnas search list --json", PYTHONIOENCODING=encoding)
    assert json.loads(data.stdout.decode(encoding))[0]["objectives"] == ["güte", "cost"]
