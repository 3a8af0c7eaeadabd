"""`hwnas search`: run a study file, go on with it, and look at what it found."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path  # noqa: TC003 - typer reads the annotation when it runs
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli import _output
from hwnas.cli._compare import compare
from hwnas.cli._options import Json, settings, study_folder
from hwnas.errors import StoppedError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence

    from hwnas.report import StudySummary
    from hwnas.search import Event, Objective, StudyResult
    from hwnas.store import Store
    from hwnas.workspace import Workspace

app = typer.Typer(no_args_is_help=True, help="Search for networks that are accurate and fast.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The study's name, as `hwnas search list` has it.")]


@app.command()
def run(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The study file, TOML.")],
    again: Annotated[
        bool, typer.Option("--again", help="Begin anew: the trials of the study of that name are removed first.")
    ] = False,
    latency: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="Whether latencies are measured, predicted, or auto: measured where the predictor doubts or the front "
            "would change. The front at the end is always measured.",
        ),
    ] = None,
    predictor: Annotated[
        str | None, typer.Option(metavar="NAME", help="Predict by this predictor of the workspace.")
    ] = None,
    json: Json = False,
) -> None:
    """Run a study file to its end; one that was begun goes on where it was.

    At the end the front is shown, and written to searches/NAME as front.png and front.json. Ctrl-C stops cleanly.
    """
    from hwnas.search import load_study_config, run_study

    named = {"latency": latency, "predictor": predictor}
    changes = {name: value for name, value in named.items() if value is not None}
    config = load_study_config(file, changes)
    workspace = settings(context).workspace()
    with _watched(context, config.search.name, config.resolved_objectives(), fresh=again) as (listen, stop):
        result = run_study(file, workspace, again=again, changes=changes, on_event=listen, stop=stop)
    _finish(context, result, stopped=stop.is_set(), json=json)


@app.command()
def resume(
    context: typer.Context,
    name: Name,
    trials: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Change how many trials the study is to have.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Change how many trainings run at a time.")
    ] = None,
    replicas: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Change how many further trainings, with other seeds, each member of the front is to have.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Go on with a study: nothing that is finished is lost or done twice."""
    from hwnas.search import Study, resume_study

    workspace = settings(context).workspace()
    with settings(context).store() as store:
        objectives = Study.load(store, name).objectives
    given = {"trials": trials, "workers": workers, "replicas": replicas}
    sizes = {key: value for key, value in given.items() if value is not None}
    with _watched(context, name, objectives) as (listen, stop):
        result = resume_study(name, workspace, sizes=sizes, on_event=listen, stop=stop)
    _finish(context, result, stopped=stop.is_set(), json=json)


@app.command("list")
def list_studies(context: typer.Context, json: Json = False) -> None:
    """List the studies of the workspace, oldest first."""
    from hwnas.cli._status import brief
    from hwnas.search import Study

    searches = settings(context).workspace().searches
    with settings(context).store() as store:
        found = [brief(Study.load(store, name), searches / name) for name in Study.names(store)]
    if json:
        _output.emit(found)
    elif not found:
        _output.note("no studies yet: hwnas search run FILE")
    else:
        rows = [
            [
                study["name"],
                study["state"],
                str(study["complete"]),
                str(study["planned"]),
                ", ".join(study["objectives"]),
            ]
            for study in found
        ]
        _output.show(_output.table(["study", "state", "complete>", "of>", "objectives"], rows))


@app.command()
def status(context: typer.Context, name: Name, json: Json = False) -> None:
    """Say how a study stands; it may be running in another process."""
    from hwnas.cli._status import status_data, status_table
    from hwnas.search import Study

    folder = settings(context).workspace().searches / name
    with settings(context).store() as store:
        data = status_data(Study.load(store, name), folder)
    if json:
        _output.emit(data)
        return
    _output.show(status_table(data))
    if data["state"] == "stopped":
        own = data["source"] is None
        _output.note("go on with it by its program" if own else f"go on with it: hwnas search resume {name}")
    if data["trials"].get("complete"):
        _output.note(f"all of it on one page: hwnas report {name}")


@app.command()
def front(context: typer.Context, name: Name, json: Json = False) -> None:
    """Show a study's Pareto front, and write front.png and front.json to searches/NAME.

    The study may be half done, or running in another process. With --json nothing is written to files.
    """
    from hwnas.report import front_data

    workspace = settings(context).workspace()
    with settings(context).store() as store:
        summary = _summary(store, name)
    if json:
        _output.emit(front_data(summary))
        return
    try:
        written = write_report(summary, workspace)  # first: stdout may be what cannot be written
    finally:
        show_front(summary)
    _tell_written(written)


@app.command()
def diagnose(context: typer.Context, name: Name, json: Json = False) -> None:
    """Say how well a study's models predict what they have not seen, and which parameters matter.

    Each trial is predicted from all others, by the search's model (SAAS) and by a plain Gaussian process. It takes as
    long as the fits of one batch, and writes diagnosis.png and diagnosis.json to searches/NAME. With --json nothing is
    written to files.
    """
    from hwnas.cli._diagnosis import judge, show_diagnosis
    from hwnas.report import diagnosis_data, write_diagnosis
    from hwnas.search import study_with_networks

    workspace = settings(context).workspace()
    with settings(context).store() as store:
        study = study_with_networks(store, name)
        summary, proposals = _summary(store, name), study.proposals()
        outcomes = judge(study)
    if json:
        _output.emit(diagnosis_data(summary, outcomes, proposals))
        return
    try:
        written = write_diagnosis(summary, outcomes, proposals, study_folder(workspace, name))
    finally:
        show_diagnosis(outcomes)
    _tell_written(written)


app.command()(compare)


@contextmanager
def _watched(
    context: typer.Context, name: str, objectives: Sequence[Objective], *, fresh: bool = False
) -> Iterator[tuple[Callable[[Event], None], threading.Event]]:
    """Hand out the listener that shows a search, and the event that Ctrl-C sets."""
    from hwnas.cli._board import Board
    from hwnas.cli._stop import stopping
    from hwnas.cli._watch import watching
    from hwnas.search import Study, TrialState

    board = Board(objectives)
    if not fresh:
        with settings(context).store() as store:
            if name in Study.names(store):
                board.seed(Study.load(store, name).trials(TrialState.COMPLETE))
    with stopping() as stop, watching(board) as listen:
        yield listen, stop


def _finish(context: typer.Context, result: StudyResult, *, stopped: bool, json: bool) -> None:
    """Show and write what a search has come to; end with 130 where it was stopped before its end."""
    from hwnas.report import front_data

    if stopped:
        raise StoppedError(f"{result.name} was stopped")  # the search has said so, and how to go on
    with settings(context).store() as store:
        summary = _summary(store, result.name)
    try:
        written = write_report(summary, settings(context).workspace())  # first: stdout may be what cannot be written
    finally:
        if json:
            _output.emit(front_data(summary))
        else:
            show_front(summary)
    _tell_written(written)
    if not json:
        _output.note(f"all of it on one page: hwnas report {result.name}")


def show_front(summary: StudySummary) -> None:
    """Write the front of each device as a table to stdout, and how it compares with the baseline."""
    from hwnas.cli._board import latency_rows
    from hwnas.cli._relative import show_beaten, show_tradeoffs
    from hwnas.report import ALIKE, GUESS, front_table

    own = summary.by_device()
    for device, part in own.items():
        on = f" on {device}" if len(own) > 1 else ""
        if not part.front:
            _output.note(f"{summary.name} has no front{on} yet: no trial within its limits is complete")
            continue
        if on:
            _output.show(f"the front{on}")
        columns, rows = front_table(part, relative=True)
        _output.show(_output.table(columns, rows))
        if on:
            _output.show("")
    if not summary.winners:
        return
    show_tradeoffs(summary)
    show_beaten(summary)
    if any(summary.predicted(trial) or trial.foretold for trial in summary.winners):
        _output.note(f"{GUESS} is predicted, not measured")
    for name, noise in summary.noises.items():
        _output.note(
            f"± is the standard error of {name} over n trainings; {ALIKE}: no significant difference from the next row"
        )
        for number in sorted(set(noise.erratic or ()) & set(summary.front)):
            _output.note(f"trial {number}: its trainings differ far more in {name} than those of the others")
    for device, text in latency_rows(summary.latencies):
        _output.note(f"{device}: {text}")


def write_report(summary: StudySummary, workspace: Workspace) -> list[Path]:
    """Write the picture and the JSON file of a study to its folder, and return their paths.

    Raises:
        HwnasError: the folder cannot be written.
    """
    from hwnas.report import write_front_json, write_front_png

    folder = study_folder(workspace, summary.name)
    return [write_front_png(summary, folder / "front.png"), write_front_json(summary, folder / "front.json")]


def _tell_written(paths: Sequence[Path]) -> None:
    for path in paths:
        _output.note(f"wrote {path}")


def _summary(store: Store, name: str) -> StudySummary:
    from hwnas.report import summarise
    from hwnas.search import Study

    return summarise(Study.load(store, name))
