import os
import signal
import subprocess
import sys

import psutil
import pytest

from hwnas.search._owner import Owner, is_lost


@pytest.fixture
def sleeper():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_this_process_lives_and_its_text_reads_back():
    me = Owner.me()
    assert me.pid == os.getpid()
    assert Owner.parse(str(me)) == me
    assert me.is_here
    assert me.is_alive
    assert not is_lost(str(me))


def test_a_killed_process_is_lost_also_before_it_is_waited_for(sleeper):
    text = str(Owner.of(sleeper.pid))
    assert not is_lost(text)
    os.kill(sleeper.pid, signal.SIGKILL)
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # dead, and a zombie still
    assert is_lost(text)
    sleeper.wait()
    assert is_lost(text)


def test_a_process_id_that_was_used_again_is_another_owner():
    me = Owner.me()
    assert is_lost(str(Owner(me.host, me.pid, me.started_s - 1000.0)))


def test_a_clock_that_is_set_kills_nobody(sleeper, monkeypatch):
    text, plain = str(Owner.of(sleeper.pid)), psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: plain(process) + 3600.0)
    assert not is_lost(text)


def test_another_machine_is_believed_unless_told_otherwise():
    elsewhere = str(Owner("some.other:host", 1, 1.0))
    assert not is_lost(elsewhere)
    assert is_lost(elsewhere, everywhere=True)
    assert not is_lost(str(Owner.me()), everywhere=True)


def test_nobody_is_lost():
    assert is_lost(None)
