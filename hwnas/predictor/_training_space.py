"""What a predictor's architectures are: those of a search space, or those of a published table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwnas.errors import HwnasError, PredictorError, SpaceError
from hwnas.predictor._fbnet import FbnetFeaturiser
from hwnas.predictor._space_features import featuriser_of
from hwnas.space import Architecture, SearchSpace, load_space
from hwnas.space.nasbench201 import cell_from_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hwnas.predictor._features import Featuriser
    from hwnas.space import Parameter

_TABLE_SPACES = {"fbnet": FbnetFeaturiser()}


@dataclass(frozen=True)
class TrainingSpace:
    """The space of a predictor.

    Attributes:
        source: as the user named it: `digits`, `space.toml`, `space.py:space`, or `fbnet`.
        space: the search space; `None` for one that is known from tables alone.
    """

    source: str
    space: SearchSpace | None

    @classmethod
    def named(cls, source: str, base: Path | None = None) -> TrainingSpace:
        """Return the space that `source` names; see `hwnas.space.load_space`."""
        return cls(source, None) if source in _TABLE_SPACES else cls(source, load_space(source, base))

    @property
    def name(self) -> str:
        """Return the space's name."""
        return self.source if self.space is None else self.space.name

    @property
    def featuriser(self) -> Featuriser:
        """Return what turns its architectures into features."""
        return _TABLE_SPACES[self.source] if self.space is None else featuriser_of(self.space)

    def to_json(self) -> dict[str, Any]:
        """Return what a predictor's card says of it."""
        if self.space is None:
            return {"name": self.source, "version": "1", "source": self.source, "definition": None, "graph": False}
        return {
            "name": self.space.name,
            "version": self.space.version,
            "source": self.source,
            "definition": self.space.to_json(),
            "graph": self.space.has_graph,
        }

    def columns_in(self, header: Sequence[str]) -> list[str] | None:
        """Return the columns of a file that are the space's parameters; `None` where it does not have them all."""
        names = [] if self.space is None else [parameter.name for parameter in self.space.parameters]
        return names if names and set(names) <= set(header) else None

    def architecture(self, found: Any, columns: Sequence[str]) -> Any:
        """Return the architecture that a table's row stands for, as the featuriser takes it.

        Args:
            found: an `Architecture`, a text, or a tuple of texts.
            columns: what the parts of a tuple are called.

        Raises:
            HwnasError: it is not of this space.
        """
        if self.space is None:
            _TABLE_SPACES[self.source].check(found)
            return found
        if isinstance(found, Architecture):
            if (found.space, found.space_version) != (self.space.name, self.space.version):
                raise PredictorError(
                    f"of space {found.space!r}, version {found.space_version!r}, not of {self.space.name!r}, version "
                    f"{self.space.version!r}",
                    "name the space that was measured",
                )
            return self.space.architecture(found.values)
        if isinstance(found, str):
            return _of_text(self.space, found, columns)
        return self.space.architecture(_typed_values(self.space, dict(zip(columns, found, strict=True))))


def _of_text(space: SearchSpace, text: str, columns: Sequence[str]) -> Architecture:
    if space.name == "nasbench201" and text.startswith("|"):
        return cell_from_text(text)
    if tuple(columns) == tuple(parameter.name for parameter in space.parameters):
        return space.architecture(_typed_values(space, {columns[0]: text}))
    try:
        values = json.loads(text)
    except ValueError as exc:
        raise SpaceError(
            f"{text!r} is no architecture of {space.name!r}",
            "give a column for each parameter, or a column architecture that holds the values as JSON",
        ) from exc
    if not isinstance(values, dict):
        raise SpaceError(f"{text!r} is no architecture: not a JSON object", "give the values by parameter")
    return space.architecture(values)


def _typed_values(space: SearchSpace, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return a row's values in their parameters' types; an empty cell is a parameter that is not active."""
    known = {parameter.name: parameter for parameter in space.parameters}
    return {name: _typed(known[name], text) if name in known else text for name, text in texts.items() if text.strip()}


def _typed(parameter: Parameter, text: str) -> Any:
    """Return a cell's value; text that is none is left for the parameter to refuse."""
    if parameter.kind in ("float", "int"):
        try:
            number = float(text)
        except ValueError:
            return text
        return int(number) if parameter.kind == "int" and number.is_integer() else number
    return next((value for value in parameter.domain() if str(value) == text.strip()), text)


def where(error: HwnasError, place: str) -> PredictorError:
    """Return an error with the place that it is of."""
    return PredictorError(f"{place}: {error.message}", error.hint)
