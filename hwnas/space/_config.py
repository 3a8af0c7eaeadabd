"""Spaces in TOML: a file of its own, or the table `[space]` of a study.

A space is taken from somewhere, or written out. Further constraints may be added to either:

    [space]
    builtin = "digits"                  # or python = "space.py:space", or file = "space.toml"
    constraints = ["depth * width <= 256"]

    [space]
    name = "cells"
    constraints = ["depth * width <= 256"]

    [space.parameters]
    depth      = { type = "int", low = 1, high = 4 }
    width      = { type = "int", low = 8, high = 128, step = 8, log = true }
    block      = { type = "categorical", choices = ["conv", "mbconv"] }
    expansion  = { type = "ordinal", values = [2, 3, 4, 6], when = { block = "mbconv" } }
    last_width = { type = "int", low = 8, high = 64, when = { depth = [3, 4] } }
    lr         = { type = "float", low = 1e-4, high = 1e-1, log = true }

A file of its own says the same without `space.` in the names of its tables. The order of the parameters counts: parents
come before the parameters that depend on them.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hwnas._toml import closest, load_toml
from hwnas.errors import SpaceError
from hwnas.space._kinds import make_parameter
from hwnas.space._python import load_object
from hwnas.space._space import SearchSpace
from hwnas.space._values import article

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PLACEHOLDER = "it"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ParameterConfig(_Table):
    """One parameter; see `Float`, `Int`, `Ordinal` and `Categorical` for which kind has which fields.

    Attributes:
        type: the kind.
        low: least value (float, int).
        high: greatest value (float, int).
        step: distance between values (int).
        log: spread on a log scale (float, int).
        values: the values in order (ordinal).
        choices: the values (categorical).
        when: parent names to the value or values for which the parameter is active.
    """

    type: Literal["float", "int", "ordinal", "categorical"]
    low: Any = None
    high: Any = None
    step: Any = None
    log: bool = False
    values: list[Any] = Field(default_factory=list)
    choices: list[Any] = Field(default_factory=list)
    when: dict[str, Any] = Field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """Return what the file says."""
        return {name: getattr(self, name) for name in self.model_fields_set}

    @model_validator(mode="after")
    def _is_a_parameter(self) -> Self:
        with _as_value_error(strip=f"parameter {_PLACEHOLDER!r}: "):
            make_parameter(_PLACEHOLDER, self.fields())
        return self


class SpaceConfig(_Table):
    """A space: taken from one of `builtin`, `python` and `file`, or written out in `parameters`.

    Attributes:
        builtin: name of a built-in space.
        python: `file.py:attribute` or `package.module:attribute`: a `SearchSpace`, or a function that returns one.
        file: a TOML file that holds a space.
        name: of a space that is written out; by default the name of its file, or a hash of its parameters.
        version: of a space that is written out.
        parameters: in order, parents before children.
        constraints: expressions that must hold; also beside a space that is taken from elsewhere.
    """

    builtin: str | None = None
    python: str | None = None
    file: str | None = None
    name: str | None = None
    version: str | None = None
    parameters: dict[str, ParameterConfig] = Field(default_factory=dict)
    constraints: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _is_one_space(self) -> Self:
        sources = [word for word in ("builtin", "python", "file", "parameters") if getattr(self, word)]
        if len(sources) > 1:
            raise ValueError(f"the space is given by {' and by '.join(sources)}; give it once")
        if not sources:
            raise ValueError("the space is empty: give it parameters, or one of builtin, python and file")
        if not self.parameters and (self.name or self.version):
            raise ValueError(f"a space from {sources[0]} has a name and a version of its own; leave them out here")
        if self.parameters:
            with _as_value_error():
                self.written_out()
        return self

    def written_out(self, default_name: str | None = None) -> SearchSpace:
        """Return the space of `parameters` and `constraints`.

        Args:
            default_name: used where the file gives no name; a hash of the parameters by default, so that two unnamed
                spaces are not taken for one.

        Raises:
            SpaceError: the parts do not fit together.
        """
        parameters = [make_parameter(name, table.fields()) for name, table in self.parameters.items()]
        name = self.name or default_name
        if name is None:
            text = json.dumps([parameter.to_json() for parameter in parameters], sort_keys=True)
            name = "unnamed-" + hashlib.sha256(text.encode()).hexdigest()[:8]
        return SearchSpace(name, parameters, self.constraints, self.version or "1")


@contextmanager
def _as_value_error(strip: str = "") -> Iterator[None]:
    """Turn a `SpaceError` into the `ValueError` that pydantic gives a place in the file."""
    try:
        yield
    except SpaceError as exc:
        raise ValueError(f"{exc.message.removeprefix(strip)}; {exc.hint}") from exc


def space_from_config(config: SpaceConfig, base: Path) -> SearchSpace:
    """Return the space that a configuration describes.

    Args:
        config: as read from a file.
        base: the folder that its relative paths start from.

    Raises:
        SpaceError: the parts do not fit together.
        ConfigError: a file that it names cannot be used; the file and the line are named.
    """
    if config.parameters:
        return config.written_out()
    if config.builtin is not None:
        space = get_space(config.builtin)
    else:
        space = load_space(config.python or config.file or "", base)
    return space.with_constraints(*config.constraints) if config.constraints else space


def load_space(source: str | Path, base: Path | None = None) -> SearchSpace:
    """Return the space that `source` names.

    Args:
        source: a TOML file (`space.toml`), a Python object (`file.py:attribute`, `package.module:attribute`: a
            `SearchSpace`, or a function without arguments that returns one), or the name of a built-in space.
        base: the folder that relative paths start from; the current folder by default.

    Raises:
        SpaceError: there is no built-in space of that name, or the object is no space.
        ConfigError: the file cannot be used; the file and the line are named.
    """
    from pathlib import Path

    text, folder = str(source), base or Path.cwd()
    if text.endswith(".toml"):
        path = folder / text
        config = load_toml(path, SpaceConfig)
        return config.written_out(path.stem) if config.parameters else space_from_config(config, path.parent)
    if ":" not in text:
        return get_space(text)
    found = load_object(text, folder)
    if not isinstance(found, SearchSpace):
        raise SpaceError(
            f"{text} is no search space: it is {article(type(found).__name__)}",
            "name a SearchSpace, or a function that returns one",
        )
    return found


def get_space(name: str) -> SearchSpace:
    """Return the built-in space of that name.

    Raises:
        SpaceError: there is none.
    """
    if name not in BUILTIN:
        raise SpaceError(
            f"no built-in space is called {name!r}{closest(name, BUILTIN)}",
            "name a built-in space, a file space.toml, or an object file.py:attribute",
        )
    return BUILTIN[name]()


def builtin_spaces() -> tuple[str, ...]:
    """Return the names of the built-in spaces."""
    return tuple(BUILTIN)


def _digits() -> SearchSpace:
    from hwnas.space.digits import digits_space

    return digits_space()


def _nasbench201() -> SearchSpace:
    from hwnas.space.nasbench201 import nasbench201_space

    return nasbench201_space()


#: The built-in spaces, each imported when it is asked for.
BUILTIN: dict[str, Callable[[], SearchSpace]] = {"digits": _digits, "nasbench201": _nasbench201}
