"""Calls one Python function in a process of its own. A script: `python _call.py CALL.json`; imports nothing of hwnas.

CALL.json holds `target` (`file.py:function` or `package.module:function`, a file's path absolute), `values` (the
architecture's), `trial` (what the argument `trial` gets), `unused`, `metrics`, `path` (where modules are looked for)
and `result`: the JSON file for the answer, `{"metrics": {...}}`, or `{"error": "..."}` beside an exit code of 1.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import io
import json
import numbers
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any


class CallError(Exception):
    """The function cannot be called, or returned something that is no metric."""


def load(target: str) -> Callable[..., Any]:
    """Return the function that `target` names."""
    place, _, name = target.rpartition(":")
    if place.endswith(".py"):
        stem = Path(place).stem
        name_in_modules = stem if stem not in sys.modules else f"evaluated_{stem}"
        spec = importlib.util.spec_from_file_location(name_in_modules, place)
        if spec is None or spec.loader is None:
            raise CallError(f"{place} cannot be loaded")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name_in_modules] = module  # so that child processes of its own find what it defines
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(place)
    function = getattr(module, name, None)
    if function is None:
        raise CallError(f"{place} has no function {name!r}")
    if not callable(function):
        raise CallError(f"{target} is {type(function).__name__}, which cannot be called")
    return function  # type: ignore[no-any-return]


def arguments(
    function: Callable[..., Any], values: Mapping[str, Any], extras: Mapping[str, Any], unused: set[str]
) -> dict[str, Any]:
    """Return the keyword arguments for a function: the values that it takes, and what else it asks for by name."""
    taken = inspect.signature(function).parameters
    named = {name for name, item in taken.items() if item.kind in {item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY}}
    takes_all = any(item.kind is item.VAR_KEYWORD for item in taken.values())
    for name in values:
        if name not in named and not takes_all and name not in unused and "trial" not in named:
            raise CallError(f"{function.__name__} takes no argument {name!r}, which is a parameter of the space")
    call = {name: value for name, value in values.items() if name in named or (takes_all and name not in unused)}
    call |= {name: value for name, value in extras.items() if name in named}
    for name in named - set(call):
        if taken[name].default is inspect.Parameter.empty:
            raise CallError(f"{function.__name__} wants {name!r}, which this architecture has no value for")
    return call


def answer(returned: object, metrics: list[str]) -> dict[str, Any]:
    """Return what a function returned, as JSON data by metric."""
    if not isinstance(returned, Mapping):
        if len(metrics) != 1:
            raise CallError(f"it returned one value, and {', '.join(metrics)} are wanted: return a mapping of them")
        returned = {metrics[0]: returned}
    given = {str(name): plain(value) for name, value in returned.items()}
    missing = [name for name in metrics if name not in given]
    if missing:
        raise CallError(f"it returned no {', '.join(missing)}; it returned {', '.join(given) or 'an empty mapping'}")
    return given


def plain(value: object) -> object:
    """Return a number as a Python number, the scalars of NumPy and PyTorch too; what is none as it is, or its name."""
    item = getattr(value, "item", None)
    if callable(item):
        with contextlib.suppress(ValueError, RuntimeError, TypeError):  # it holds more than one number
            value = item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return float(value) if isinstance(value, numbers.Real) else f"<{type(value).__name__}>"


def call(order: dict[str, Any]) -> dict[str, Any]:
    """Return the metrics of the function that the order names, called with the order's values."""
    sys.path[:] = order["path"]
    trial = order["trial"]
    folder = Path(trial["folder"])
    network_file = Path(trial["network_file"]) if trial["network_file"] else None
    whole = SimpleNamespace(**{**trial, "values": order["values"], "folder": folder, "network_file": network_file})
    extras = {"trial": whole, "seed": trial["seed"], "folder": folder, "network": network_file}
    function = load(order["target"])
    return answer(function(**arguments(function, order["values"], extras, set(order["unused"]))), order["metrics"])


def main() -> int:
    """Call, and write the answer; returns the exit code."""
    order = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # points of a learning curve are wanted at once
    try:
        reply: dict[str, Any] = {"metrics": call(order)}
    except CallError as exc:
        reply = {"error": str(exc)}
        sys.stderr.write(f"{exc}\n")
    except Exception as exc:  # noqa: BLE001 -- whatever the user's function raises is reported
        traceback.print_exc()
        reply = {"error": f"it raised {''.join(traceback.format_exception_only(exc)).strip().splitlines()[0]}"}
    result = Path(order["result"])
    unfinished = result.with_name(result.name + ".part")
    unfinished.write_text(json.dumps(reply), encoding="utf-8")
    unfinished.replace(result)
    return 1 if "error" in reply else 0


if __name__ == "__main__":
    sys.exit(main())
