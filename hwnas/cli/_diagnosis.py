"""What `hwnas search diagnose` does and shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hwnas.cli import _output
from hwnas.cli._stop import stopping
from hwnas.report import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwnas.search import OutcomeDiagnosis, Study

_MOST = 5


def judge(study: Study) -> list[OutcomeDiagnosis]:
    """Return how well the models of a study predict; Ctrl-C stops it between two fits.

    Raises:
        StudyError: an outcome has too few values.
        StoppedError: it was told to stop.
    """
    from hwnas.search import diagnose

    trials = study.trials()
    count = _output.plural(sum(bool(trial.values) for trial in trials), "trial")
    with stopping() as stop, _output.human().status(f"fitting two models to each objective, {count}"):
        rng = np.random.default_rng(study.settings.seed)
        return diagnose(study.space, study.objectives, trials, study.settings.saas, rng, cancelled=stop)


def show_diagnosis(outcomes: Sequence[OutcomeDiagnosis]) -> None:
    """Write the models' scores and the parameters that matter to stdout, and warn of what is wrong."""
    columns = ["objective", "model", "trials>", "R²>", "log likelihood>", "within 95 %>"]
    rows = []
    for outcome in outcomes:
        for name, model in (("SAAS", outcome.saas), ("plain GP", outcome.plain)):
            word = {"saas": name, "map": name}.get(model.method, f"{name} ({model.method})")
            scores = [f"{model.r2:.2f}", f"{model.log_likelihood:.2f}", f"{model.coverage:.0%}"]
            rows.append([outcome.objective.name, word, str(len(outcome.trials)), *scores])
    _output.show(_output.table(columns, rows))
    for outcome in outcomes:
        most = list(outcome.relevance.items())[:_MOST]
        told = ", ".join(f"{parameter} {number(median)}" for parameter, (_, median, _) in most)
        _output.note(f"{outcome.objective.name} depends most on (inverse length scale): {told}")
        for note in outcome.notes:
            _output.warn(note)
