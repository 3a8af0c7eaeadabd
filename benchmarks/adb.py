"""ADB: shell round trips and a 50 MB push, ours against Android's own adb client, in one run.

    python -m benchmarks.adb

The phone is the tests' loopback device, in a process of its own. It is a Python program, so that rates are those of
the loopback device as much as of who talks to it: what counts are ratios within one run. `sent` is what the client
does: the bytes are on the phone. `checked` is what `AdbTransport.push` does: sent, hashed on the phone, and renamed;
the client's is its push and then `adb shell sha256sum`. Hashing takes processor time here, where phone, server and both
clients share one machine, and a phone hashes beside receiving: run it where nothing else runs. What is promised is held
like for like, sent to sent and checked to checked; the last column tells what checking costs beside the client's push,
which checks nothing. Needs the `adb` client (Debian and Ubuntu: apt install adb).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hwnas._deadline import Deadline
from hwnas.device import DeviceProfile
from hwnas.device.adb import open_transport
from hwnas.device.adb._sync import send_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hwnas.device.adb import AdbTransport

ROOT = Path(__file__).parent.parent
REMOTE = "/data/local/tmp/pushed"
MEGABYTES = 50
MOST_ROUND_TRIP_MS = 5.0
LEAST_SHARE_OF_RATE = 0.6


class Way(NamedTuple):
    """One way to a phone: what is timed of it."""

    shell: Callable[[], object]
    send: Callable[[], object]
    push: Callable[[], object]


def main() -> int:
    """Measure, print a table and return 0 where what is promised holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--round-trips", type=int, default=200)
    parser.add_argument("--pushes", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    if shutil.which("adb") is None:
        sys.exit("error: the adb client is not installed (Debian and Ubuntu: apt install adb)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {
            "HOME": name,
            "ANDROID_USER_HOME": str(folder / ".android"),
            "ANDROID_ADB_SERVER_PORT": str(_free_port()),
        }
        with loopback_phone(folder) as address, _server():
            figures = _measure(_ways(address, folder), options.round_trips, options.pushes)
    print(json.dumps(figures) if options.json else _table(figures))
    client = figures["adb client"]
    kept = [
        figures[route]["shell_p50_ms"] < MOST_ROUND_TRIP_MS
        and figures[route]["sent_mb_s"] >= LEAST_SHARE_OF_RATE * client["sent_mb_s"]
        and figures[route]["checked_mb_s"] >= LEAST_SHARE_OF_RATE * client["checked_mb_s"]
        for route in ("direct", "server")
    ]
    return 0 if all(kept) else 1


def _ways(address: str, folder: Path) -> dict[str, Way]:
    file = folder / "file"
    file.write_bytes(os.urandom(MEGABYTES * 1_000_000))
    subprocess.run(["adb", "connect", address], check=True, capture_output=True)

    def client(*words: str) -> object:
        return subprocess.run(["adb", "-s", address, *words], check=True, capture_output=True)

    def client_checks() -> None:
        client("push", str(file), REMOTE)
        client("shell", "sha256sum", REMOTE)

    ways = {
        "adb client": Way(lambda: client("shell", "true"), lambda: client("push", str(file), REMOTE), client_checks)
    }
    for route in ("direct", "server"):
        profile = DeviceProfile(route, transport="adb", transport_options={"address": address, "route": route})
        ways[route] = _own_way(open_transport(profile, Deadline.after(30)), file)
    return ways


def _own_way(transport: AdbTransport, file: Path) -> Way:
    def send() -> None:
        deadline = Deadline.after(120)
        with file.open("rb") as source:
            send_file(transport.route(deadline=deadline), source, REMOTE, mode=0o100644, mtime_s=0, deadline=deadline)

    return Way(
        lambda: transport.run(["true"], deadline=Deadline.after(30)),
        send,
        lambda: transport.push(file, REMOTE, deadline=Deadline.after(120)),
    )


def _measure(ways: dict[str, Way], round_trips: int, pushes: int) -> dict[str, dict[str, float]]:
    """Return medians; the ways take turns, so that what else the machine does hits all alike."""
    seconds: dict[str, dict[str, list[float]]] = {name: {"shell": [], "send": [], "push": []} for name in ways}
    for _ in range(round_trips):
        for name, way in ways.items():
            seconds[name]["shell"].append(_seconds(way.shell))
    for _ in range(pushes):
        for what in ("send", "push"):
            for name, way in ways.items():
                seconds[name][what].append(_seconds(getattr(way, what)))
    return {
        name: {
            "shell_p50_ms": 1e3 * statistics.median(found["shell"]),
            "sent_mb_s": MEGABYTES / statistics.median(found["send"]),
            "checked_mb_s": MEGABYTES / statistics.median(found["push"]),
        }
        for name, found in seconds.items()
    }


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _table(figures: dict[str, dict[str, float]]) -> str:
    client = figures["adb client"]
    lines = [f"{'way':<12} {'shell p50':>12} {'sent':>18} {'sent and checked':>20} {'checked / client sent':>22}"]
    for name, found in figures.items():
        parts = [f"{found[rate]:.0f} MB/s ({found[rate] / client[rate]:.0%})" for rate in ("sent_mb_s", "checked_mb_s")]
        across = found["checked_mb_s"] / client["sent_mb_s"]
        lines.append(f"{name:<12} {found['shell_p50_ms']:>9.2f} ms {parts[0]:>18} {parts[1]:>20} {across:>21.0%}")
    share = f"{LEAST_SHARE_OF_RATE:.0%} of the client's rate, like for like"
    lines.append(f"promised: under {MOST_ROUND_TRIP_MS:.0f} ms; sent, and sent and checked, at {share}")
    return "\n".join(lines)


@contextlib.contextmanager
def loopback_phone(folder: Path, *options: str) -> Iterator[str]:
    """Run the tests' phone in a process of its own; hands out its address."""
    command = [sys.executable, "-m", "tests.device.adb_daemon", str(folder / "phone"), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as phone:
        assert phone.stdout is not None  # noqa: S101  # for the type checker
        try:
            yield phone.stdout.readline().strip()
        finally:
            phone.terminate()


@contextlib.contextmanager
def _server() -> Iterator[None]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(["adb", "nodaemon", "server"], **quiet) as server:
        port = int(os.environ["ANDROID_ADB_SERVER_PORT"])
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        try:
            yield
        finally:
            server.terminate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
