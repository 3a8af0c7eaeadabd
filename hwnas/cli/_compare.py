"""`hwnas search compare`: several studies in one figure."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotation when it runs
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli import _output
from hwnas.cli._options import Json, check_picture, settings, study_folder
from hwnas.errors import HwnasError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnas.report import Comparison


def compare(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME NAME...", help="Studies with the same objectives.")],
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the picture goes, a .png; the .json beside it has the same name."),
    ] = None,
    json: Json = False,
) -> None:
    """Compare studies that have the same objectives, such as one strategy with another.

    All configurations are shown relative to the baseline at (1, 1), that of the first study which has one, with how
    many beat it; hypervolumes are taken above one reference point. Writes compare.png and compare.json to searches/NAME
    of the first study. With --json nothing is written to files.
    """
    from hwnas.report import compare as compared
    from hwnas.report import comparison_data, comparison_table, summarise
    from hwnas.search import Study

    workspace = settings(context).workspace()
    if output is not None:
        check_picture(output)
    with settings(context).store() as store:
        found = compared([summarise(Study.load(store, name)) for name in names])
    if json:
        _output.emit(comparison_data(found))
        return
    try:
        written = _write(found, output or study_folder(workspace, names[0]) / "compare.png")
    finally:
        columns, rows = comparison_table(found)
        _output.show(_output.table(columns, rows))
    _explain(found)
    for path in written:
        _output.note(f"wrote {path}")


def _explain(found: Sequence[Comparison]) -> None:
    """Say what the figures of the table are relative to."""
    first = found[0]
    if first.baseline is None:
        _output.note("no study has a complete baseline: nothing is relative to one")
    else:
        _output.note(f"the baseline is trial {first.baseline.number} of {first.owner}")
        kept = next(objective.name for objective in first.objectives if objective.optimize)
        _output.note(f"at no loss: the best figure over the baseline's, of trials whose {kept} is as good as its")
    for one in found:
        if one.reference is not None:
            point = ", ".join(f"{name} {value:.4g}" for name, value in one.reference.items())
            _output.note(f"hypervolumes are above {point}")


def _write(found: Sequence[Comparison], path: Path) -> list[Path]:
    from hwnas._files import replaced
    from hwnas._json import json_text
    from hwnas.report import comparison_data, comparison_figure, save_picture

    data = path.with_suffix(".json")
    try:
        save_picture(comparison_figure(found), path)
        with replaced(data) as partial:
            partial.write_text(json_text(comparison_data(found)), encoding="utf-8")
    except OSError as exc:
        raise HwnasError(f"cannot write {path}: {exc.strerror or exc}", "check the folder and the free space") from exc
    return [path, data]
