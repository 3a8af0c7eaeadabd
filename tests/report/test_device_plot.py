from hwnas.report import front_figure, write_front_png

from .conftest import ACCURACY, PHONE, WATCH, make_summary, make_trial


def labels(axis):
    return axis.get_legend_handles_labels()[1]


def test_each_device_has_a_panel_and_there_is_one_for_the_pair_and_one_for_the_hypervolumes(devices, tmp_path):
    phone, watch, both, history = front_figure(devices).axes
    assert ("phone" in phone.get_xlabel(), "watch" in watch.get_xlabel()) == (True, True)
    assert ("phone" in both.get_xlabel(), "watch" in both.get_ylabel()) == (True, True)
    assert both.get_title(loc="left").startswith("phone and watch: rank correlation 0.")
    assert {"phone", "watch", "sobol start"} <= set(labels(history))
    assert f"front of phone ({len(devices.fronts['phone'])})" in labels(both)
    assert "all trials (40)" in labels(both)
    assert write_front_png(devices, tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")


def test_a_panel_shows_its_own_front(devices):
    phone, watch, *_ = front_figure(devices).axes
    for axis, device, objective in ((phone, "phone", PHONE), (watch, "watch", WATCH)):
        (drawn,) = [line for line in axis.get_lines() if line.get_label() == "front"]
        points = {(float(x), float(y)) for x, y in zip(drawn.get_xdata(), drawn.get_ydata(), strict=True)}
        trials = {trial.number: trial for trial in devices.trials}
        assert points == {
            (trials[number].values[objective.name].value, trials[number].values["accuracy"].value)
            for number in devices.fronts[device]
        }


def test_a_line_a_device_shows_its_hypervolume(devices):
    history = front_figure(devices).axes[-1]
    drawn = {line.get_label(): list(line.get_ydata()) for line in history.get_lines()}
    assert drawn == {device: [0.0, *found] for device, found in devices.hypervolumes.items()}


def test_before_the_first_trial():
    figure = front_figure(make_summary((ACCURACY, PHONE, WATCH), []))
    assert any("no trial is complete" in text.get_text() for text in figure.axes[0].texts)


def test_a_lone_panel_leaves_no_empty_axes():
    other = WATCH.__class__("p50_ms@watch", "minimize", "device", "watch")
    trial = make_trial(0, {"accuracy": 0.9, "p99_ms@phone": 1.0, "p50_ms@watch": 2.0})
    axes = front_figure(make_summary((ACCURACY, PHONE, other), [trial])).axes
    assert [axis.get_visible() for axis in axes] == [True, True, True, False]
