"""The file that the process of a network is started with: it loads its neighbours by path, and runs `_loop.main`.

With two more arguments, a socket and the file of a runtime, it runs `_nursery.serve`, which forks such processes.

They get their full names, so that `from hwnas.device.worker._frames import ...` finds them without hwnas being
imported, or even installed.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def load_by_path(name: str, path: Path) -> ModuleType:
    """Return the module in the file at `path`, known by `name` from now on."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    here = Path(__file__).absolute().parent
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").absolute() != here]
    for neighbour in ("_frames", "_backend", "_limits", "_energy", "_loop"):
        loaded = load_by_path(f"hwnas.device.worker.{neighbour}", here / f"{neighbour}.py")
    if len(sys.argv) == 2:
        loaded.main(lifeline=int(sys.argv[1]), load_by_path=load_by_path)
    else:
        nursery = load_by_path("hwnas.device.worker._nursery", here / "_nursery.py")
        backend, control, lifeline = sys.argv[1:]
        nursery.serve(lifeline=int(lifeline), control=int(control), backend=Path(backend), load_by_path=load_by_path)
