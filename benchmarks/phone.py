"""A phone from registering to a p99: the tests' loopback phone beside this machine itself, in one run.

    python -m benchmarks.phone

Registers the phone by the command line, checks it, and measures five networks of the space `digits` on it by our runner
and ONNX Runtime's library, which are pushed over ADB; then the same networks on this machine without ADB. Both
run real inference on the same processor, so that medians must agree: within 20 %. Needs a C++ compiler.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import files
from pathlib import Path
from typing import Any

from benchmarks.adb import ROOT, loopback_phone

NETWORKS = 5
MOST_APART = 1.2
_RUNNER = ROOT / "hwnas" / "device" / "runner" / "build.sh"


def main() -> int:
    """Measure, print a table and return 0 where medians agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ |= {"ANDROID_USER_HOME": str(folder / ".android"), "HWNAS_WORKSPACE": str(folder / "workspace")}
        subprocess.run(["sh", str(_RUNNER), str(folder / "hwnas-runner")], check=True)
        _hwnas("init", str(folder / "workspace"))
        with loopback_phone(folder, "--abi", platform.machine().replace("aarch64", "arm64-v8a")) as address:
            rows = _measured(address, folder, options.samples)
    if options.json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        _table(rows)
    return 0 if all(1 / MOST_APART < row["ratio"] < MOST_APART for row in rows) else 1


def _measured(address: str, folder: Path, samples: int) -> list[dict[str, Any]]:
    runner = ["--runner", str(folder / "hwnas-runner"), "--library", str(_library())]
    _hwnas("device", "add", "phone", "--transport", "adb", "--address", address, "--runtime", "onnxruntime", *runner)
    _hwnas("device", "add", "host", "--transport", "host", "--runtime", "onnxruntime")
    _hwnas("device", "check", "phone")
    sampled = ["--space", "digits", "--count", str(NETWORKS), "--samples", str(samples), "--json"]
    names = ("phone", "host")
    found = {name: json.loads(_hwnas("measure", name, *sampled))["measurements"] for name in names}
    pairs = zip(found["phone"], found["host"], strict=True)
    return [
        {
            "network": there["network_name"],
            "macs": there["macs"],
            **{
                f"{at}_{figure}": item[figure] for at, item in (("phone", there), ("host", here)) for figure in _FIGURES
            },
            "ratio": there["p50_ms"] / here["p50_ms"],
        }
        for there, here in pairs
    ]


_FIGURES = ("p50_ms", "p99_ms", "n", "verdict")


def _table(rows: list[dict[str, Any]]) -> None:
    heading = f"{'network':<18}{'MACs':>10}{'phone p50':>12}{'p99 ms':>9}{'host p50':>12}{'p99 ms':>9}{'p50 ratio':>11}"
    lines = [heading + "  verdicts"]
    lines += [
        f"{row['network']:<18}{row['macs']:>10}{row['phone_p50_ms']:>12.4f}{row['phone_p99_ms']:>9.4f}"
        f"{row['host_p50_ms']:>12.4f}{row['host_p99_ms']:>9.4f}{row['ratio']:>11.3f}"
        f"  {row['phone_verdict']}, {row['host_verdict']}"
        for row in rows
    ]
    lines.append("promised: medians within 20 %")
    sys.stdout.write("\n".join(lines) + "\n")


def _hwnas(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "hwnas", *words], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def _library() -> Path:
    for entry in files("onnxruntime") or ():
        if entry.name.startswith("libonnxruntime.so."):
            return Path(str(entry.locate()))
    sys.exit("error: this wheel of onnxruntime has no shared library of its own")


if __name__ == "__main__":
    sys.exit(main())
