"""Python functions, called for real in processes of their own."""

import importlib
import subprocess
import sys
import textwrap
import threading
from dataclasses import replace

import pytest

from hwnas.errors import ConfigError, EvaluationError, StoppedError
from hwnas.evaluation import CallableEvaluator


@pytest.fixture
def call(tmp_path, task, settings):
    """Write a file with a function `train`, and call it."""

    def call(
        code, *, metrics=("accuracy",), parameters=None, unused=(), cancelled=None, target="own.py:train", **values
    ):
        changes = {name: values.pop(name) for name in ("timeout_s", "env") if name in values}
        on_point = values.pop("on_point", None)
        (tmp_path / "own.py").write_text(textwrap.dedent(code), encoding="utf-8")
        evaluator = CallableEvaluator(
            target, parameters or list(values), metrics, unused_parameters=unused, settings=settings(**changes)
        )
        whole = replace(task(trial=4, **values), on_point=on_point)
        return evaluator.evaluate(whole, cancelled=cancelled or threading.Event())

    return call


def test_values_come_as_keyword_arguments(call):
    result = call("def train(width, act):\n    print('hello')\n    return width + len(act)", width=3, act="relu")
    assert dict(result.metrics) == {"accuracy": 7.0}
    assert "hello" in result.log.read_text()


def test_a_curve_is_printed_as_by_a_command_and_seen_at_once(call):
    seen, stop = [], threading.Event()

    def hear(point):
        seen.append(point)
        stop.set()

    code = """
        import json, time
        def train(width):
            print(json.dumps({"epoch": 1, "accuracy": 0.5}))
            time.sleep(60)
        """
    with pytest.raises(StoppedError):
        call(code, width=3, on_point=hear, cancelled=stop)
    assert [(point.epoch, dict(point.values)) for point in seen] == [(1.0, {"accuracy": 0.5})]


def test_an_inactive_parameter_is_left_out(call):
    code = "def train(width, kernel=None):\n    return width if kernel is None else -1"
    assert call(code, width=3, parameters=["width", "kernel"]).metrics["accuracy"] == 3
    with pytest.raises(EvaluationError, match="wants 'kernel', which this architecture has no value for"):
        call("def train(width, kernel):\n    return 1", width=3, parameters=["width", "kernel"])


def test_what_it_may_ask_for_by_name(call, tmp_path):
    result = call(
        """
        def train(width, *, trial, seed, folder, network):
            assert trial.values == {"width": 3, "depth": 2}
            assert trial.folder == folder and folder.is_dir() and trial.network_file is network is None
            return {"accuracy": trial.number, "accuracy_sigma": 0.5, "seed": seed, "attempt": trial.attempt}
        """,
        width=3,
        depth=2,
    )
    assert dict(result.metrics) == {"accuracy": 4.0}
    assert dict(result.sigmas) == {"accuracy": 0.5}
    assert dict(result.extras) == {"seed": 104.0, "attempt": 1.0}


def test_any_keywords_and_any_numbers(call):
    code = """
        import numpy as np
        from fractions import Fraction
        def train(**values):
            half = Fraction(1, 2)
            return {"accuracy": np.float32(values["width"]), "half": half, "many": np.zeros(3), "own": np.int64(3)}
    """
    result = call(code, width=0.5)
    assert dict(result.metrics) == {"accuracy": 0.5}
    assert dict(result.extras) == {"half": 0.5, "own": 3.0}


def test_it_imports_what_lies_beside_it(call, tmp_path):
    (tmp_path / "beside.py").write_text("value = 5")
    (tmp_path / "_config.py").write_text("value = 6")
    code = "import beside, _config\ndef train(width):\n    return beside.value * _config.value"
    assert call(code, width=1).metrics["accuracy"] == 30


def test_a_module_on_the_path(tmp_path, task, settings):
    (tmp_path / "package").mkdir()
    (tmp_path / "package/__init__.py").touch()
    (tmp_path / "package/module.py").write_text("def train(width):\n    return width")
    evaluator = CallableEvaluator("package.module:train", ["width"], ["a"], settings=settings())
    assert evaluator.evaluate(task(width=2), cancelled=threading.Event()).metrics["a"] == 2


def test_a_function_itself(task, settings, monkeypatch, tmp_path):
    (tmp_path / "trainings.py").write_text("def train(width):\n    return width * 3")
    monkeypatch.syspath_prepend(tmp_path)
    trainings = importlib.import_module("trainings")
    monkeypatch.delitem(sys.modules, "trainings")

    evaluator = CallableEvaluator(trainings.train, ["width"], ["a"], settings=settings())
    assert evaluator.evaluate(task(width=2), cancelled=threading.Event()).metrics["a"] == 6
    with pytest.raises(ConfigError, match="cannot be found by name in another process"):
        CallableEvaluator(lambda width: 1.0, ["width"], ["a"])


@pytest.mark.parametrize("guard", [True, False])
def test_a_function_of_the_script_itself(tmp_path, guard):
    (tmp_path / "search.py").write_text(
        textwrap.dedent("""
            import threading
            from pathlib import Path
            from hwnas.evaluation import CallableEvaluator, EvaluationTask
            from hwnas.space import Architecture

            def train(width):
                return width / 2

            def main():
                evaluator = CallableEvaluator(train, ["width"], ["a"])
                task = EvaluationTask(Architecture("s", "1", {"width": 3}), 0, 0, Path("trial"))
                print(evaluator.evaluate(task, cancelled=threading.Event()).metrics["a"])

        """)
        + ("if __name__ == '__main__':\n    main()" if guard else "main()")
    )
    done = subprocess.run([sys.executable, "search.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    if guard:
        assert done.stdout == "1.5\n"
    else:
        assert "ConfigError: this search was started from within one of its own trainings" in done.stderr


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise ValueError('too wide')", "it raised ValueError: too wide"),
        ("import no_such_module", "it raised ModuleNotFoundError: No module named 'no_such_module'"),
        ("return float('nan')", "returned accuracy = NaN, which is not a finite number"),
        ("return float('inf')", "returned accuracy = Infinity"),
        ("return '0.9'", 'returned accuracy = "0.9"'),
        ("return True", "returned accuracy = true"),
        ("return None", "returned accuracy = null"),
        ("return object()", 'returned accuracy = "<object>"'),
        ("return {'loss': 1}", "it returned no accuracy; it returned loss"),
        ("return {}", "it returned no accuracy; it returned an empty mapping"),
        ("import sys; sys.exit(3)", "exit code 3"),
        ("import sys; sys.exit()", "it ended its process without returning"),
        ("import os; os.abort()", "killed by signal SIGABRT"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by signal SIGKILL"),
    ],
)
def test_how_it_may_fail(call, body, message):
    with pytest.raises(EvaluationError) as caught:
        call(f"def train(width):\n    {body}", width=3)
    assert message in caught.value.message
    assert "log.txt" in caught.value.message
    if "ValueError" in message:
        assert "raise ValueError('too wide')" in caught.value.hint


def test_one_number_is_not_two_metrics(call):
    with pytest.raises(EvaluationError, match="it returned one value, and a, b are wanted"):
        call("def train(width):\n    return 1.0", width=3, metrics=("a", "b"))


def test_an_answer_of_an_earlier_run_does_not_count(call):
    assert call("def train(width):\n    return 1.0", width=3).metrics["accuracy"] == 1
    with pytest.raises(EvaluationError, match="without returning"):
        call("import sys\ndef train(width):\n    sys.exit()", width=3)


def test_a_hang_and_a_cancel(call):
    hang = "import time\ndef train(width):\n    time.sleep(60)"
    with pytest.raises(EvaluationError, match=r"no answer after 0\.5 s"):
        call(hang, width=3, timeout_s=0.5)
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(StoppedError):
        call(hang, width=3, cancelled=stop)


@pytest.mark.parametrize(
    ("code", "target", "message"),
    [
        ("", "none.py:train", r"none\.py: no such file"),
        ("", "own.py", "names no function"),
        ("", "own/x:train", "neither a module nor a .py file"),
        ("def trian(width): pass", "own.py:train", r"has no function 'train' \(did you mean 'trian'\?\)"),
        ("def train(width: pass", "own.py:train", "is no valid Python"),
        ("async def train(width): pass", "own.py:train", "asynchronous"),
        ("def train(width, depth): pass", "own.py:train", "wants 'depth', which the space does not have"),
        ("def train(width, *, depth): pass", "own.py:train", "wants 'depth'"),
        ("def train(wide=1): pass", "own.py:train", "takes no argument 'width'"),
        ("def train(): pass", "own.py:train", "takes no argument 'width'"),
    ],
)
def test_what_is_refused_before_anything_runs(tmp_path, settings, code, target, message):
    (tmp_path / "own.py").write_text(code)
    with pytest.raises(ConfigError, match=message) as caught:
        CallableEvaluator(target, ["width"], ["a"], settings=settings())
    assert caught.value.hint


@pytest.mark.parametrize(
    "code",
    [
        "def train(width): pass",
        "def train(**values): pass",
        "def train(trial): pass",
        "def train(width, seed, folder, network, depth=3): pass",
        "from other import train",
        "from other import *",
        "train = lambda width: 1",
        "@decorated\ndef train(): pass",
        "if True:\n    def train(width): pass",
    ],
)
def test_what_is_let_through(tmp_path, settings, code):
    (tmp_path / "own.py").write_text(code)
    CallableEvaluator("own.py:train", ["width"], ["a"], settings=settings())


def test_unused_parameters(call, tmp_path, settings):
    code = "def train(width):\n    return width"
    assert call(code, width=3, depth=2, unused=["depth"]).metrics["accuracy"] == 3
    with pytest.raises(ConfigError, match="unused_parameters names 'dept'"):
        call(code, width=3, depth=2, unused=["dept"])
    with pytest.raises(ConfigError, match="the argument 'seed' is hwnas's own"):
        call(code, width=3, seed=2)
