"""`hwnas report`: a study on one page."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotation when it runs
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas._files import absolute
from hwnas.cli import _output
from hwnas.cli._options import Json, check_output, settings, study_folder

if TYPE_CHECKING:
    from hwnas.search import Study


def report(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The study's name, as `hwnas search list` has it.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The page to write; searches/NAME/report.html without it."),
    ] = None,
    diagnose: Annotated[
        bool,
        typer.Option(
            "--diagnose", help="Fit the models anew first, as `hwnas search diagnose` does: a minute or more."
        ),
    ] = False,
    open_: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
    json: Json = False,
) -> None:
    """Write a study as one HTML page that needs no network and no other file.

    Fronts with intervals, the best configurations as commands, parameters, models, a timeline with failures, and the
    evidence behind each figure. The study may be half done, or running in another process.
    """
    from hwnas.report import write_report
    from hwnas.search import Study, study_with_networks

    workspace = settings(context).workspace()
    if output is not None:
        output = absolute(output)
        check_output(output)
    with settings(context).store() as store:
        study = Study.load(store, name)
        folder = workspace.searches / name
        if diagnose:
            _diagnose(study_with_networks(store, name), study_folder(workspace, name))
        path = write_report(study, output or study_folder(workspace, name) / "report.html", folder)
        count = len(study.trials())
    size = path.stat().st_size
    if json:
        _output.emit({"report": str(path), "study": name, "trials": count, "size_bytes": size})
    else:
        _output.note(f"wrote {path} ({size / 1e6:.1f} MB)")
    if open_ and typer.launch(path.as_uri()) != 0:
        _output.warn("no browser could be started", f"open {path}")


def _diagnose(study: Study, folder: Path) -> None:
    """Write `diagnosis.json` and its picture to the study's folder."""
    from hwnas.cli._diagnosis import judge
    from hwnas.report import summarise, write_diagnosis

    outcomes = judge(study)
    for path in write_diagnosis(summarise(study), outcomes, study.proposals(), folder):
        _output.note(f"wrote {path}")
