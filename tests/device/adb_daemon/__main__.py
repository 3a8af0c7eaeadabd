"""Run one loopback device until it is told to stop: `python -m tests.device.adb_daemon FOLDER`."""

import argparse
import signal
import sys
from pathlib import Path

from tests.device.adb_daemon.daemon import LoopbackDevice


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="what it keeps its files in")
    parser.add_argument("--serial", default="LOOPBACK0001")
    parser.add_argument("--abi", default="arm64-v8a", help="what it says it runs")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with LoopbackDevice(options.folder, serial=options.serial) as device:
        device.phone.set_properties(ro__product__cpu__abi=options.abi)
        sys.stdout.write(f"{device.address}\n")
        sys.stdout.flush()
        sys.stdin.read()


main()
