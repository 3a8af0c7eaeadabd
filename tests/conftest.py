import contextlib
import os
import signal
import threading
from pathlib import Path

import pytest
from hypothesis import settings

from hwnas.store import Store
from hwnas.workspace import Workspace

# A first example pays for slow imports, and this machine is shared: an example's time says nothing.
settings.register_profile("hwnas", deadline=None)
settings.load_profile("hwnas")

# A shell that starts the tests in the background has them ignore Ctrl-C, and every process below them with them.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def workspace(tmp_path):
    """An empty workspace in a folder of its own."""
    return Workspace.create(tmp_path / "workspace")


@pytest.fixture
def store(workspace):
    """The empty store of that workspace."""
    opened = Store.open(workspace.store_url)
    yield opened
    opened.close()


@pytest.fixture
def memory_group():
    """Make a control group of Linux, by the MiB that its processes may have together; beyond, the kernel kills them.

    What is to be in it writes its process id to `cgroup.procs` there. Skips where this user may make none.
    """
    made = []

    def make(mib):
        for parent, limit, others in (
            (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", {"memory.swappiness": "0"}),
            (Path("/sys/fs/cgroup"), "memory.max", {"memory.swap.max": "0"}),
        ):
            group = parent / f"hwnas-test-{os.getpid()}-{len(made)}"
            with contextlib.suppress(OSError):
                group.mkdir()
                made.append(group)
                (group / limit).write_text(str(mib * 2**20))
                for name, value in others.items():
                    with contextlib.suppress(OSError):
                        (group / name).write_text(value)
                return group
        pytest.skip("no control group for memory can be made here")

    yield make
    for group in made:
        with contextlib.suppress(OSError):
            group.rmdir()
