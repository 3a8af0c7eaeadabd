"""`kill -9` a campaign of 20 networks at random moments until it is finished: nothing is lost, nothing measured twice.

    python benchmarks/killed.py [--networks 20] [--seed 0] [--most-s 6]

Each run is the ordinary command, `hwnas measure`, in a process group of its own, and only that process is killed:
what it had started must end by itself.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HWNAS = [sys.executable, "-m", "hwnas"]


def main() -> int:
    """Kill until a run gets to its end; returns 0 where the store is as if nothing had happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most-s", type=float, default=6.0, help="a run is killed after a random time up to this")
    options = parser.parse_args()
    chance = random.Random(options.seed)  # noqa: S311  # moments, no secrets
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hwnas(folder, "init", ".")
        hwnas(folder, "device", "add", "host")
        command = [*HWNAS, "measure", "host", "--space", "digits", "--count", str(options.networks), "--samples", "500"]
        kills, before = 0, {}
        while True:
            with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
                try:
                    code = run.wait(timeout=chance.uniform(1.0, options.most_s))
                except subprocess.TimeoutExpired:
                    code = None
                children = descendants(run.pid)
                run.kill()
            after = stored(folder)
            kept = all(after.get(key) == value for key, value in before.items())
            left = [pid for pid in children if not gone(pid)]
            print(f"{'ended' if code is not None else 'killed'}: {len(after)} stored, kept {kept}, left over {left}")
            if not kept or left or code not in (None, 0):
                return 1
            before = after
            if code == 0:
                break
            kills += 1
        measured = json.loads(hwnas(folder, "measurements", "list", "--newest", "100000", "--json"))
        distinct = {item["network_hash"] for item in measured}
        print(f"{kills} kills; {len(measured)} measurements of {len(distinct)} networks")
        return 0 if len(measured) == len(distinct) == options.networks else 1


def hwnas(folder: Path, *words: str) -> str:
    """Return what a command printed."""
    return subprocess.run([*HWNAS, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def stored(folder: Path) -> dict[int, str]:
    """Return the id and the figures of each stored measurement."""
    found = json.loads(hwnas(folder, "measurements", "list", "--newest", "100000", "--json"))
    return {item["id"]: json.dumps(item) for item in found}


def descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, and those that they have."""
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    children = [int(word) for word in done.stdout.split()]
    return children + [other for child in children for other in descendants(child)]


def gone(pid: int, within_s: float = 5.0) -> bool:
    """Return whether a process ends in time."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


if __name__ == "__main__":
    sys.exit(main())
