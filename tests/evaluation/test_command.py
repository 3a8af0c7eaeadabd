"""Training commands, run for real."""

import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hwnas.errors import ConfigError, EvaluationError, StoppedError
from hwnas.evaluation import CommandEvaluator, CurvePoint

GOOD = "import json; print(json.dumps({'accuracy': 0.93, 'accuracy_sigma': 0.01, 'epoch': 7, 'note': 'x'}))"


def test_a_good_command(run, tmp_path):
    result = run("import sys\nprint('starting')\nprint('warming up', file=sys.stderr)\n" + GOOD)
    assert dict(result.metrics) == {"accuracy": 0.93}
    assert dict(result.sigmas) == {"accuracy": 0.01}
    assert dict(result.extras) == {"epoch": 7.0}
    assert result.notes == ()
    assert 0 < result.duration_s < 20
    log = (tmp_path / "trials/0/log.txt").read_text()
    assert result.log == tmp_path / "trials/0/log.txt"
    for words in ("starting", "warming up", "train.py", "exit code 0", "trial 0, attempt 1"):
        assert words in log


def test_exit_3(run, tmp_path):
    with pytest.raises(EvaluationError) as caught:
        run("import sys; print('epoch 1'); print('width 3 is too narrow', file=sys.stderr); sys.exit(3)")
    assert caught.value.message == f"exit code 3: width 3 is too narrow (log: {tmp_path}/trials/0/log.txt)"
    assert "epoch 1" in caught.value.hint


def test_an_exception_is_named(run):
    with pytest.raises(EvaluationError, match="exit code 1: ValueError: no such layer"):
        run("raise ValueError('no such layer')")


def test_a_metric_before_a_failure_does_not_count(run):
    with pytest.raises(EvaluationError, match="exit code 5"):
        run(GOOD + "; raise SystemExit(5)")


def test_killed(run):
    with pytest.raises(EvaluationError, match="killed by signal SIGKILL") as caught:
        run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert "log.txt" in caught.value.message
    with pytest.raises(EvaluationError, match="killed by signal SIGSEGV"):
        run("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")


def test_a_shells_exit_code_for_a_signal_is_explained(run):
    with pytest.raises(EvaluationError, match=r"exit code 137 \(as shells report SIGKILL\)"):
        run("raise SystemExit(137)")


def test_killed_by_the_kernel_for_memory(run, monkeypatch):
    counts = iter([4, 5])
    monkeypatch.setattr("hwnas.evaluation._process._oom_kills", lambda: next(counts))
    with pytest.raises(EvaluationError, match=r"SIGKILL by the kernel, which ran out of memory, with \d+ MiB in use"):
        run("import os, signal; x = b'x' * 40_000_000; os.kill(os.getpid(), signal.SIGKILL)")


def test_a_hang(run):
    started = time.monotonic()
    with pytest.raises(EvaluationError, match="no answer after 1 s: it was ended"):
        run("import time; print('here'); time.sleep(60)", timeout_s=1.0)
    assert time.monotonic() - started < 4


def test_a_hang_that_ignores_sigterm_and_has_a_grandchild(run, tmp_path, pids_in, gone):
    started = time.monotonic()
    with pytest.raises(EvaluationError, match="no answer after 1 s"):
        run(
            """
            import os, signal, subprocess, sys, time
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
            child = subprocess.Popen([sys.executable, "-c", deaf])
            apart = subprocess.Popen(["sleep", "60"], start_new_session=True)
            open("pids", "w").write(f"{os.getpid()} {child.pid} {apart.pid}")
            time.sleep(60)
            """,
            timeout_s=1.0,
        )
    assert time.monotonic() - started < 5
    assert gone(*pids_in(tmp_path / "pids", 3), within_s=0.1)


def test_sigterm_comes_first(run, tmp_path):
    with pytest.raises(EvaluationError, match="no answer"):
        run(
            """
            import signal, sys, time
            def end(*_):
                open("saved", "w").write("checkpoint")
                sys.exit()
            signal.signal(signal.SIGTERM, end)
            time.sleep(60)
            """,
            timeout_s=0.5,
            grace_s=10.0,
        )
    assert (tmp_path / "saved").read_text() == "checkpoint"


def test_nonsense(run):
    with pytest.raises(
        EvaluationError, match="no metric: no line of its output is a JSON object with accuracy"
    ) as caught:
        run("print('accuracy: 0.9'); print('{accuracy: 0.9}'); print([0.9])")
    assert "accuracy: 0.9" in caught.value.hint
    assert '{"accuracy": 0.5}' in caught.value.hint
    with pytest.raises(EvaluationError) as caught:
        run("")
    assert "it printed nothing" in caught.value.hint


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", '"0.9"', "true", "null", "[0.9]", "1e999"])
def test_what_is_no_number(run, value):
    with pytest.raises(EvaluationError, match=r"printed accuracy = .*, which is not a finite number"):
        run(f"""print('{{"accuracy": {value}}}')""")


@pytest.mark.parametrize("value", ["NaN", "-0.1", '"x"'])
def test_a_standard_error_that_is_none(run, value):
    with pytest.raises(EvaluationError, match="printed accuracy_sigma = "):
        run(f"""print('{{"accuracy": 0.9, "accuracy_sigma": {value}}}')""")


def test_a_metric_printed_twice_counts_the_last_time_and_says_so(run):
    result = run("""
        for accuracy in (0.5, 0.6, 0.7):
            print(f'{{"accuracy": {accuracy}}}', flush=True)
        print('{"loss": 0.1}')
        print("done")
    """)
    assert result.metrics["accuracy"] == 0.7
    assert result.notes == ("accuracy printed 3 times: the last counts",)


CURVE = """
    for epoch, accuracy in enumerate((0.5, 0.6, 0.7)):
        print(f'{{"epoch": {epoch}, "accuracy": {accuracy}, "loss": 1.5, "note": "x", "nan": NaN}}', flush=True)
"""


def test_lines_with_an_epoch_are_the_points_of_a_curve_and_the_last_is_a_result_too(run):
    seen = []
    result = run(CURVE, on_point=seen.append)
    assert seen == [
        CurvePoint(float(epoch), {"accuracy": accuracy, "loss": 1.5}) for epoch, accuracy in enumerate((0.5, 0.6, 0.7))
    ]
    assert result.metrics["accuracy"] == 0.7
    assert result.notes == ()


def test_points_come_while_the_training_runs_and_it_can_be_ended_by_them(run):
    stop = threading.Event()
    with pytest.raises(StoppedError):
        run(CURVE + "    __import__('time').sleep(60)\n", on_point=lambda _point: stop.set(), cancelled=stop)


def test_where_the_metrics_are_in_a_file_the_curve_is_printed_all_the_same(run):
    seen = []
    write = """open("m-0.json", "w").write('{"accuracy": 0.9, "epoch": 99}')"""
    assert run(CURVE + f"    {write}\n", output="m-{trial}.json", on_point=seen.append).metrics["accuracy"] == 0.9
    assert [point.epoch for point in seen] == [0.0, 1.0, 2.0]


def test_two_metrics_want_one_line(run):
    result = run("""print('{"a": 1, "b": 2}'); print('{"a": 3}')""", metrics=("a", "b"))
    assert dict(result.metrics) == {"a": 1.0, "b": 2.0}
    with pytest.raises(EvaluationError, match="a, b came, but never all of a, b in one JSON object"):
        run("""print('{"a": 1}'); print('{"b": 3}')""", metrics=("a", "b"))


def test_a_million_lines(run, tmp_path):
    started = time.monotonic()
    result = run(
        """
        import sys
        sys.stdout.write("\\n".join(f"step {i} of many" for i in range(1_000_000)))
        print('\\n{"accuracy": 0.5}')
        sys.stdout.write("\\n".join(f"after {i}" for i in range(1000)))
        """,
        log_bytes=100_000,
    )
    assert result.metrics["accuracy"] == 0.5
    assert time.monotonic() - started < 20
    log = (tmp_path / "trials/0/log.txt").read_text()
    assert len(log) < 140_000
    assert "the log is cut at 100000 bytes" in log
    assert "after 999" in log
    assert result.notes[0].startswith("its log is cut")


def test_a_line_of_50_megabytes(run):
    result = run("""
        import sys
        for _ in range(50):
            sys.stdout.write('{"accuracy": 0.1, "' + "x" * 1_000_000)
        print('\\n{"accuracy": 0.5}', end="")
    """)
    assert result.metrics["accuracy"] == 0.5


def test_rubbish_in_the_output(run):
    result = run("""
        import sys
        sys.stdout.buffer.write(b"\\xff\\xfe\\x00 \\xc3\\x28 \\x1b[31m\\r 10%\\r 100%\\r")
        sys.stdout.buffer.write('{"name": "\\xe9", "accuracy": 0.5, "bad": "'.encode("latin-1") + b'\\xff"}\\r\\n')
        sys.stdout.buffer.write(b"\\x80" * 1000)
    """)
    assert result.metrics["accuracy"] == 0.5
    with pytest.raises(EvaluationError) as caught:
        run("import sys; sys.stderr.buffer.write(b'\\x1b[2J\\xff boom \\x07'); sys.exit(1)")
    assert "boom" in caught.value.message
    assert caught.value.message.isprintable()


HOSTILE = ["x; rm -rf ~", "$(id)", "`id`", "a b", "'", '"', "{width}", "%s", "\\", "*", "~", "é\n", "", "--help"]


def test_values_arrive_as_plain_text(run, tmp_path):
    values = {f"p{number}": text for number, text in enumerate(HOSTILE)}
    arguments = [word for name in values for word in ("-n", f"{{{name}}}", f"--name={{{name}}}")]
    run(
        "import json, sys; json.dump(sys.argv[1:], open('seen', 'w')); print(json.dumps({'accuracy': 1}))",
        *arguments,
        values=values,
    )
    expected = [word for text in HOSTILE for word in ("-n", text, f"--name={text}")]
    assert json.loads((tmp_path / "seen").read_text()) == expected


def test_a_line_is_split_before_values_are_put_in(settings, task, tmp_path):
    line = """{python} -c "import json, sys; print(json.dumps({{'accuracy': len(sys.argv)}}))" {name} --x={name}"""
    evaluator = CommandEvaluator(line, ["name"], ["accuracy"], settings=settings())
    result = evaluator.evaluate(task(name="a b 'c"), cancelled=threading.Event())
    assert result.metrics["accuracy"] == 3


def test_the_standard_input_is_empty(run):
    assert run("import sys, json; print(json.dumps({'accuracy': len(sys.stdin.read())}))").metrics["accuracy"] == 0


def test_program_not_found(settings, task):
    evaluator = CommandEvaluator("no-such-trainer --width 3", [], ["accuracy"], settings=settings())
    with pytest.raises(EvaluationError, match="program not found: no-such-trainer") as caught:
        evaluator.evaluate(task(), cancelled=threading.Event())
    assert "{python}" in caught.value.hint
    assert "log.txt" in caught.value.message


def test_a_program_that_may_not_be_run(settings, task, tmp_path):
    (tmp_path / "train.sh").write_text("#!/bin/sh\n")
    evaluator = CommandEvaluator("./train.sh", [], ["accuracy"], settings=settings())
    with pytest.raises(EvaluationError, match=r"program may not be run: \./train\.sh"):
        evaluator.evaluate(task(), cancelled=threading.Event())
    (tmp_path / "train.sh").chmod(0o755)
    (tmp_path / "train.sh").write_text("#!/no/such/shell\n")
    with pytest.raises(EvaluationError, match="program not found"):
        evaluator.evaluate(task(), cancelled=threading.Event())
    (tmp_path / "train.sh").write_bytes(b"\x00\x01\x02")
    with pytest.raises(EvaluationError, match=r"no program: \./train\.sh"):
        evaluator.evaluate(task(), cancelled=threading.Event())


def test_the_folder_may_vanish(settings, task, tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    evaluator = CommandEvaluator("true", [], ["accuracy"], settings=settings(folder=folder))
    folder.rmdir()
    with pytest.raises(EvaluationError, match=r"cannot run in .*gone: no such folder"):
        evaluator.evaluate(task(), cancelled=threading.Event())


def test_arguments_that_are_too_long(run):
    with pytest.raises(EvaluationError, match="longer than the system allows"):
        run(GOOD, "{name}", values={"name": "x" * 3_000_000})


def test_metrics_from_a_file(run, tmp_path):
    code = """
        import json, pathlib, sys
        path = pathlib.Path(sys.argv[1], "metrics.json")
        path.write_text(json.dumps({"accuracy": 0.9}, indent=2))
        print('{"accuracy": 0.1}')
    """
    result = run(code, "{folder}", output="{folder}/metrics.json")
    assert dict(result.metrics) == {"accuracy": 0.9}
    assert run(code, "{folder}", output="{folder}/metrics.json").metrics["accuracy"] == 0.9


def test_a_file_of_lines_and_a_relative_path(run, tmp_path):
    code = """open("m-0.jsonl", "w").write('{"accuracy": 0.1}\\n{"accuracy": 0.2}\\n')"""
    assert run(code, output="m-{trial}.jsonl").metrics["accuracy"] == 0.2


def test_a_file_that_is_missing_or_old_or_no_json(run, tmp_path):
    with pytest.raises(EvaluationError, match=r"no metric: it wrote no .*/m-0\.json"):
        run("print('hello')", output="m-{trial}.json")
    (tmp_path / "m-0.json").write_text('{"accuracy": 0.9}')
    with pytest.raises(EvaluationError, match=r"no metric: .*/m-0\.json is from an earlier run"):
        run("print('hello')", output="m-{trial}.json")
    with pytest.raises(EvaluationError, match=r"nothing in .*/m-0\.json is a JSON object with accuracy"):
        run("open('m-0.json', 'w').write('accuracy = 0.9')", output="m-{trial}.json")
    with pytest.raises(EvaluationError, match="wrote accuracy = NaN"):
        run("""open('m-0.json', 'w').write('{"accuracy": NaN}')""", output="m-{trial}.json")
    with pytest.raises(EvaluationError, match="cannot be read"):
        run("import os; os.remove('m-0.json'); os.mkdir('m-0.json')", output="m-{trial}.json")


def test_cancelled(run, tmp_path, pids_in, gone):
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    with pytest.raises(StoppedError):
        run(
            """
            import os, subprocess, time
            child = subprocess.Popen(["sleep", "60"])
            open("pids", "w").write(f"{os.getpid()} {child.pid}")
            time.sleep(60)
            """,
            cancelled=stop,
        )
    assert gone(*pids_in(tmp_path / "pids", 2), within_s=0.1)


def test_what_is_left_running_is_ended(run, tmp_path, pids_in, gone):
    result = run(
        """
        import os, subprocess
        child = subprocess.Popen(["sleep", "60"])
        daemon = subprocess.Popen(["sleep", "60"], start_new_session=True)
        open("pids", "w").write(f"{child.pid} {daemon.pid}")
        print('{"accuracy": 0.5}')
        """
    )
    assert gone(*pids_in(tmp_path / "pids", 2), within_s=0.1)
    assert result.notes == ("2 processes that it left running were ended",)
    assert "exit code 0 after" in result.log.read_text().splitlines()[-1]
    assert result.log.read_text().endswith("; 2 processes that it left running were ended\n")


def test_a_command_that_closes_its_output_goes_on(run, tmp_path):
    run(
        """
        import os, time
        open("m-0.json", "w").write('{"accuracy": 0.1}')
        os.close(1); os.close(2)
        time.sleep(0.6)
        open("m-0.json", "w").write('{"accuracy": 0.2}')
        """,
        output="m-{trial}.json",
    )
    assert json.loads((tmp_path / "m-0.json").read_text()) == {"accuracy": 0.2}


def test_the_environment(run, monkeypatch):
    for name in list(os.environ):
        if name.endswith("NUM_THREADS"):
            monkeypatch.delenv(name)
    code = """
        import json, os
        print(json.dumps({"accuracy": 1, "threads": int(os.environ.get("OMP_NUM_THREADS", -1)),
                          "mkl": int(os.environ.get("MKL_NUM_THREADS", -1)), "own": int(os.environ["OWN"])}))
    """
    assert dict(run(code, env={"OWN": "5"}, threads=3).extras) == {"threads": 3, "mkl": 3, "own": 5}
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    assert dict(run(code, env={"OWN": "5"}, threads=3).extras) == {"threads": -1, "mkl": 7, "own": 5}


def test_a_folder_that_cannot_be_written(run, tmp_path):
    (tmp_path / "trials").write_text("a file, where a folder should be")
    with pytest.raises(EvaluationError, match=r"cannot write .*log\.txt"):
        run(GOOD)


def test_a_second_attempt_is_logged_behind_the_first(run, tmp_path):
    run("print('earlier')\n" + GOOD)
    run("print('later')\n" + GOOD)
    log = (tmp_path / "trials/0/log.txt").read_text()
    assert log.index("earlier") < log.index("later")


def test_the_template_is_checked_at_once():
    with pytest.raises(ConfigError, match=r"unknown placeholder \{widht\} \(did you mean 'width'\?\)"):
        CommandEvaluator("train --width {widht}", ["width"], ["accuracy"])
    with pytest.raises(ConfigError, match=r"\[evaluation\] output: unknown placeholder \{floder\}"):
        CommandEvaluator("train", [], ["accuracy"], output="{floder}/m.json")


def test_paths_are_absolute_wherever_it_runs(settings, task, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "n.onnx").write_text("network")
    code = "import json, os, sys; print(json.dumps({{'accuracy': sum(map(os.path.exists, sys.argv[1:]))}}))"
    command = ["{python}", "-c", code, "{folder}", "{network}"]
    evaluator = CommandEvaluator(command, [], ["accuracy"], settings=settings(folder=tmp_path / "elsewhere"))
    relative = replace(task(), folder=Path("trials/0"), network_file=Path("n.onnx"))
    assert evaluator.evaluate(relative, cancelled=threading.Event()).metrics["accuracy"] == 2
