"""`hwnas predictor`: train a latency predictor, adapt it to a device by ten measurements, and ask it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from hwnas.cli import _output
from hwnas.cli._options import PART_DONE, Json, settings
from hwnas.errors import ConfigError

Metric = Literal["p99", "p90", "p50"]

#: Networks that adapt a predictor where the user does not say how many.
_SAMPLES = 10

app = typer.Typer(no_args_is_help=True, help="Latency predictors: train, adapt to a device, evaluate, predict.")

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The predictor's name, as `predictor list` has it.")]
_Device = Annotated[str, typer.Option("--device", metavar="NAME", help="The device.")]
_Space = Annotated[
    str | None,
    typer.Option(
        "--space",
        metavar="SPACE",
        help="Its space; needed where your own Python makes it: FILE.py:NAME.",
    ),
]
_Tables = Annotated[
    list[Path] | None,
    typer.Option(
        "--table", metavar="FILE", help="A latency table or an export, .csv, .csv.gz or .parquet; may be repeated."
    ),
]
_TablesOnly = Annotated[bool, typer.Option("--tables-only", help="Leave the workspace's own measurements out.")]
_Duplicates = Annotated[
    Literal["error", "median"],
    typer.Option("--duplicates", help="What becomes of an architecture or a device that is there twice."),
]


@app.command()
def train(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the predictor.")],
    space: Annotated[
        str, typer.Option(metavar="SPACE", help="digits, nasbench201, FILE.toml, FILE.py:NAME; fbnet for its tables.")
    ],
    devices: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME,...", help="Learn from these alone; by default all with 20 measured networks."),
    ] = None,
    table: _Tables = None,
    tables_only: _TablesOnly = False,
    metric: Annotated[Metric, typer.Option(help="What is predicted; a table of latencies is taken as it is.")] = "p99",
    duplicates: _Duplicates = "error",
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of the training.")] = 0,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a predictor of that name.")] = False,
    json: Json = False,
) -> None:
    """Train a predictor on the workspace's measurements of a space, on latency tables, or on both.

    Each training device is held out in turn; the scores go into its card. Devices that the predictor was adapted to
    stay adapted when it is trained again.
    """
    from hwnas.cli._predictor_adapt import corpus_of
    from hwnas.cli._predictor_show import stored_data, training_report
    from hwnas.predictor import PredictorLibrary, TrainingSpace, train_predictor

    chosen = settings(context)
    library = PredictorLibrary(chosen.workspace())
    library.check_new(name, replace=replace)
    where = TrainingSpace.named(space)
    corpus = corpus_of(chosen, where, metric, table, duplicates, tables_only=tables_only)
    names = _device_names(devices)
    stored = train_predictor(
        library, name, where, corpus, metric=f"{metric}_ms", devices=names, replace=replace, seed=seed
    )
    if json:
        _output.emit(stored_data(stored))
    else:
        training_report(stored)


def _device_names(given: list[str] | None) -> list[str]:
    """Return the names in `--devices`, each once; none where it is not given."""
    names = dict.fromkeys(part.strip() for text in given or [] for part in text.split(",") if part.strip())
    if given and not names:
        raise ConfigError("--devices names no device", "give names, as in --devices phone,watch, or leave it out")
    return list(names)


@app.command()
def adapt(
    context: typer.Context,
    name: _Name,
    device: _Device,
    samples: Annotated[
        int | None, typer.Option(metavar="N", min=3, help="Networks to measure, at most; by default 10.")
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Stop measuring once the expected error is as low as this, such as 5%."),
    ] = None,
    metric: Annotated[Metric | None, typer.Option(help="By default what it was trained on.")] = None,
    space: _Space = None,
    table: _Tables = None,
    known: Annotated[bool, typer.Option("--known", help="Adapt to all that is measured; measure nothing.")] = False,
    protocol: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A setting of the measuring protocol; may be given several times."),
    ] = None,
    wait: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0, help="How long to wait for a device that is in use; by default 0."),
    ] = None,
    duplicates: _Duplicates = "error",
    json: Json = False,
) -> None:
    """Adapt a predictor to a device: measure the networks that tell it most, and keep what was learned.

    After Ctrl-C the same command goes on where it was. With --table, the device's column of a table takes the place of
    the device: what would be measured is read from it.
    """
    from hwnas.cli._predictor_adapt import adapt_to_known, adapt_to_measured, corpus_of, space_of
    from hwnas.cli._predictor_show import adaptation_report
    from hwnas.device import check_device_name
    from hwnas.predictor import PredictorLibrary

    check_device_name(device)
    if table or known:
        _refuse_measuring(known=known, samples=samples, precision=precision, protocol=protocol, wait=wait)
    chosen = settings(context)
    stored = PredictorLibrary(chosen.workspace()).get(name)
    own: Metric = metric or cast("Metric", str(stored.trained.get("metric", "p99_ms")).removesuffix("_ms"))
    if table or known:
        where, given = space_of(stored, space)
        corpus = corpus_of(chosen, where, own, table, duplicates, tables_only=bool(table))
        adapt_to_known(stored, given, corpus, device, own, None if known else samples or _SAMPLES)
    else:
        adapt_to_measured(chosen, stored, device, space, own, samples or _SAMPLES, precision, protocol, wait or 0.0)
    adaptation_report(stored, device, json=json)


def _refuse_measuring(*, known: bool, **given: Any) -> None:
    """Refuse the options of measuring where nothing is measured; of a table, `--samples` says how many rows count."""
    own = [name for name, value in given.items() if value not in (None, []) and (known or name != "samples")]
    if own:
        told = " and ".join(f"--{name}" for name in own)
        instead = "--known" if known else "--table"
        raise ConfigError(f"{instead} measures nothing, and {told} would say how", f"leave out {told}, or {instead}")


@app.command()
def evaluate(
    context: typer.Context,
    name: _Name,
    device: _Device,
    space: _Space = None,
    table: _Tables = None,
    tables_only: _TablesOnly = False,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Draw predicted against measured.")] = True,
    duplicates: _Duplicates = "error",
    json: Json = False,
) -> None:
    """Compare predictions with the measurements of a device that had no part in adapting."""
    from hwnas.cli._predictor_adapt import corpus_of, space_of
    from hwnas.cli._predictor_show import evaluation
    from hwnas.predictor import PredictorLibrary

    chosen = settings(context)
    stored = PredictorLibrary(chosen.workspace()).get(name)
    record = stored.record(device)
    where, given = space_of(stored, space)
    metric = cast("Metric", str(record.get("metric", "p99_ms")).removesuffix("_ms"))
    corpus = corpus_of(chosen, where, metric, table, duplicates, tables_only=tables_only)
    evaluation(stored, device, given, corpus, metric=metric, plots=plots, json=json)


@app.command()
def predict(
    context: typer.Context,
    name: _Name,
    device: _Device,
    networks: Annotated[
        list[Path] | None, typer.Argument(metavar="NETWORK...", help="Network files, as .onnx.", show_default=False)
    ] = None,
    space: Annotated[str | None, typer.Option(metavar="SPACE", help="Instead of files: networks of its space.")] = None,
    count: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="With --space: how many; by default 20.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", min=0, help="With --space: which; by default 0.")] = None,
    json: Json = False,
) -> None:
    """Predict the latency of networks on a device, each with its 95 % interval.

    Any ONNX file with fixed shapes can be asked for; the further it lies from the networks of the training, the wider
    its interval.
    """
    from hwnas.cli._predictor_adapt import space_of
    from hwnas.cli._predictor_show import predict_files, predict_space
    from hwnas.predictor import PredictorLibrary

    stored = PredictorLibrary(settings(context).workspace()).get(name)
    if bool(networks) == (space is not None):
        raise ConfigError(
            "name network files, or a space with --space, not both" if networks else "nothing to predict",
            "as in: hwnas predictor predict NAME --device DEVICE net.onnx, or --space digits --count 20",
        )
    if networks and (count is not None or seed is not None):
        raise ConfigError("--count and --seed are of --space", "leave them out: all files are predicted")
    if networks:
        predict_files(stored, device, networks, json=json)
    else:
        predict_space(stored, device, space_of(stored, space)[1], count or 20, seed or 0, json=json)


@app.command()
def lookup(
    context: typer.Context,
    device: _Device,
    space: Annotated[str, typer.Option(metavar="SPACE", help="Whose networks: digits, nasbench201, FILE.toml, ...")],
    count: Annotated[int, typer.Option(metavar="N", min=1, help="How many networks.")] = 20,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Which, where none is measured there yet.")] = 0,
    metric: Annotated[Metric, typer.Option(help="The quantile of the entries.")] = "p50",
    protocol: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A setting of the measuring protocol; may be given several times."),
    ] = None,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long to wait for a device that is in use.")
    ] = 0.0,
    json: Json = False,
) -> None:
    """Measure the operations of networks alone, and predict each network as their sum: a lookup table.

    Networks that are measured on the device come first, to compare with. What is measured is kept; after Ctrl-C the
    same command goes on where it was.
    """
    from hwnas.cli._predictor_lookup import lookup as look_up

    look_up(settings(context), device, space, metric, count, seed, protocol, wait, json=json)


@app.command("list")
def list_predictors(context: typer.Context, json: Json = False) -> None:
    """List the workspace's predictors, what each was trained on, and its held-out scores.

    Those that cannot be read are warned of, and the exit code is 3 then.
    """
    from hwnas.cli._predictor_show import listing
    from hwnas.predictor import PredictorLibrary

    library = PredictorLibrary(settings(context).workspace())
    if listing(library, json=json):
        raise typer.Exit(PART_DONE)


@app.command()
def show(
    context: typer.Context,
    name: _Name,
    plot: Annotated[
        bool, typer.Option("--map", help="Draw which devices are alike, into the predictor's folder.")
    ] = False,
    space: _Space = None,
    json: Json = False,
) -> None:
    """Show a predictor's card: how it was trained, its held-out scores, and the devices that it is adapted to."""
    from hwnas.cli._predictor_adapt import space_of
    from hwnas.cli._predictor_show import draw_map, stored_data, stored_report
    from hwnas.predictor import PredictorLibrary

    stored = PredictorLibrary(settings(context).workspace()).get(name)
    if json:
        _output.emit(stored_data(stored))
    else:
        stored_report(stored)
    if plot:
        _output.note(f"drawn: {draw_map(stored, space_of(stored, space)[1])}")
