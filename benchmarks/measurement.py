"""How far measurements can be trusted: variation, targets and overhead, from one command.

    python benchmarks/measurement.py [--only variation|targets|overhead] [--folder FOLDER] [--out FOLDER] [--json]

- `variation`: p99 and the ratios of p99 between networks, campaign by campaign: our protocol, and a plain loop over
  each network in turn with the same total number of inferences (what `onnxruntime_perf_test` does), alternated in one
  run. Once beside a documented load (two programs that are busy and idle in turn) and once without. With another
  `--hogs` or `--seed` it is a section of its own.
- `targets`: the same networks of the digits space on each target of this machine, in two independent campaigns: rank
  correlation between targets, and of each with itself.
- `overhead`: which share of a campaign's time is spent outside of warm-up, reference and sample loops.

What is done is kept in the folder, and is not done again: an interrupted run goes on where it was. Results are written
to `measurement.json`, `measurement.md` and `measurement.png`; a part that was not run keeps the results it had.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import _overhead
import _targets
import _variation

REPOSITORY = Path(__file__).resolve().parent.parent
PARTS = {"variation": _variation, "targets": _targets, "overhead": _overhead}


def main() -> None:
    """Run the parts that were asked for, and write what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(PARTS), action="append", help="by default all of them")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "searches" / "benchmark-measurement")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "benchmarks" / "results")
    parser.add_argument("--campaigns", type=int, default=10, help="variation: of each method, with and without load")
    parser.add_argument("--hogs", type=int, default=2, help="variation: how many programs are the load")
    parser.add_argument("--seed", type=int, default=0, help="variation: of the load, and of the order of blocks")
    parser.add_argument("--count", type=int, default=60, help="targets: how many networks")
    parser.add_argument("--samples", type=int, default=2000, help="of each network, at least")
    parser.add_argument("--space", default="digits", help="targets: whose networks")
    parser.add_argument("--target", action="append", help="targets: only these")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()

    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "measurement.json"
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for name in options.only or PARTS:
        folder = options.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        key = _variation.key(options) if name == "variation" else name
        results[key] = {"machine": machine(), **PARTS[name].run(folder, options)}
        path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    text = "\n".join(
        part.markdown(results[key]) for name, part in PARTS.items() for key in results if key.startswith(name)
    )
    (options.out / "measurement.md").write_text(f"# Measurements\n\n{text}", encoding="utf-8")
    first = next((key for key in results if key.startswith("variation")), None)
    if first is not None:
        _variation.plot(results[first], options.out / "measurement.png")
    print(json.dumps(results) if options.json else text)


def machine() -> dict[str, Any]:
    """Return what the figures were taken on."""
    from hwnas._deadline import Deadline
    from hwnas.device import Device, DeviceProfile

    with Device.open(DeviceProfile("host"), deadline=Deadline.after(60)) as device:
        facts, state = device.facts, device.conditions(deadline=Deadline.after(10))
        return {
            "processor": facts.model,
            "cores": facts.logical_cores,
            "os": facts.os,
            "load": state.load_1m,
            "python": platform.python_version(),
            **device.versions,
        }


if __name__ == "__main__":
    main()
