import threading

import pytest

from hwnas._thread_turns import ThreadTurns
from hwnas.errors import DeviceBusyError, HwnasError, StoppedError
from hwnas.locks import DeviceLock


def in_thread(turns, work):
    """Start `work` in a thread that has joined; returns the thread, and what came out."""
    came = []

    def run():
        try:
            with turns.joined():
                came.append(work())
        except HwnasError as exc:
            came.append(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, came


def hold(lock, **settings):
    with lock.hold(**settings):
        return "held"


def test_threads_that_joined_wait_for_each_other(tmp_path):
    turns, lock, waits = ThreadTurns(), DeviceLock("pixel", tmp_path), threading.Event()
    with turns.joined(), lock.hold():
        thread, came = in_thread(turns, lambda: hold(lock, on_wait=lambda _who: waits.set()))
        assert waits.wait(10)
        assert came == []
    thread.join(10)
    assert came == ["held"]


def test_others_do_not_wait(tmp_path):
    """A thread that has not joined, and one that holds the device already, are told that it is busy."""
    turns, lock = ThreadTurns(), DeviceLock("pixel", tmp_path)
    with turns.joined(), lock.hold():
        thread, came = in_thread(ThreadTurns(), lambda: hold(lock))
        thread.join(10)
        assert isinstance(came[0], DeviceBusyError)
        with pytest.raises(DeviceBusyError):
            hold(lock)
        assert hold(DeviceLock("another", tmp_path)) == "held"


def test_whoever_waits_can_be_told_to_stop(tmp_path):
    turns, lock, stop = ThreadTurns(), DeviceLock("pixel", tmp_path), threading.Event()
    with turns.joined(), lock.hold():
        thread, came = in_thread(turns, lambda: hold(lock, cancelled=stop, on_wait=lambda _who: stop.set()))
        thread.join(10)
        assert isinstance(came[0], StoppedError)
    assert hold(lock) == "held"
