"""Large files are hashed on the phone while they arrive; where that fails, afterwards."""

import os
import time

import pytest

from hwnas._deadline import Deadline
from hwnas.device.adb import _checking, _files
from hwnas.errors import DeadlineError, DeviceError
from tests.device.adb_daemon import packets
from tests.device.adb_daemon.waiting import names_in, wait_until

pytest_plugins = ["tests.device.adb_daemon.fixtures"]

TMP = "/data/local/tmp"


def soon(seconds=30.0):
    return Deadline.after(seconds)


@pytest.fixture(autouse=True)
def _small_is_large(monkeypatch):
    """Have files of a few megabytes count as large."""
    monkeypatch.setattr(_files, "WORTH_IT", 1 << 20)
    monkeypatch.setattr(_checking, "_RANGE", 1 << 20)
    monkeypatch.setattr(_checking, "_BEHIND", 0)


@pytest.fixture
def content(tmp_path):
    (tmp_path / "local").write_bytes(os.urandom(4_500_000))
    return tmp_path / "local"


@pytest.fixture(params=["direct", "server", "old"])
def transport(request, phone, connected):
    """A transport over each route, and to a daemon of Android 5 or 6."""
    if request.param == "server":
        request.getfixturevalue("through_server")
    if request.param == "old":
        phone.features, phone.version = (), packets.VERSION_WITH_CHECKSUM
    return connected(route="server" if request.param == "server" else "direct")


@pytest.fixture
def afterwards(monkeypatch):
    """What was checked when all of it was there."""
    found = []
    finish = _files.Files._finish
    monkeypatch.setattr(_files.Files, "_finish", lambda *words: found.append(words[3]) or finish(*words))
    return found


def whole(phone, content):
    assert phone.phone.path(f"{TMP}/file").read_bytes() == content.read_bytes()
    assert names_in(phone.phone.path(TMP)) == ["file"]
    assert wait_until(lambda: phone.phone.running() == []), phone.phone.running()


def test_it_is_known_to_be_whole_as_soon_as_it_is_there(transport, phone, content, afterwards):
    transport.push(content, f"{TMP}/file", deadline=soon())
    assert afterwards == []
    whole(phone, content)


def test_a_phone_without_a_program_for_it_is_checked_afterwards(transport, phone, content, afterwards):
    (phone.phone.root / "bin/stat").write_text("#!/bin/sh\nexit 1\n")
    (phone.phone.root / "bin/stat").chmod(0o755)
    transport.push(content, f"{TMP}/file", deadline=soon())
    assert afterwards == [f"{TMP}/file"]
    whole(phone, content)


def test_damage_is_seen(transport, phone, content):
    phone.faults.corrupt_writes = 1
    transport.push(content, f"{TMP}/file", deadline=soon())
    whole(phone, content)


def test_a_file_that_is_longer_than_what_was_sent_is_not_the_one(phone, connected, content, monkeypatch):
    send = _files._sync.send_file

    def longer(route, source, part, **options):
        digest = send(route, source, part, **options)
        with phone.phone.path(part).open("ab") as file:
            file.write(b"!")
        return digest

    monkeypatch.setattr(_files._sync, "send_file", longer)
    with pytest.raises(DeviceError, match="damaged on its way"):
        connected().push(content, f"{TMP}/file", deadline=soon())
    assert names_in(phone.phone.path(TMP)) == []


@pytest.mark.parametrize("after", [1_500_000, 4_000_000])
def test_a_connection_that_breaks_meanwhile(transport, phone, content, after):
    phone.faults.keep_half_files = True
    phone.faults.drop_after_received = after
    transport.push(content, f"{TMP}/file", deadline=soon())
    whole(phone, content)


def test_a_deadline_meanwhile_leaves_neither_file_nor_process(phone, connected, content):
    transport = connected()
    phone.faults.read_bytes_s = 2e6
    began = time.monotonic()
    with pytest.raises(DeadlineError, match="could not be sent"):
        transport.push(content, f"{TMP}/file", deadline=soon(1.0))
    assert time.monotonic() - began < 6.0
    phone.faults.read_bytes_s = 0.0
    assert wait_until(lambda: names_in(phone.phone.path(TMP)) == [])
    assert wait_until(lambda: phone.phone.running() == []), phone.phone.running()


def test_a_folder_of_that_name_stays(transport, phone, content):
    phone.phone.path(f"{TMP}/file").mkdir()
    with pytest.raises(DeviceError, match="it is a folder"):
        transport.push(content, f"{TMP}/file", deadline=soon())
    assert names_in(phone.phone.path(TMP)) == ["file"]
