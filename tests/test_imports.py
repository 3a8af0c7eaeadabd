"""Imports run one way, and loading any package of hwnas is cheap."""

import ast
import importlib
import os
import pkgutil
import resource
import subprocess
import sys
import types
from pathlib import Path

import pytest

import hwnas

ROOT = Path(hwnas.__file__).parent

#: From the bottom to the top: a module may import what stands before it, never what stands after it.
LAYERS = (
    "errors",
    "_deadline",
    "_files",
    "_json",
    "_toml",
    "_words",
    "workspace",
    "_thread_turns",
    "locks",
    "store",
    "network",
    "space",
    "device",
    "measurement",
    "predictor",
    "evaluation",
    "search",
    "report",
    "cli",
)
#: Who stands beside, not above: trainings know nothing of devices.
APART = {"evaluation": {"device", "measurement", "predictor"}}
#: What must not be loaded before it is used: each takes a tenth of a second to several seconds.
HEAVY = (
    "ai_edge_litert",
    "botorch",
    "gpytorch",
    "jax",
    "matplotlib",
    "numpyro",
    "onnx",
    "onnxruntime",
    "openvino",
    "pandas",
    "plotly",
    "scipy",
    "sklearn",
    "torch",
)


def modules():
    """Every module of hwnas: dotted name by path."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imported(source, name, path):
    """Return (line, module) for everything that a module imports, inside functions and for type checking too."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            if base == "hwnas":
                yield from ((node.lineno, f"hwnas.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, base


def layer(module):
    """Return the layer of a module of hwnas; the package itself, with its version, belongs to nobody."""
    parts = module.split(".")
    if len(parts) == 1 or parts[1].startswith("__"):
        return None
    return "cli" if parts[1] == "__main__" else parts[1]


def upward(source, name, path):
    """Return what a module imports against the direction, as readable lines."""
    own = "cli" if name == "hwnas.__main__" else layer(name)
    if own is None:
        return []
    found = []
    for line, target in imported(source, name, path):
        other = layer(target) if target.split(".")[0] == "hwnas" else None
        if other is None or other == own:
            continue
        if other not in LAYERS or LAYERS.index(other) > LAYERS.index(own) or other in APART.get(own, ()):
            found.append(f"{name}:{line} imports {target}")
    return found


def packages():
    """Every package of hwnas, migrations apart: those are run by Alembic alone."""
    walked = pkgutil.walk_packages([str(ROOT)], "hwnas.")
    return ["hwnas", *(info.name for info in walked if info.ispkg and ".migrations" not in info.name)]


@pytest.mark.parametrize(("name", "path"), [pytest.param(name, path, id=name) for name, path in modules()])
def test_imports_run_one_way(name, path):
    own = layer(name)
    assert own is None or own in LAYERS or name == "hwnas.__main__", f"say in LAYERS where {name} stands"
    assert upward(path.read_text(encoding="utf-8"), name, path) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("hwnas.network._onnx", "from hwnas.space import SearchSpace"),
        ("hwnas.network._onnx", "def f():\n    import hwnas.space._space"),
        ("hwnas.network._onnx", "if TYPE_CHECKING:\n    from hwnas import space"),
        ("hwnas.network._onnx", "from ..space import SearchSpace"),
        ("hwnas.evaluation._command", "from hwnas.device import DeviceProfile"),
        ("hwnas.store._engine", "from hwnas.unheard_of import x"),
    ],
)
def test_an_upward_import_is_seen_wherever_it_hides(name, source):
    assert len(upward(source, name, Path("hwnas/x/_y.py"))) == 1


@pytest.mark.parametrize("source", ["from hwnas import __version__", "from ._graph import Graph", "import numpy"])
def test_other_imports_are_let_through(source):
    assert upward(source, "hwnas.network._onnx", Path("hwnas/network/_onnx.py")) == []


@pytest.mark.parametrize("name", packages())
def test_the_public_list_of_a_package_is_exact(name):
    module = importlib.import_module(name)
    listed = getattr(module, "__all__", [])
    assert len(listed) == len(set(listed))
    missing = [item for item in listed if not hasattr(module, item)]
    assert missing == [], f"{name}.__all__ names what is not there"
    public = {
        item
        for item, value in vars(module).items()
        if not item.startswith("_")
        and not isinstance(value, types.ModuleType)
        and type(value).__name__ != "_Feature"
        and getattr(value, "__module__", "hwnas").partition(".")[0] == "hwnas"
        and item != "TYPE_CHECKING"
    }
    assert public <= set(listed), f"{name} has public names that its __all__ does not name"


def test_packages_load_nothing_heavy():
    code = "\n".join(
        [
            "import sys, importlib",
            f"for name in {packages()!r}:",
            "    importlib.import_module(name)",
            f"    loaded = [heavy for heavy in {HEAVY!r} if heavy in sys.modules]",
            "    if loaded: sys.exit(f'importing {name} loads {loaded}')",
        ]
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_help_is_quick():
    """`hwnas --help` in under 0.3 s of processor time: the best of five, since other work may run beside."""
    times_s = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "hwnas", "--help"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "COLUMNS": "100"},
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0, done.stderr
        assert "search" in done.stdout
        times_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times_s) < 0.3, times_s
