"""`report.html`: a study on one page that needs nothing else: no network, no other file.

Everything that comes from outside (names, values, messages of trainings) is escaped: in HTML by the template engine, in
the data of plots by JSON without `<`, in the texts of plots by `plain`. Beside that the page's own policy (CSP) lets no
script run but the two that were there when it was written, known by their hash, and lets nothing be fetched.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from hwnas._files import replaced
from hwnas._json import finite
from hwnas._words import plural
from hwnas.errors import HwnasError
from hwnas.report._diagnosis import doubtful_models
from hwnas.report._label import number
from hwnas.report._page_commands import ready_commands
from hwnas.report._page_curves import curve_plots
from hwnas.report._page_front_tables import best_figures, evidence_table, members_table, neighbours_table
from hwnas.report._page_fronts import front_plots
from hwnas.report._page_material import Material, read_material
from hwnas.report._page_models import course_plot, model_plots
from hwnas.report._page_parallel import parallel_plot
from hwnas.report._page_parameters import importance_plots
from hwnas.report._page_plot import trial_text
from hwnas.report._page_progress import hypervolume_plot, single_plot
from hwnas.report._page_tables import Table, about_rows, devices_table, failures_table, fits_table, moment
from hwnas.report._page_time import cost_rows, spans, timeline_plot

if TYPE_CHECKING:
    from pathlib import Path

    from hwnas.search import Study


def write_report(study: Study, path: Path, folder: Path) -> Path:
    """Write the report page of a study and return its path; the file is whole or not there.

    The study may be half done, or running in another process. Nothing is fitted or measured: models are judged by what
    the search kept of them, and by `diagnosis.json` where it is in the folder.

    Args:
        study: the study.
        path: the page.
        folder: where the study's files lie, such as `searches/NAME`.

    Raises:
        HwnasError: the page cannot be written, or Plotly is not installed.
        StoreError: the store cannot be read.
    """
    text = report_html(study, folder)
    try:
        with replaced(path) as partial:
            partial.write_text(text, encoding="utf-8", newline="")
    except OSError as exc:
        raise HwnasError(f"cannot write {path}: {exc.strerror or exc}", "check the folder and the free space") from exc
    return path


def report_html(study: Study, folder: Path) -> str:
    """Return the report page of a study; see `write_report`."""
    import jinja2

    material = read_material(study, folder)
    sections = _sections(material)
    shown = [plot for section in sections for plot in section["plots"]]
    library, script, style = plotly_js(), _text("page.js"), _text("page.css")
    environment = jinja2.Environment(
        autoescape=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "ensure_ascii": False}
    return environment.from_string(_text("page.html")).render(
        name=material.summary.name,
        subtitle=_subtitle(material),
        notices=_notices(material),
        facts=_facts(material),
        figures=_figures(material),
        sections=sections,
        commands=ready_commands(material),
        about=about_rows(material),
        data=finite({"texts": _texts(material), "plots": {plot.id: plot.figure for plot in shown}}),
        library=library,
        script=script,
        style=style,
        policy=_policy(library, script),
    )


def _texts(material: Material) -> dict[int, str]:
    """Return what hovering over each trial says, by number: kept once, for several plots show a trial."""
    return {trial.number: trial_text(material.summary, trial) for trial in material.summary.trials if trial.values}


def plotly_js() -> str:
    """Return plotly.js, as the Python package brings it.

    Raises:
        HwnasError: the package is not installed, or does not bring it.
    """
    try:
        found = (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
    except (ModuleNotFoundError, OSError) as exc:
        raise HwnasError("the report needs Plotly, and it is not there", "install it: pip install plotly") from exc
    if "</script" in found.lower():
        raise HwnasError("this plotly.js cannot be put into a page", "install another version: pip install plotly")
    return found


def _text(name: str) -> str:
    return (files("hwnas.report") / "page" / name).read_text(encoding="utf-8")


def _policy(*scripts: str) -> str:
    """Return the page's content security policy: these scripts, its own styles, pictures in the page, nothing else."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{found}'" for found in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _section(id_: str, title: str, text: str = "", **parts: Any) -> dict[str, Any]:
    none = {"plots": [], "tables": [], "commands": False, "command": ""}
    return {"id": id_, "title": title, "text": text, **none, **parts}


def _sections(material: Material) -> list[dict[str, Any]]:
    """Return the parts of the page in order; those with nothing to show say so, or are left out."""
    found: list[dict[str, Any] | None] = []
    several = len(material.fronts) > 1
    for device in material.fronts:
        title = f"Front on {device}" if several else "Front"
        found.append(_front_section(material, device, title))
    if material.members:
        text = "The front's members, best in the first objective first: each as the training that it had."
        found.append(_section("commands", "Best configurations", text, commands=True))
    found += [_progress(material), _parameters(material), _models(material), _time(material), _devices(material)]
    failures = failures_table(material)
    if failures.rows:
        found.append(_section("failures", "Failures", tables=[failures]))
    return [section for section in found if section is not None]


def _front_section(material: Material, device: str, title: str) -> dict[str, Any]:
    place = list(material.fronts).index(device)
    if not material.summary.complete:
        return _section(f"front-of-{place}", title, "No trial is complete yet.")
    plots = front_plots(material, device) or [single_plot(material.fronts[device], f"front-{place}-0")]
    table = members_table(material, device)
    text = "" if table.rows else "No complete trial keeps to every limit, so there is no front yet."
    tables = [found for found in (table, neighbours_table(material, device)) if found.rows]
    return _section(f"front-of-{place}", title, text, plots=plots, tables=tables)


def _progress(material: Material) -> dict[str, Any] | None:
    if not material.summary.complete:
        return None
    return _section("progress", "Progress", plots=[hypervolume_plot(material), *curve_plots(material)])


def _parameters(material: Material) -> dict[str, Any] | None:
    parallel, importance = parallel_plot(material), importance_plots(material)
    if parallel is None and not importance:
        return None
    text = "" if importance else "No batch was chosen by a model, so nothing tells yet which parameters matter."
    plots = [*([parallel] if parallel is not None else []), *importance]
    return _section("parameters", "Parameters", text, plots=plots)


def _models(material: Material) -> dict[str, Any]:
    course = course_plot(material)
    plots = [*([course] if course is not None else []), *model_plots(material)]
    fits = fits_table(material)
    text = material.diagnosis_note if fits.rows else "No batch was chosen by a model yet."
    command = f"hwnas report {material.summary.name} --diagnose" if fits.rows and text else ""
    return _section("models", "Models", text, command=command, plots=plots, tables=[fits] if fits.rows else [])


def _time(material: Material) -> dict[str, Any] | None:
    found = spans(material)
    timeline = timeline_plot(found)
    if timeline is None:
        return None
    costs = Table(
        "What each phase cost, summed over all that ran side by side",
        ["phase", "times>", "sum>", "share>"],
        cost_rows(found),
    )
    return _section("time", "Time", plots=[timeline], tables=[costs])


def _devices(material: Material) -> dict[str, Any] | None:
    devices, evidence = devices_table(material), evidence_table(material)
    tables: list[Table] = [table for table in (devices, evidence) if table.rows]
    text = "A verdict other than ok says that something disturbed the measurement; its interval is wider then."
    return _section("devices", "Devices and evidence", text if devices.rows else "", tables=tables) if tables else None


def _subtitle(material: Material) -> str:
    counts = material.summary.counts()
    state = "running" if material.running else "finished" if material.study.is_finished else "not finished"
    done = f"{counts['complete']} of {material.summary.planned} trials complete"
    return f"{done}, {state}, written {moment(material.at)}"


def _notices(material: Material) -> list[str]:
    found = []
    if material.running:
        found.append("A search is at work on this study: the page shows how it stood when it was written.")
    elif not material.study.is_finished:
        found.append(f"The study is not finished: hwnas search resume {material.summary.name}")
    found += [
        f"The model of {name} predicts no better than the mean (R² {fit['r2']:.2f} from {plural(fit['n'], 'trial')}): "
        "what it says of parameters is worth little."
        for name, fit in doubtful_models(material.proposals).items()
    ]
    if any(front.predicted(trial) for front in material.fronts.values() for trial in front.front_trials):
        found.append("Some figures of the front are predicted, not measured; they are marked by ~ and drawn hollow.")
    return found


def _figures(material: Material) -> list[tuple[str, str, str]]:
    """Return the key figures: the best of each objective, and the hypervolume."""
    found: dict[tuple[str, str, str], None] = {}
    for summary in material.fronts.values():
        found |= dict.fromkeys(best_figures(material, summary))
    for device, summary in material.fronts.items():
        if summary.hypervolume:
            place = f" on {device}" if len(material.fronts) > 1 else ""
            members = plural(len(summary.front), "trial")
            found[f"hypervolume{place}", number(summary.hypervolume[-1]), f"{members} on the front"] = None
    return list(found)


def _facts(material: Material) -> list[tuple[str, str]]:
    """Return what was searched, and how."""
    study, summary = material.study, material.summary
    settings = study.settings
    counts = ", ".join(f"{count} {state}" for state, count in summary.counts().items() if count) or "none yet"
    conditional = sum(bool(parameter.when) for parameter in study.space.parameters)
    size = study.space.size
    space = f"{study.space.name}: {plural(len(study.space.parameters), 'parameter')}"
    space += f", {conditional} of them conditional" if conditional else ""
    space += f", {number(float(size))} architectures" if size is not None else ""
    goals = [
        f"{o.direction} {o.name}" + (f" (limit {number(o.limit)})" if o.limit is not None else "")
        for o in summary.objectives
    ]
    facts = [
        ("space", space),
        ("objectives", "; ".join(goals)),
        ("strategy", f"{settings.strategy}, batches of {settings.batch}, {settings.start} trials to start with"),
        ("trials", f"{counts}; {summary.planned} planned"),
        ("devices", ", ".join(counts.device for counts in summary.latencies) or "none"),
        ("latencies", settings.latency),
    ]
    if material.baseline is not None:
        baseline = material.baseline
        values = ", ".join(f"{o.name} {number(baseline.values[o.name].value)}" for o in summary.objectives)
        facts.append(("baseline", f"trial {baseline.number}: {values}"))
    return facts
