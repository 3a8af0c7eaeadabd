"""Phones that misbehave: a clear error, or success on trying again; no hang, no half file, no stray process."""

import os
import shutil
import socket
import threading
import time
from pathlib import Path

import pytest

from hwnas._deadline import Deadline
from hwnas.device.adb import AdbOptions
from hwnas.device.adb._choose import connect as connect_by_options
from hwnas.device.adb._link import TcpLink, UsbLink
from hwnas.device.adb._server import Listed, is_running
from hwnas.device.adb._stream import UnreachableError
from hwnas.errors import DeadlineError, DeviceConnectionError, DeviceError
from tests.device.adb_daemon.waiting import names_in, wait_until

pytest_plugins = ["tests.device.adb_daemon.fixtures"]

TMP = "/data/local/tmp"


def soon(seconds=20.0):
    return Deadline.after(seconds)


@pytest.fixture
def content(tmp_path):
    """A file of two megabytes."""
    (tmp_path / "local").write_bytes(os.urandom(2_000_000))
    return tmp_path / "local"


@pytest.fixture(params=["direct", "server"])
def either(request, connected):
    """Connect by either route: `either()`."""
    if request.param == "server":
        request.getfixturevalue("through_server")
    return lambda **options: connected(route=request.param, **options)


def files_on(phone):
    return names_in(phone.phone.path(TMP))


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("keep_half", [False, True])
@pytest.mark.parametrize("after", [0, 30, 100_000, 1_999_000])
def test_a_push_that_is_cut_off_is_repeated(phone, connected, content, after, keep_half, reset):
    transport = connected()
    phone.faults.keep_half_files, phone.faults.drop_with_reset = keep_half, reset
    phone.faults.drop_after_received = after
    transport.push(content, f"{TMP}/file", deadline=soon())
    assert phone.connections == 2
    assert phone.phone.path(f"{TMP}/file").read_bytes() == content.read_bytes()
    assert files_on(phone) == ["file"]


def test_a_push_that_is_always_cut_off_leaves_the_older_file(phone, connected, content):
    transport = connected(reconnect_s=1.0)
    phone.phone.path(f"{TMP}/file").write_bytes(b"older")
    phone.faults.keep_half_files = True
    phone.faults.drop_every_time = True
    phone.faults.drop_after_received = 1_000_000
    with pytest.raises((DeviceConnectionError, DeadlineError)):
        transport.push(content, f"{TMP}/file", deadline=soon(3))
    assert phone.connections > 2
    assert phone.phone.path(f"{TMP}/file").read_bytes() == b"older"
    phone.faults.drop_after_received = None
    assert transport.run(["true"], deadline=soon()).exit_code == 0  # what could not be removed then is removed now
    assert names_in(phone.phone.path(TMP)) == ["file"]


@pytest.mark.parametrize("after", [0, 30, 1_000_000])
def test_a_pull_that_is_cut_off_is_repeated(phone, connected, tmp_path, after):
    content = os.urandom(2_000_000)
    phone.phone.path(f"{TMP}/file").write_bytes(content)
    transport = connected()
    phone.faults.drop_after_sent = after
    transport.pull(f"{TMP}/file", tmp_path / "back", deadline=soon())
    assert (tmp_path / "back").read_bytes() == content


def test_a_pull_that_fails_leaves_the_older_file_and_no_half_one(phone, connected, tmp_path):
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "back").write_bytes(b"older")
    phone.phone.path(f"{TMP}/file").write_bytes(bytes(2_000_000))
    transport = connected(reconnect_s=0.0)
    phone.faults.drop_after_sent = 1_000_000
    with pytest.raises(DeviceConnectionError):
        transport.pull(f"{TMP}/file", folder / "back", deadline=soon())
    assert (folder / "back").read_bytes() == b"older"
    assert names_in(folder) == ["back"]


def test_damage_on_the_way_is_seen_and_sent_again(phone, either, content):
    transport = either()
    phone.faults.corrupt_writes = 1
    transport.push(content, f"{TMP}/file", deadline=soon())
    assert phone.phone.path(f"{TMP}/file").read_bytes() == content.read_bytes()
    phone.faults.corrupt_writes = 3
    with pytest.raises(DeviceError, match="damaged on its way"):
        transport.push(content, f"{TMP}/other", deadline=soon())
    assert files_on(phone) == ["file"]


def test_a_full_disk_is_said_and_leaves_nothing(phone, either, content):
    transport = either()
    phone.faults.disk_free_bytes = 1_000_000
    with pytest.raises(DeviceError, match="No space left") as caught:
        transport.push(content, f"{TMP}/file", deadline=soon())
    assert "device clean" in caught.value.hint
    assert files_on(phone) == []


def test_partial_writes_of_the_phone_do_no_harm(phone, either, content, tmp_path):
    transport = either()
    phone.faults.dribble_bytes = 7
    assert transport.run(["sh", "-c", "echo out; echo err >&2; exit 9"], deadline=soon()).exit_code == 9
    phone.faults.dribble_bytes = 1000
    phone.phone.path(f"{TMP}/file").write_bytes(bytes(range(256)) * 400)
    transport.pull(f"{TMP}/file", tmp_path / "back", deadline=soon())
    assert (tmp_path / "back").read_bytes() == bytes(range(256)) * 400


def test_a_slow_link_only_takes_longer(phone, either, content):
    transport = either()
    phone.faults.read_bytes_s = 4e6
    transport.push(content, f"{TMP}/file", deadline=soon())
    assert phone.phone.path(f"{TMP}/file").read_bytes() == content.read_bytes()


def test_a_link_that_is_too_slow_ends_at_the_deadline(phone, connected, content):
    transport = connected()
    phone.faults.read_bytes_s = 2e5
    began = time.monotonic()
    with pytest.raises(DeadlineError, match="could not be sent"):
        transport.push(content, f"{TMP}/file", deadline=soon(1.0))
    assert time.monotonic() - began < 5.0
    phone.faults.read_bytes_s = 0.0
    assert wait_until(lambda: files_on(phone) == [])


def test_a_phone_that_stalls_ends_at_the_deadline_and_is_tidied_later(phone, connected):
    transport = connected()
    threading.Timer(0.3, phone.faults.stall).start()
    began = time.monotonic()
    with pytest.raises(DeadlineError):
        transport.run(["sh", "-c", "trap '' HUP; sleep 100; true"], deadline=soon(1.0))
    assert time.monotonic() - began < 4.5
    assert any("sleep" in line for line in phone.phone.running())
    phone.faults.go_on()
    assert transport.run(["echo", "back"], deadline=soon()).stdout == b"back\n"
    assert wait_until(lambda: phone.phone.running() == []), phone.phone.running()


def test_a_phone_too_slow_for_tidying_does_not_fail_a_call_that_has_time(phone, connected, monkeypatch):
    transport = connected()
    monkeypatch.setattr("hwnas.device.adb._transport._END_S", 0.3)
    phone.faults.stall()
    transport.forget_file(f"{TMP}/unwanted", afresh=False)  # in vain
    threading.Timer(1.0, phone.faults.go_on).start()
    assert transport.run(["echo", "fine"], deadline=soon()).stdout == b"fine\n"


def test_a_phone_that_stalls_from_the_start(phone, connected):
    phone.faults.stall()
    began = time.monotonic()
    with pytest.raises(DeviceConnectionError, match="does not answer"):
        connected(timeout_s=2.0)
    assert time.monotonic() - began < 6.0


@pytest.mark.parametrize("route", ["direct", "server"])
@pytest.mark.parametrize("reset", [False, True])
def test_a_lost_connection_is_noticed_within_a_second(phone, connected, request, route, reset):
    if route == "server":
        request.getfixturevalue("through_server")
    transport = connected(route=route, reconnect_s=0.0)
    phone.faults.drop_with_reset = reset
    times = []

    def cut():
        times.append(time.monotonic())
        phone.disconnect()

    threading.Timer(0.3, cut).start()
    with pytest.raises(DeviceConnectionError, match="while a command ran"):
        transport.run(["sh", "-c", "trap '' HUP; sleep 100; true"], deadline=soon())
    assert time.monotonic() - times[0] < 1.0
    if route == "server":  # the server needs a moment to see it too
        wait_until(lambda: _answers(transport))
    assert transport.run(["echo", "back"], deadline=soon()).stdout == b"back\n"
    assert wait_until(lambda: phone.phone.running() == []), phone.phone.running()


def _answers(transport):
    try:
        return transport.run(["true"], deadline=soon(2)).exit_code == 0
    except DeviceError:
        return False


def test_an_idle_connection_that_broke_is_made_again_unseen(phone, connected):
    transport = connected()
    phone.disconnect()
    assert transport.run(["echo", "back"], deadline=soon()).stdout == b"back\n"
    assert phone.connections == 2


def test_a_command_is_not_run_twice_unless_that_is_harmless(phone, connected):
    transport = connected()
    times = phone.phone.path(f"{TMP}/times")
    script = f"echo x >> {TMP}/times; sleep 0.5"

    def cut_once_there_are(count):
        wait_until(lambda: times.exists() and times.read_bytes() == b"x\n" * count)
        phone.disconnect()

    for harmless, count in ((False, 1), (True, 2)):
        thread = threading.Thread(target=cut_once_there_are, args=(count,))
        thread.start()
        if harmless:
            assert transport.run(["sh", "-c", script], deadline=soon(), harmless=True).exit_code == 0
            count += 1
        else:
            with pytest.raises(DeviceConnectionError):
                transport.run(["sh", "-c", script], deadline=soon())
        thread.join()
        assert times.read_bytes() == b"x\n" * count


def test_an_exit_code_that_never_comes_is_a_lost_connection(phone, connected):
    transport = connected()
    phone.faults.lose_exit_code = 1
    with pytest.raises(DeviceConnectionError, match="middle of an answer"):
        transport.run(["true"], deadline=soon())
    phone.faults.lose_exit_code = 1
    assert transport.run(["echo", "again"], deadline=soon(), harmless=True).stdout == b"again\n"


def test_a_service_that_never_answers_ends_at_the_deadline(phone, either, content):
    transport = either()
    phone.faults.silent_service = "sync:"
    with pytest.raises(DeadlineError):
        transport.push(content, f"{TMP}/file", deadline=soon(0.7))
    assert transport.run(["echo", "fine"], deadline=soon()).stdout == b"fine\n"


def test_a_reboot_is_waited_for(phone, either, content):
    transport = either()
    boot = transport.run(["cat", "/proc/sys/kernel/random/boot_id"], deadline=soon()).stdout
    phone.reboot(down_s=1.0)
    transport.push(content, f"{TMP}/file", deadline=soon())
    assert transport.run(["cat", "/proc/sys/kernel/random/boot_id"], deadline=soon()).stdout != boot


def test_a_phone_that_was_reached_is_waited_for_whatever_it_looks_like_meanwhile(phone, connected, monkeypatch):
    tries = []

    def connect(options, *, deadline):
        tries.append(options)
        if len(tries) == 2:  # as an adb server lists a phone that restarts
            raise UnreachableError("the adb server lists it as offline", "authorise this computer")
        return connect_by_options(options, deadline=deadline)

    monkeypatch.setattr("hwnas.device.adb._kind.connect", connect)
    transport = connected()
    phone.disconnect()
    assert transport.run(["echo", "back"], deadline=soon(), harmless=True).stdout == b"back\n"
    assert len(tries) == 3


def test_a_phone_that_stays_away_is_an_error_that_says_how_long_was_tried(phone, connected):
    transport = connected(reconnect_s=1.0)
    phone.power_off()
    began = time.monotonic()
    with pytest.raises(DeviceConnectionError, match=r"tried for [01]\.\d s"):
        transport.run(["true"], deadline=soon())
    assert 0.3 < time.monotonic() - began < 5.0
    phone.power_on()


def test_a_computer_that_nobody_allows_is_told_what_to_do(phone, connected, own_keys):
    phone.needs_key, phone.accepts_new_keys = True, False
    with pytest.raises(DeviceConnectionError, match="has not allowed this computer") as caught:
        connected(authorise_s=2.5)
    assert "authorise this computer on the phone" in caught.value.hint
    assert str(own_keys / "adbkey") in caught.value.hint


def test_keys_are_made_once_and_then_suffice(phone, connected, own_keys):
    phone.needs_key = True
    shutil.rmtree(own_keys)
    connected().close()
    assert (own_keys / "adbkey").stat().st_mode & 0o777 == 0o600
    phone.accepts_new_keys = False
    assert connected().run(["echo", "in"], deadline=soon()).stdout == b"in\n"
    assert len(phone.authorised) == 1
    assert names_in(own_keys) == ["adbkey", "adbkey.pub"]


def test_a_key_without_its_public_half_serves_too(phone, connected, own_keys):
    phone.needs_key = True
    connected().close()
    (own_keys / "adbkey.pub").unlink()
    assert connected().run(["echo", "in"], deadline=soon()).stdout == b"in\n"
    assert len(phone.authorised) == 1


def test_a_public_half_of_another_pair_does_no_harm(phone, connected, own_keys):
    """As two programs leave it that make keys at the same time."""
    phone.needs_key = True
    connected().close()
    other = (own_keys / "adbkey.pub").read_bytes().partition(b" ")[0][:-8] + b"AAAAAAA="
    (own_keys / "adbkey.pub").write_bytes(other + b" me@here\n")
    phone.accepts_new_keys = False
    assert connected().run(["echo", "in"], deadline=soon()).stdout == b"in\n"
    phone.authorised.clear()
    phone.accepts_new_keys = True
    connected().close()
    phone.accepts_new_keys = False
    assert connected().run(["echo", "in"], deadline=soon()).stdout == b"in\n"


def test_who_makes_keys_first_wins(own_keys, monkeypatch):
    from adb_shell.auth import keygen

    from hwnas.device.adb._keys import load_keys

    kept = {name: (own_keys / name).read_bytes() for name in ("adbkey", "adbkey.pub")}
    shutil.rmtree(own_keys)

    def make_meanwhile(place):
        for name, content in kept.items():
            (own_keys / name).write_bytes(content)
        Path(place).write_bytes(b"mine")
        Path(f"{place}.pub").write_bytes(b"mine")

    monkeypatch.setattr(keygen, "keygen", make_meanwhile)
    (key,) = load_keys()
    assert {name: (own_keys / name).read_bytes() for name in names_in(own_keys)} == kept
    assert key.public.split()[0] == kept["adbkey.pub"].split()[0]


def test_vendor_keys_are_offered(phone, connected, own_keys, tmp_path, monkeypatch):
    phone.needs_key = True
    connected().close()
    own_keys.rename(tmp_path / "vendor")
    monkeypatch.setenv("ADB_VENDOR_KEYS", str(tmp_path / "vendor" / "adbkey"))
    phone.accepts_new_keys = False
    assert connected().run(["echo", "in"], deadline=soon()).stdout == b"in\n"


def test_a_damaged_key_is_named(connected, own_keys):
    (own_keys / "adbkey").write_text("no key")
    with pytest.raises(DeviceConnectionError, match="adbkey: no usable ADB key"):
        connected()


def test_an_address_needs_no_adb_server_whatever_listens_in_its_place(connected, own_keys, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(other.getsockname()[1]))
        monkeypatch.setattr("hwnas.device.adb._server._ASK_S", 0.3)
        assert connected().run(["echo", "in"], deadline=soon()).stdout == b"in\n"


@pytest.mark.parametrize(
    ("state", "hint"), [("unauthorized", "tap 'Allow'"), ("no permissions", "udev"), ("offline", "adb reconnect")]
)
def test_each_state_of_a_phone_at_the_server_has_its_own_hint(monkeypatch, own_keys, state, hint):
    monkeypatch.setattr("hwnas.device.adb._server.listed", lambda: [Listed("S1", state)])
    with pytest.raises(DeviceConnectionError, match=f"lists S1 as {state}") as caught:
        connect_by_options(AdbOptions(serial="S1"), deadline=soon())
    assert hint in caught.value.hint


def test_a_phone_that_wants_tls_needs_the_server(phone, connected):
    phone.wants_tls = True
    with pytest.raises(DeviceConnectionError, match="asks for TLS") as caught:
        connected()
    assert "adb pair" in caught.value.hint


@pytest.mark.parametrize("route", ["auto", "direct"])
def test_nobody_at_the_address(connected, route):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    began = time.monotonic()
    with pytest.raises(DeviceConnectionError, match=f"cannot connect to {address}"):
        connected(address=address, route=route)
    assert time.monotonic() - began < 5.0


@pytest.mark.parametrize("host", ["192.168.1..7", "a" * 64])
def test_an_address_that_can_be_no_name(host):
    with pytest.raises(DeviceConnectionError, match=f"cannot connect to {host}:5555: ") as caught:
        TcpLink(host, 5555, deadline=soon())
    assert "check the address" in caught.value.hint


def test_a_deadline_that_has_passed_is_not_taken_for_a_phone_that_is_away():
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(DeadlineError, match="did not end in time"):
        TcpLink(*listener.getsockname(), deadline=soon(-1.0))


def test_no_server_is_at_an_address_that_can_be_no_name(monkeypatch):
    monkeypatch.setenv("ANDROID_ADB_SERVER_ADDRESS", "a..b")
    assert is_running() is False


def test_something_else_at_the_address(connected):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            while True:
                try:
                    link, _ = listener.accept()
                except OSError:
                    return
                with link:
                    link.recv(1000)
                    link.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(DeviceConnectionError, match="does not speak ADB"):
            connected(address=f"127.0.0.1:{listener.getsockname()[1]}")


def test_no_server_is_an_error_that_says_so(connected):
    with pytest.raises(DeviceConnectionError, match="no adb server listens") as caught:
        connected(route="server")
    assert "adb start-server" in caught.value.hint


def test_auto_takes_the_server_that_has_the_phone(phone, connected, through_server, adb):
    assert "direct" in connected().describe()
    adb("get-state", device=phone)
    assert "through the adb server" in connected().describe()


def test_the_server_says_that_a_phone_is_not_allowed(phone, connected, through_server):
    phone.needs_key, phone.accepts_new_keys = True, False
    with pytest.raises(DeviceConnectionError):
        connected(route="server")


class Usb:
    """adb-shell's USB transport as far as it is used, with the daemon at the other end of it."""

    class TimeoutOfUsbError(Exception):
        """Stands for libusb's USBErrorTimeout, known by its name."""

    def __init__(self, address):
        host, port = address.split(":")
        self._socket = socket.create_connection((host, int(port)))

    def bulk_read(self, size, timeout_s):
        self._socket.settimeout(timeout_s)
        try:
            data = self._socket.recv(size)
        except TimeoutError as exc:
            raise Usb.TimeoutOfUsbError from exc
        if not data:
            raise OSError("LIBUSB_ERROR_NO_DEVICE")
        return data

    def bulk_write(self, data, timeout_s):
        self._socket.settimeout(timeout_s)
        return self._socket.send(data[:100_000])

    def close(self):
        self._socket.close()


def test_usb_carries_the_same_protocol(phone, own_keys, content, monkeypatch):
    from hwnas.device.adb._direct import DirectRoute
    from hwnas.device.adb._keys import load_keys
    from hwnas.device.adb._transport import AdbTransport

    phone.needs_key = True
    keys = load_keys()

    def connect(deadline):
        return DirectRoute(UsbLink(Usb(phone.address), name="USB X1"), keys, deadline=deadline, authorise_s=5)

    transport = AdbTransport(connect)
    transport.open(deadline=soon())
    assert transport.describe() == "adb (direct USB X1)"
    assert transport.run(["sh", "-c", "echo out; exit 4"], deadline=soon()).exit_code == 4
    transport.push(content, f"{TMP}/file", deadline=soon())
    assert phone.phone.path(f"{TMP}/file").read_bytes() == content.read_bytes()
    phone.disconnect()
    assert transport.run(["echo", "back"], deadline=soon()).stdout == b"back\n"
    transport.close()


def test_usb_without_its_library_says_what_to_install(own_keys):
    with pytest.raises(DeviceConnectionError) as caught:
        UsbLink.open("X1", deadline=soon())
    assert "adb-shell[usb]" in caught.value.hint or "USB debugging" in caught.value.hint
