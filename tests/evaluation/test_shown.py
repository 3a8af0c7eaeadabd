import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hwnas.errors import EvaluationError
from hwnas.evaluation import EvaluationConfig, shown_training

SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], os.getcwd(), os.environ.get('DATA')]))"


def test_the_text_runs_in_a_shell_as_the_training_ran(task, tmp_path, monkeypatch):
    """Quotes, spaces, dollars and semicolons of values stay what they are."""
    folder = tmp_path / "a folder; with $HOME"
    folder.mkdir()
    (folder / "show.py").write_text(SHOW)
    config = EvaluationConfig(
        command=["{python}", "show.py", "--name", "{name}", "--width={width}", "{seed}", "--kernel", "{kernel}"],
        env={"DATA": "x y; rm *"},
        folder=folder.name,
    )
    text = shown_training(config, tmp_path, ["name", "width", "kernel"], task(7, name="it's $(id); `ls`", width=3))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True, timeout=60)
    words, where, data = json.loads(done.stdout)
    assert words == ["--name", "it's $(id); `ls`", "--width=3", "107"]
    assert Path(where) == folder
    assert data == "x y; rm *"


def test_a_function_is_shown_as_a_call(task):
    config = EvaluationConfig(python="train.py:train")
    assert shown_training(config, Path(), ["a", "b"], task(a=1, b="x")) == "train.py:train(a=1, b='x')"


def test_the_network_file_is_named(task, tmp_path):
    config = EvaluationConfig(command="{python} t.py {network}")
    told = replace(task(), network_file=tmp_path / "n.onnx")
    assert shown_training(config, tmp_path, [], told).endswith(f"python t.py {tmp_path}/n.onnx")
    with pytest.raises(EvaluationError, match=r"no \{network\}"):
        shown_training(config, tmp_path, [], task())
