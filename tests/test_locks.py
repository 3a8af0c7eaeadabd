import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from hwnas.errors import DeviceBusyError, HwnasError, StoppedError
from hwnas.locks import DeviceLock, MachineTurns, runtime_folder


def start(code, *args):
    """Start a Python child; returns it once it has printed its first line."""
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout.readline()
    return child


def end(child):
    child.stdin.close()
    child.stdout.close()
    child.wait(10)


HOLD = """
    import sys
    from pathlib import Path
    from hwnas.locks import MachineTurns
    with getattr(MachineTurns(Path(sys.argv[1])), sys.argv[2])():
        print("held", flush=True)
        sys.stdin.read()
"""
HOLD_DEVICE = """
    import sys
    from pathlib import Path
    from hwnas.locks import DeviceLock
    with DeviceLock("pixel", Path(sys.argv[1])).hold():
        print("held", flush=True)
        sys.stdin.read()
"""


def is_free(take):
    """Say whether a turn comes at once."""
    waited, stop = [], threading.Event()
    timer = threading.Timer(0.3, stop.set)
    timer.start()
    try:
        with take(on_wait=waited.append, cancelled=stop):
            return not waited
    except StoppedError:
        return False
    finally:
        timer.cancel()


def test_trainings_go_together_and_measurements_alone(tmp_path):
    turns = MachineTurns(tmp_path)
    with turns.training():
        assert is_free(MachineTurns(tmp_path).training)
        assert not is_free(MachineTurns(tmp_path).measuring)
    with turns.measuring():
        assert not is_free(MachineTurns(tmp_path).training)
        assert not is_free(MachineTurns(tmp_path).measuring)
    assert is_free(turns.measuring)
    assert is_free(turns.training)


def test_a_turn_holds_between_processes_and_names_the_holder(tmp_path):
    child = start(HOLD, tmp_path, "measuring")
    told = []
    threading.Timer(0.4, lambda: child.stdin.close()).start()
    with MachineTurns(tmp_path).training(on_wait=told.append):
        pass
    assert len(told) == 1
    assert f"a measurement pid {child.pid}" in told[0]
    end(child)


def test_kill_9_releases_a_turn(tmp_path):
    child = start(HOLD, tmp_path, "measuring")
    assert not is_free(MachineTurns(tmp_path).training)
    child.kill()
    end(child)
    assert is_free(MachineTurns(tmp_path).training)


def test_a_waiting_measurement_holds_back_new_trainings_and_goes_first(tmp_path):
    turns, order = MachineTurns(tmp_path), []

    def measure():
        with turns.measuring():
            order.append("measuring")

    def train():
        with turns.training():
            order.append("training")

    with turns.training():
        first = threading.Thread(target=measure)
        first.start()
        time.sleep(0.15)
        second = threading.Thread(target=train)
        second.start()
        time.sleep(0.15)
        assert order == []
    first.join(5)
    second.join(5)
    assert order == ["measuring", "training"]


def test_neither_side_starves(tmp_path):
    counts = {"training": 0, "measuring": 0}
    stop = threading.Event()

    def work(kind):
        turns = MachineTurns(tmp_path)
        while not stop.is_set():
            with getattr(turns, kind)():
                counts[kind] += 1
                time.sleep(0.005)

    threads = [threading.Thread(target=work, args=(kind,)) for kind in ("training", "training", "measuring")]
    for thread in threads:
        thread.start()
    time.sleep(1.0)
    stop.set()
    for thread in threads:
        thread.join(5)
    assert min(counts.values()) >= 10, counts


def test_never_both_at_once(tmp_path):
    inside, wrong, guard = {"training": 0, "measuring": 0}, [], threading.Lock()

    def work(kind):
        for _ in range(30):
            with getattr(MachineTurns(tmp_path), kind)():
                with guard:
                    inside[kind] += 1
                    if inside["measuring"] > 1 or (inside["measuring"] and inside["training"]):
                        wrong.append(dict(inside))
                time.sleep(0.001)
                with guard:
                    inside[kind] -= 1

    threads = [threading.Thread(target=work, args=(k,)) for k in ("training", "training", "measuring", "measuring")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not wrong


def test_a_wait_can_be_stopped_and_leaves_nothing_behind(tmp_path):
    turns, stop = MachineTurns(tmp_path), threading.Event()
    with turns.measuring():
        threading.Timer(0.2, stop.set).start()
        with pytest.raises(StoppedError), turns.training(cancelled=stop):
            pass
    assert is_free(turns.measuring)
    assert is_free(turns.training)


def test_children_do_not_keep_a_lock(tmp_path):
    code = """
        import os, subprocess, sys, time
        from pathlib import Path
        from hwnas.locks import MachineTurns
        with MachineTurns(Path(sys.argv[1])).measuring():
            spawned = subprocess.Popen(["sleep", "30"], close_fds=False)
            forked = os.fork()
            if not forked:
                time.sleep(30)
            print(spawned.pid, forked, flush=True)
            sys.stdin.read()
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    pids = [int(word) for word in child.stdout.readline().split()]
    child.kill()
    end(child)
    try:
        assert is_free(MachineTurns(tmp_path).training)
    finally:
        for pid in pids:
            os.kill(pid, 9)


def test_a_forked_child_that_leaves_the_block_does_not_release_it(tmp_path):
    child = start(
        """
        import os, sys
        from pathlib import Path
        from hwnas.locks import MachineTurns
        with MachineTurns(Path(sys.argv[1])).measuring():
            forked = os.fork()
            if forked:
                os.waitpid(forked, 0)
                print("held", flush=True)
                sys.stdin.read()
        """,
        tmp_path,
    )
    assert not is_free(MachineTurns(tmp_path).training)
    end(child)


def test_a_device_has_one_holder_and_the_error_names_it(tmp_path):
    child = start(HOLD_DEVICE, tmp_path)
    lock = DeviceLock("pixel", tmp_path)
    with pytest.raises(DeviceBusyError) as caught, lock.hold():
        pass
    assert "'pixel' is in use" in caught.value.message
    assert f"pid {child.pid} (-c" in caught.value.message
    assert "since 2" in caught.value.message
    with DeviceLock("another", tmp_path).hold():
        pass
    child.kill()
    end(child)
    with lock.hold():
        pass


def test_a_device_can_be_waited_for(tmp_path):
    told, lock = [], DeviceLock("pixel", tmp_path)
    with lock.hold():
        started = time.monotonic()
        with pytest.raises(DeviceBusyError, match=r"still, after 0\.3 s.*this very process"), lock.hold(wait_s=0.3):
            pass
        assert 0.25 < time.monotonic() - started < 2
        stop = threading.Event()
        threading.Timer(0.1, stop.set).start()
        with pytest.raises(StoppedError), lock.hold(wait_s=float("inf"), cancelled=stop):
            pass
    child = start(HOLD_DEVICE, tmp_path)
    threading.Timer(0.3, lambda: child.stdin.close()).start()
    with lock.hold(wait_s=20, on_wait=told.append):
        pass
    assert len(told) == 1
    assert str(child.pid) in told[0]
    end(child)


def test_a_removed_lock_file_is_replaced(tmp_path):
    lock = DeviceLock("pixel", tmp_path)
    with lock.hold():
        pass
    for path in tmp_path.iterdir():
        path.unlink()
    with lock.hold(), pytest.raises(DeviceBusyError), lock.hold():
        pass


def test_the_runtime_folder_is_the_owners_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("HWNAS_LOCKS", str(tmp_path))
    assert runtime_folder() == tmp_path
    monkeypatch.setenv("HWNAS_LOCKS", str(tmp_path / "not" / "yet"))
    assert runtime_folder().is_dir()
    monkeypatch.delenv("HWNAS_LOCKS")
    monkeypatch.setattr("hwnas.locks._TMP", tmp_path)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "session"))  # goes when a person logs out
    monkeypatch.setenv("TMPDIR", str(tmp_path / "job"))  # another one in each job
    folder = runtime_folder()
    assert folder == tmp_path / f"hwnas-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    assert runtime_folder().stat().st_mode & 0o777 == 0o700
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HwnasError, match="somebody else"):
        runtime_folder()


def test_a_folder_that_was_tidied_away_is_made_again(tmp_path):
    turns = MachineTurns(tmp_path / "locks")
    for _ in range(2):
        with turns.training():
            assert (tmp_path / "locks" / "turn.lock").is_file()
        shutil.rmtree(tmp_path / "locks")


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(HwnasError, match="cannot open the lock file"), MachineTurns(tmp_path / "file" / "x").training():
        pass
