import math

from hwnas.report import front_table

from .conftest import ACCURACY, P99, make_summary, make_trial


def test_a_row_for_each_member_with_both_figures_of_what_was_measured_again(summary):
    columns, rows = front_table(summary)
    assert columns == [
        "trial>",
        "accuracy>",
        "p99_ms>",
        "95 %>",
        "again>",
        "architecture, where they differ",
    ]
    assert [int(row[0]) for row in rows] == list(summary.front)
    assert all(len(row) == len(columns) for row in rows)
    trial = summary.front_trials[0]
    assert rows[0][2] == f"{trial.values['p99_ms'].value:#.4g}"
    assert rows[0][4] == f"{trial.again['p99_ms'].value:#.4g}"


def test_what_all_members_share_is_left_out(summary):
    _, rows = front_table(summary)
    assert all("width=" in row[-1] for row in rows)
    assert not any("act=" in row[-1] for row in rows)


def test_a_single_member_shows_all_it_is_made_of():
    columns, rows = front_table(make_summary((ACCURACY, P99), [make_trial(0, {"accuracy": 0.9, "p99_ms": 1.0})]))
    assert columns[-1] == "architecture"
    assert rows[0][-1] == "width=8 act=relu fast=yes"


def test_an_interval_without_an_upper_end_says_so():
    trials = [make_trial(0, {"accuracy": 0.9, "p99_ms": 1.0}, trace=3)]
    summary = make_summary((ACCURACY, P99), trials, intervals={(3, "p99_ms"): (0.5, math.inf)})
    assert front_table(summary)[1][0][3] == "from 0.5000"


def test_an_empty_front():
    columns, rows = front_table(make_summary((ACCURACY, P99), []))
    assert rows == []
    assert columns[:2] == ["trial>", "accuracy>"]


def test_a_doubtful_measurement_is_named():
    trials = [make_trial(n, {"accuracy": 0.9 + 0.01 * n, "p99_ms": 1.0 + n}, trace=n) for n in range(2)]
    calm = make_summary((ACCURACY, P99), trials, verdicts={0: "ok", 1: "ok"})
    assert "verdict" not in front_table(calm)[0]
    columns, rows = front_table(make_summary((ACCURACY, P99), trials, verdicts={0: "ok", 1: "preempted"}))
    where = columns.index("verdict")
    assert {row[0]: row[where] for row in rows} == {"1": "preempted", "0": "ok"}


def test_parameters_stand_in_the_order_of_the_space():
    trials = [make_trial(n, {"accuracy": 0.9 + 0.01 * n, "p99_ms": 1.0 + n}) for n in range(2)]
    summary = make_summary((ACCURACY, P99), trials, parameters=("fast", "width", "act"))
    assert [row[-1] for row in front_table(summary)[1]] == ["fast=no width=9", "fast=yes width=8"]


def test_predicted_and_measured_figures_are_told_apart(guessed):
    columns, rows = front_table(guessed)
    at, before = columns.index("p99_ms>"), columns.index("predicted>")
    by_trial = {int(row[0]): row for row in rows}
    for trial in guessed.front_trials:
        row = by_trial[trial.number]
        assert row[at].startswith("~") == guessed.predicted(trial)
        assert row[before].startswith("~") == ("p99_ms" in trial.foretold)
    assert by_trial[guessed.front[0]][before] == f"~{guessed.front_trials[0].foretold['p99_ms'].value:#.4g}"
    assert any(guessed.predicted(trial) for trial in guessed.front_trials)


def test_figures_relative_to_the_baseline_stand_beside_them_and_the_baseline_below():
    rows = [(0.8, 2.0), (0.9, 3.0), (0.84, 1.0), (0.7, 5.0)]
    trials = [
        make_trial(number, {"accuracy": accuracy, "p99_ms": p99_ms}, origin="sobol" if number else "baseline")
        for number, (accuracy, p99_ms) in enumerate(rows)
    ]
    summary = make_summary((ACCURACY, P99), trials)
    columns, rows = front_table(summary, relative=True)
    assert columns[:5] == ["trial>", "accuracy>", "/ baseline>", "p99_ms>", "/ baseline>"]
    assert [(row[0], row[2], row[4]) for row in rows] == [
        ("1", "1.125", "1.500"),
        ("2", "1.050", "0.500"),
        ("baseline 0", "1.000", "1.000"),
    ]
    assert "/ baseline>" not in front_table(summary)[0]
    assert [row[0] for row in front_table(summary)[1]] == ["1", "2"]


def test_a_baseline_on_the_front_has_its_own_place():
    trials = [make_trial(n, {"accuracy": 0.9 - 0.1 * n, "p99_ms": 3.0 - n}, origin="baseline") for n in range(1)]
    trials.append(make_trial(1, {"accuracy": 0.5, "p99_ms": 1.0}))
    _, rows = front_table(make_summary((ACCURACY, P99), trials), relative=True)
    assert [row[0] for row in rows] == ["baseline 0", "1"]
