"""What the commands of `hwnas predictor` say: tables, JSON, and the pictures they draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwnas.cli import _output
from hwnas.errors import PredictorError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hwnas.predictor import Corpus, DevicePredictor, Prediction, PredictorLibrary, Scores, StoredPredictor
    from hwnas.space import SearchSpace

_SCORES = ["spearman>", "median error>", "within 10 %>", "95 % coverage>"]


def stored_data(stored: StoredPredictor) -> dict[str, Any]:
    """Return a predictor's card and the records of its devices as JSON data."""
    return {
        "name": stored.name,
        "folder": str(stored.folder),
        **stored.card,
        "adapted": {device: stored.record(device) for device in stored.devices()},
    }


def training_report(stored: StoredPredictor) -> None:
    """Say what a training came to."""
    trained = stored.told
    for text in trained["notes"]:
        _output.note(text)
    networks, held_out = trained["networks"], trained["held_out"]
    if held_out["devices"]:
        rows = [[device, str(networks[device]), *score_cells(scores)] for device, scores in held_out["devices"].items()]
        rows.append(["mean", "", *score_cells(held_out["mean"])])
        _output.show(_output.table(["held out", "networks>", *_SCORES], rows))
        _output.note(f"each device held out in turn, adapted with {held_out['measurements']} of its measurements")
    else:
        _output.note("no device could be held out: that takes two devices with some measurements each")
    for first, second in stored.card["twins"]:
        _output.note(f"{second} repeats {first} and was not learned from: they may be one run")
    seconds = trained["cpu_s"]
    _output.note(
        f"trained {stored.name} on {_output.plural(len(stored.card['devices']), 'device')} x "
        f"{stored.card['architectures']} networks in {seconds['training']:.1f} s of processor time, features "
        f"{seconds['features']:.1f} s: {stored.folder}"
    )


def listing(library: PredictorLibrary, *, json: bool) -> bool:
    """List predictors; warn of those that cannot be read, and return whether there are such."""
    names, data, rows = library.names(), [], []
    for name in names:
        try:
            item = library.get(name)
            rows.append(_row(item))
            data.append(stored_data(item))
        except PredictorError as exc:
            _output.warn(exc.message, exc.hint)
    if json:
        _output.emit(data)
    elif rows:
        columns = ["predictor", "space", "metric", "devices>", "networks>", *_SCORES[:2], "adapted to"]
        _output.show(_output.table(columns, rows))
    elif not names:
        _output.note("no predictors yet: hwnas predictor train NAME --space SPACE")
    return len(data) < len(names)


def _row(item: StoredPredictor) -> list[str]:
    trained = item.told
    return [
        item.name,
        str(trained["space"]["name"]),
        str(trained["metric"]).removesuffix("_ms"),
        str(len(item.card["devices"])),
        str(item.card["architectures"]),
        *score_cells(trained["held_out"]["mean"] or {})[:2],
        ", ".join(item.devices()) or "–",
    ]


def stored_report(stored: StoredPredictor) -> None:
    """Show a predictor's card."""
    trained, card = stored.told, stored.card
    held_out, space = trained["held_out"], trained["space"]
    rows = [
        ["space", f"{space['name']}, version {space['version']} ({space['source']})"],
        ["metric", str(trained["metric"])],
        ["trained on", ", ".join(f"{name} ({count})" for name, count in trained["networks"].items())],
        ["from", "; ".join(trained["sources"])],
        ["trained at", f"{trained['at']}, hwnas {card['versions']['hwnas']}"],
        ["any ONNX file", "yes" if (stored.folder / "any").is_dir() else "no: its space makes no networks"],
        *[["left out", text] for text in trained["notes"]],
        *[["left out", f"{second}, which repeats {first}"] for first, second in card["twins"]],
    ]
    _output.show(_output.table(["predictor", stored.name], rows))
    if held_out["devices"]:
        scores = [[device, *score_cells(found)] for device, found in held_out["devices"].items()]
        _output.show(_output.table(["held out", *_SCORES], [*scores, ["mean", *score_cells(held_out["mean"])]]))
    if stored.devices():
        records = [(device, stored.record(device)) for device in stored.devices()]
        adapted = [
            [device, str(found.get("metric", "")), str(found["measurements"]), f"{found['expected_error']:.1%}"]
            for device, found in records
        ]
        _output.show(_output.table(["adapted to", "metric", "measurements>", "expected error>"], adapted))


def adaptation_report(stored: StoredPredictor, device: str, *, json: bool) -> None:
    """Say what an adaptation came to."""
    record = stored.record(device)
    if json:
        _output.emit({"predictor": stored.name, **record})
        return
    failures = record.get("failures", [])
    for text in failures:
        _output.warn(f"could not be measured: {text}")
    if record.get("stopped_early"):
        _output.note("the expected error is low enough: stopped early")
    if device in stored.card["devices"]:
        _output.warn(
            f"{stored.name} was trained on {device}: what was measured there counts twice, and the error flatters",
            "its held-out scores tell more: hwnas predictor show " + stored.name,
        )
    for index in record["outliers"]:
        _output.warn(
            f"measurement {index + 1} of {record['measurements']} does not fit the others, and hardly counts",
            "measure it again, or look at what disturbed the device",
        )
    _output.note(
        f"{stored.name} is adapted to {device} by {_output.plural(record['measurements'], 'measurement')}: "
        f"expected error {record['expected_error']:.1%} (median over the space)"
    )


def evaluation(
    stored: StoredPredictor,
    device: str,
    space: SearchSpace | None,
    corpus: Corpus,
    *,
    metric: str,
    plots: bool,
    json: bool,
) -> None:
    """Compare predictions with measurements, and draw both."""
    from hwnas.predictor import Scores, without_support

    adapted = stored.device(device, space=space)
    architectures, measured_ms = corpus.device(device)
    blocks = adapted.predictor.featuriser(architectures)
    rest = without_support(blocks, adapted)
    prediction = adapted.predict(blocks[rest])
    scores = Scores.of(prediction, measured_ms[rest])
    paths: list[Path] = []
    if plots:
        paths = _draw(stored, adapted, device, (blocks, measured_ms, rest), prediction, scores, metric)
        paths.append(draw_map(stored, space))
    if json:
        data = {"predictor": stored.name, "device": device, "metric": f"{metric}_ms", **scores.to_json()}
        _output.emit({**data, "adapted_with": len(adapted.support), "plots": [str(path) for path in paths]})
        return
    row = [device, str(len(adapted.support)), str(scores.n), *score_cells(scores.to_json())]
    _output.show(_output.table(["device", "adapted with>", "networks>", *_SCORES], [row]))
    for path in paths:
        _output.note(f"drawn: {path}")


def _draw(
    stored: StoredPredictor,
    adapted: DevicePredictor,
    device: str,
    known: tuple[Any, Any, Any],
    prediction: Prediction,
    scores: Scores,
    metric: str,
) -> list[Path]:
    from hwnas.predictor import reference_curve
    from hwnas.report import predicted_figure, reference_figure, write_figure

    blocks, measured_ms, rest = known
    folder = stored.folder / "plots"
    support = adapted.predict(adapted.support).mean_ms, adapted.support_ms
    figure = predicted_figure(prediction, measured_ms[rest], scores, device=device, metric=metric, support=support)
    paths = [write_figure(figure, folder / f"{device}-predicted.png")]
    trained_on = device in stored.card["devices"] and len(stored.card["devices"]) > 1
    if trained_on:
        _output.note(f"{device} was trained on: its error by number of references would flatter, and is not drawn")
    else:
        curve = reference_curve(adapted.predictor, blocks, measured_ms)
        if len(curve.counts) > 1:
            paths.append(write_figure(reference_figure(curve, device=device), folder / f"{device}-references.png"))
    return paths


def draw_map(stored: StoredPredictor, space: SearchSpace | None) -> Path:
    """Draw which devices are alike; returns the file."""
    from hwnas.predictor import device_map
    from hwnas.report import device_figure, write_figure

    trained = set(stored.card["devices"])
    adapted = [stored.device(name, space=space) for name in stored.devices() if name not in trained]
    found = device_map(stored.main(space), adapted)
    return write_figure(device_figure(found), stored.folder / "plots" / "devices.png")


def predict_files(stored: StoredPredictor, device: str, paths: Sequence[Path], *, json: bool) -> None:
    """Predict network files."""
    from hwnas.predictor import onnx_network

    networks = [onnx_network(path) for path in paths]
    prediction, distances = stored.any_network(device).explained(networks)
    further = [
        {"inside": item.inside, "unknown": list(item.unknown), "beyond": dict(item.beyond)} for item in distances
    ]
    _predicted([str(path) for path in paths], prediction, stored, device, further, json=json)
    for path, item in zip(paths, distances, strict=True):
        if str(item) and not json:
            _output.warn(
                f"{path} is unlike the networks of the training: {item}", "its interval is wider for that; measure it"
            )


def predict_space(
    stored: StoredPredictor, device: str, space: SearchSpace | None, count: int, seed: int, *, json: bool
) -> None:
    """Predict networks of the space."""
    import numpy as np

    own = space or stored.space()
    architectures = own.sample(count, np.random.default_rng(seed))
    prediction = stored.device(device, space=own).predict(architectures)
    further = [{"architecture": dict(item.values)} for item in architectures]
    _predicted([item.id for item in architectures], prediction, stored, device, further, json=json)


def _predicted(
    names: Sequence[str],
    prediction: Prediction,
    stored: StoredPredictor,
    device: str,
    further: Sequence[Mapping[str, Any]],
    *,
    json: bool,
) -> None:
    from hwnas.cli._measurements import milliseconds

    metric = str(stored.record(device).get("metric", stored.trained["metric"]))
    low, high = prediction.interval_ms(0.95)
    figures = zip(prediction.mean_ms, prediction.std_ms, low, high, strict=True)
    values = [tuple(float(value) for value in row) for row in figures]
    if json:
        keys = (metric, "std_ms", "low_ms", "high_ms")
        rows = [
            {"network": name, **dict(zip(keys, found, strict=True)), **more}
            for name, found, more in zip(names, values, further, strict=True)
        ]
        _output.emit({"predictor": stored.name, "device": device, "metric": metric, "predictions": rows})
        return
    cells = [
        [name, milliseconds(mean), f"{milliseconds(least)} to {milliseconds(most)}"]
        for name, (mean, _, least, most) in zip(names, values, strict=True)
    ]
    _output.show(_output.table(["network", f"predicted {metric.removesuffix('_ms')} ms>", "95 %>"], cells))


def score_cells(scores: Mapping[str, Any]) -> list[str]:
    """Return scores as the cells of a table."""
    spearman, error, within, cover = (
        scores.get(name) for name in ("spearman", "median_error", "within_10", "coverage")
    )
    return [
        "–" if spearman is None else f"{spearman:.3f}",
        *("–" if value is None else f"{value:.1%}" for value in (error, within, cover)),
    ]
