import math

import numpy as np
import pytest

from hwnas.errors import HwnasError
from hwnas.report import front_figure, write_front_png
from hwnas.search import Objective, TrialState

from .conftest import ACCURACY, P99, make_summary, make_trial

PNG = b"\x89PNG\r\n\x1a\n"


def labels(axis):
    return axis.get_legend_handles_labels()[1]


def step_line(axis):
    (line,) = [line for line in axis.get_lines() if line.get_drawstyle().startswith("steps")]
    return line


def test_the_file_is_a_png_of_a_readable_size(summary, tmp_path):
    path = write_front_png(summary, tmp_path / "front.png")
    content = path.read_bytes()
    assert content.startswith(PNG)
    width, height = (int.from_bytes(content[start : start + 4], "big") for start in (16, 20))
    assert width >= 1200
    assert height >= 600


def test_everything_has_its_name(summary):
    front, history = front_figure(summary).axes
    assert "p99 latency on host (ms)" in front.get_xlabel()
    assert "less is better" in front.get_xlabel()
    assert front.get_ylabel().startswith("accuracy")
    assert front.get_xscale() == "log"
    assert front.get_yscale() == "linear"
    assert "completed trials" in history.get_xlabel()
    assert "hypervolume" in history.get_ylabel()
    assert {"sobol (16)", "saas-qnehvi (48)", "front", "front, measured again", "95 % interval", "reference point"} <= {
        *labels(front)
    }
    assert "sobol start" in labels(history)


def test_every_trial_is_drawn_within_the_axes_or_as_an_arrow_at_their_edge(summary):
    front = front_figure(summary).axes[0]
    (left, right), (bottom, top) = front.get_xlim(), front.get_ylim()
    points = [(trial.values["p99_ms"].value, trial.values["accuracy"].value) for trial in summary.trials]
    outside = [(x, y) for x, y in points if not (left <= x <= right and bottom <= y <= top)]
    assert 0 < len(outside) < 20
    arrows = [line for line in front.get_lines() if line.get_marker() in ("v", "^", "<", ">")]
    drawn = [point for line in arrows for point in zip(line.get_xdata(), line.get_ydata(), strict=True)]
    expected = [(np.clip(x, left, right), np.clip(y, bottom, top)) for x, y in outside]
    assert np.array(sorted(drawn)) == pytest.approx(np.array(sorted(expected)))
    assert f"poorer, beyond the edge ({len(outside)})" in labels(front)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_arrows_point_outwards(direction):
    """The trial that is far worse than the reference point lies below where more is better, and above where less is."""
    objectives = (Objective("up", direction, reference=0.5), Objective("cost", "minimize", reference=10.0))
    good, bad = (0.6, -90.0) if direction == "maximize" else (0.4, 90.0)
    trials = [make_trial(0, {"up": good, "cost": 5.0}), make_trial(1, {"up": bad, "cost": 5.0})]
    front = front_figure(make_summary(objectives, trials)).axes[0]
    (arrow,) = [line.get_marker() for line in front.get_lines() if line.get_marker() in ("v", "^", "<", ">")]
    assert arrow == ("v" if direction == "maximize" else "^")


def test_what_counts_is_within_the_axes(summary):
    front = front_figure(summary).axes[0]
    for trial in summary.beyond_reference():
        assert front.get_xlim()[0] < trial.values["p99_ms"].value < front.get_xlim()[1]
        assert front.get_xlim()[0] < trial.again["p99_ms"].value < front.get_xlim()[1]
        assert front.get_ylim()[0] < trial.values["accuracy"].value < front.get_ylim()[1]


@pytest.mark.parametrize("across", ["maximize", "minimize"])
@pytest.mark.parametrize("up", ["maximize", "minimize"])
@pytest.mark.parametrize("seed", range(5))
def test_the_area_under_the_step_line_is_the_hypervolume(across, up, seed):
    """What is drawn as dominated is what is counted: in all four directions."""
    rng = np.random.default_rng(seed)
    objectives = (
        Objective("up", up, reference=0.0 if up == "maximize" else 1.0),
        Objective("across", across, reference=0.0 if across == "maximize" else 1.0),
    )
    summary = make_summary(
        objectives, [make_trial(number, {"up": rng.uniform(), "across": rng.uniform()}) for number in range(20)]
    )
    line = step_line(front_figure(summary).axes[0])
    x, y = line.get_xdata(), np.abs(line.get_ydata() - objectives[0].reference)
    held = y[:-1] if line.get_drawstyle() == "steps-post" else y[1:]
    area = float((np.diff(x) * held).sum())
    assert area == pytest.approx(summary.hypervolume[-1])


def test_a_limit_is_a_line_and_what_breaks_it_is_marked():
    objectives = (ACCURACY, Objective("p99_ms", "minimize", "device", "host", limit=1.5))
    trials = [
        make_trial(number, {"accuracy": 0.9 + 0.01 * number, "p99_ms": 0.5 * (number + 1)}) for number in range(6)
    ]
    front = front_figure(make_summary(objectives, trials)).axes[0]
    assert "limit: p99_ms ≤ 1.5" in labels(front)
    assert "breaks a limit (3)" in labels(front)


def test_one_objective_alone_is_drawn_over_the_trials(tmp_path):
    summary = make_summary((ACCURACY,), [make_trial(n, {"accuracy": a}) for n, a in enumerate([0.5, 0.7, 0.6, 0.9])])
    front = front_figure(summary).axes[0]
    assert list(step_line(front).get_ydata()) == [0.5, 0.7, 0.7, 0.9]
    write_front_png(summary, tmp_path / "front.png")


def test_three_objectives_have_a_panel_for_each_pair_with_the_first():
    objectives = (ACCURACY, P99, Objective("params", "minimize", "network"))
    rng = np.random.default_rng(0)
    trials = [
        make_trial(n, {"accuracy": rng.uniform(), "p99_ms": rng.uniform(), "params": rng.uniform()}) for n in range(9)
    ]
    figure = front_figure(make_summary(objectives, trials))
    assert [axis.get_xlabel().split("  ")[0] for axis in figure.axes] == [
        "p99 latency on host (ms)",
        "parameters",
        "completed trials",
    ]


@pytest.mark.parametrize(
    "trials",
    [
        [],
        [make_trial(0, {"accuracy": 0.5, "p99_ms": 1.0})],
        [make_trial(number, {"accuracy": 0.5, "p99_ms": 1.0}) for number in range(3)],
        [make_trial(0, {}, state=TrialState.FAILED)],
    ],
    ids=["no trial", "one trial", "all alike", "only failures"],
)
def test_a_study_with_little_in_it_can_be_drawn(trials, tmp_path):
    write_front_png(make_summary((ACCURACY, P99), trials), tmp_path / "front.png")


def test_an_interval_without_an_end_stays_in_the_picture(tmp_path):
    trials = [make_trial(n, {"accuracy": 0.9 + 0.01 * n, "p99_ms": 1.0 + n}, trace=n) for n in range(3)]
    summary = make_summary((ACCURACY, P99), trials, intervals={(1, "p99_ms"): (1.5, math.inf)})
    assert math.isfinite(front_figure(summary).axes[0].get_xlim()[1])
    write_front_png(summary, tmp_path / "front.png")


def test_failures_are_in_the_title():
    trials = [make_trial(0, {"accuracy": 0.5, "p99_ms": 1.0}), make_trial(1, {}, state=TrialState.FAILED)]
    trials += [make_trial(number, {"p99_ms": 9.0}, state=TrialState.ABANDONED) for number in (2, 3)]
    title = front_figure(make_summary((ACCURACY, P99), trials)).get_suptitle()
    assert title.endswith("1 on the front, 1 failed, 2 abandoned")


def test_a_folder_that_is_not_there(summary, tmp_path):
    with pytest.raises(HwnasError, match="cannot write"):
        write_front_png(summary, tmp_path / "gone" / "front.png")


def test_predicted_trials_are_hollow_and_measured_ones_filled(guessed):
    front = front_figure(guessed).axes[0]
    by_label = {line.get_label(): line for line in front.get_lines()}
    for origin in ("sobol", "saas-qnehvi"):
        start = origin == "sobol"
        counts = [
            sum(guessed.predicted(trial) == hollow for trial in guessed.trials if (trial.origin == "sobol") == start)
            for hollow in (False, True)
        ]
        filled, hollow = by_label[f"{origin} ({counts[0]})"], by_label[f"{origin}, predicted ({counts[1]})"]
        assert filled.get_markerfacecolor() != "none"
        assert hollow.get_markerfacecolor() == "none"
        assert len(hollow.get_xdata()) == counts[1] > 0
    assert by_label["front, predicted"].get_markerfacecolor() == "none"
    assert by_label["front"].get_markerfacecolor() != "none"
    before = by_label["front, as predicted before"]
    assert list(before.get_xdata()) == [guessed.front_trials[0].foretold["p99_ms"].value]


# the baseline


def with_baseline(*rows, objectives=(ACCURACY, P99)):
    trials = [
        make_trial(number, {"accuracy": accuracy, "p99_ms": p99_ms}, origin="sobol" if number else "baseline")
        for number, (accuracy, p99_ms) in enumerate(rows)
    ]
    return make_summary(objectives, trials)


def test_the_baseline_stands_at_one_on_axes_of_its_own():
    summary = with_baseline((0.8, 2.0), (0.9, 3.0), (0.7, 1.0))
    front = front_figure(summary).axes[0]
    (star,) = [line for line in front.get_lines() if line.get_marker() == "*"]
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (2.0, 0.8)
    assert star.get_label() == "baseline, at (1, 1)"
    top, right = front.child_axes
    assert "relative to the baseline" in top.get_xlabel()
    assert "relative to the baseline" in right.get_ylabel()
    front.figure.draw_without_rendering()
    assert top.get_xlim() == pytest.approx([end / 2.0 for end in front.get_xlim()])
    assert right.get_ylim() == pytest.approx([end / 0.8 for end in front.get_ylim()])
    assert {"sobol (2)", "baseline, at (1, 1)"} <= set(labels(front))


def test_a_baseline_far_off_is_within_the_axes():
    front = front_figure(with_baseline((0.1, 90.0), (0.9, 3.0), (0.89, 2.9), (0.88, 2.8))).axes[0]
    assert front.get_xlim()[1] > 90.0
    assert front.get_ylim()[0] < 0.1


def test_a_baseline_without_a_positive_figure_has_no_such_axis():
    front = front_figure(with_baseline((0.0, 2.0), (0.9, 3.0))).axes[0]
    assert len(front.child_axes) == 1
    assert "baseline" in labels(front)


def test_the_start_begins_with_the_baseline():
    rows = [(0.8, 2.0), (0.9, 3.0), (0.7, 1.0)]
    trials = [*with_baseline(*rows).trials, make_trial(3, {"accuracy": 0.9, "p99_ms": 1.0})]
    history = front_figure(make_summary((ACCURACY, P99), trials)).axes[1]
    (shade,) = history.patches
    assert shade.get_width() == 3
