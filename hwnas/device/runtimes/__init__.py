"""The runtimes of this machine, one module each: adding a runtime is adding its module here.

A module `_NAME.py` offers:

    OPTIONS                     a frozen dataclass of its settings, each with a default
    FORMATS                     the formats of network files that it runs
    PACKAGES                    the packages whose versions influence latency; the first that is installed counts first
    FORKS                       optional, true where a process may be forked after `prepare`: on Linux that saves time
    prepare()                   imports the runtime
    load(path, *, threads, batch, options) -> Loaded

and `Loaded` has `inputs` (name, type and shape of each), `run()` (one inference on inputs that are in place) and
`infer(specs, payload)` (outputs for inputs that are given, for checks). `prepare` and what follows it run in the
process of one network (`hwnas.device.worker`), which loads the module by its path: at its top it imports the standard
library and `hwnas.device.worker._backend` alone.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import Any


@cache
def runtime_modules() -> dict[str, Any]:
    """Return the module of each runtime by the runtime's name."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        if hasattr(module, "load"):
            found[info.name.removeprefix("_")] = module
    return found


__all__ = ["runtime_modules"]
