"""Trains a network of the digits example once, and remembers its accuracy: a second search pays for it no more.

    python _cached_training.py CACHE TRAIN.PY [ARGUMENT ...]

What is remembered goes by the arguments without `--seed`, so an architecture has one accuracy in all searches.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Print the training's last JSON line, from memory or from the training; returns its exit code."""
    cache, script, *arguments = sys.argv[1:]
    named = [word for place, word in enumerate(arguments) if "--seed" not in arguments[max(place - 1, 0) : place + 1]]
    path = Path(cache) / f"{hashlib.sha256(json.dumps(named).encode()).hexdigest()[:24]}.json"
    if not path.exists():
        done = subprocess.run([sys.executable, script, *arguments], stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            return done.returncode
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(done.stdout.strip().splitlines()[-1] + "\n", encoding="utf-8")
        partial.replace(path)
    sys.stdout.write(path.read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
