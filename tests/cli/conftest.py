import json
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from hwnas.cli import _output
from hwnas.cli._main import run

#: A hundred samples of one process: for tests of a command, not of the figures.
QUICK = ["--samples", "100", "--protocol", "processes=1", "--protocol", "reference=0", "--protocol", "warmup_s=0.05"]


@dataclass(frozen=True)
class Said:
    """What a command wrote, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def data(self):
        """What it wrote to stdout as JSON; there must be nothing else."""
        return json.loads(self.out)


@pytest.fixture
def environment(workspace, tmp_path, monkeypatch):
    """A workspace, and locks, of one's own."""
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("HWNAS_LOCKS", str(tmp_path / "run"))
    monkeypatch.setenv("HWNAS_WORKSPACE", str(workspace.root))
    monkeypatch.delenv("HWNAS_STORE", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def hwnas(capfd, environment, monkeypatch):
    """Run the command line in a workspace of its own, as `hwnas("device", "list")`."""
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*arguments):
        _output.forget_consoles()
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Said(code, out, err)

    yield call
    _output.forget_consoles()


@pytest.fixture
def network(tmp_path):
    """A small network file that every runtime of ONNX files can run."""
    from hwnas.network import reference_graph, write_onnx

    return write_onnx(reference_graph(), tmp_path / "net.onnx").path


@pytest.fixture
def refused(hwnas):
    """Run a command that must end with one clear error: exit code 2, nothing on stdout, a message and a hint."""

    def call(*arguments):
        said = hwnas(*arguments)
        assert said.code == 2, said
        assert said.out == ""
        lines = said.err.splitlines()
        assert lines[0].startswith("error: ")
        assert any(line.startswith(" hint: ") and len(line) > 8 for line in lines), said.err
        assert "Traceback" not in said.err
        return said.err

    return call


@pytest.fixture
def started(environment):
    """Start the command line in a process of its own; what still runs at the end is killed."""
    processes = []

    def call(*arguments):
        command = [sys.executable, "-m", "hwnas", *map(str, arguments)]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        processes.append(subprocess.Popen(command, text=True, **pipes))
        return processes[-1]

    yield call
    for process in processes:
        process.kill()
        process.communicate()


def wait_until(what, timeout_s=60.0):
    """Wait until `what()` is true and return it."""
    ends_s = time.monotonic() + timeout_s
    while not (found := what()):
        assert time.monotonic() < ends_s, "it did not happen in time"
        time.sleep(0.05)
    return found
