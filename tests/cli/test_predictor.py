import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from hwnas.cli import _output
from hwnas.cli._main import run
from hwnas.network import GraphBuilder, write_onnx
from hwnas.predictor import SpaceFeaturiser
from hwnas.space import get_space

QUICK = ["--protocol", "samples=100", "--protocol", "processes=1", "--protocol", "reference=0"]
QUICK += ["--protocol", "warmup_s=0.05"]
SPACE = get_space("digits")


def lines(archs, values, devices):
    rows = ["architecture," + ",".join(f"latency_ms.{name}" for name in devices)]
    for arch, row in zip(archs, values, strict=True):
        text = json.dumps(dict(arch.values)).replace('"', '""')
        rows.append(f'"{text}",' + ",".join("" if np.isnan(value) else f"{value:.6f}" for value in row))
    return "\n".join(rows) + "\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a trained predictor's folder and the tables that it and its devices come from."""
    folder = tmp_path_factory.mktemp("made")
    archs = SPACE.sample(45, np.random.default_rng(8))
    totals = SpaceFeaturiser(SPACE)(archs).blocks["totals"]
    rng = np.random.default_rng(9)
    costs = rng.gamma(2.0, 0.1, (5, 4)) / totals[:, :5].mean(0)[:, None]
    y = (0.02 + totals[:, :5] @ costs) * np.exp(0.02 * rng.standard_normal((45, 4)))
    y[3, 0] = np.nan
    (folder / "train.csv").write_text(lines(archs, y[:, :3], "abc"))
    (folder / "test.csv").write_text(lines(archs, y[:, 3:], ["new"]))
    workspace = folder / "workspace"
    assert run(["init", str(workspace)]) == 0
    options = ["--space", "digits", "--table", str(folder / "train.csv")]
    assert run(["-w", str(workspace), "predictor", "train", "first", *options]) == 0
    table = ["--table", str(folder / "test.csv")]
    assert run(["-w", str(workspace), "predictor", "adapt", "first", "--device", "new", *table]) == 0
    _output.forget_consoles()
    return folder


@pytest.fixture
def known(made, workspace):
    """Put that predictor into this test's workspace, and return its folder."""
    return shutil.copytree(made / "workspace" / "predictors" / "first", workspace.predictors / "first")


def test_the_card_says_how_it_was_trained_and_how_good_it_is(made, known, hwnas):
    card = hwnas("predictor", "show", "first", "--json").data
    assert card["devices"] == ["a", "b", "c"]
    assert card["trained"]["networks"] == {"a": 44, "b": 45, "c": 45}
    held_out = card["trained"]["held_out"]
    assert set(held_out["devices"]) == {"a", "b", "c"}
    assert held_out["devices"]["a"]["n"] == 34
    assert 0.5 < held_out["mean"]["spearman"] <= 1
    assert card["versions"]["hwnas"]
    assert card["adapted"]["new"]["measurements"] == 10
    assert len(card["adapted"]["new"]["architectures"]) == 10
    said = hwnas("predictor", "show", "first")
    assert "held out" in said.out
    assert "adapted to" in said.out
    assert "first" in hwnas("predictor", "list").out
    assert hwnas("predictor", "list", "--json").data[0]["name"] == "first"


def test_it_is_evaluated_on_what_did_not_adapt_it_and_drawn(made, known, hwnas):
    said = hwnas("predictor", "evaluate", "first", "--device", "new", "--table", made / "test.csv", "--json")
    assert said.data["n"] == 35
    assert said.data["spearman"] > 0.7
    assert {path.rpartition("/")[2] for path in said.data["plots"]} == {
        "new-predicted.png",
        "new-references.png",
        "devices.png",
    }
    for path in said.data["plots"]:
        assert Path(path).read_bytes().startswith(b"\x89PNG")


def test_it_predicts_networks_of_the_space_and_files(known, hwnas, tmp_path):
    said = hwnas("predictor", "predict", "first", "--device", "new", "--space", "digits", "--count", 5, "--json")
    rows = said.data["predictions"]
    assert len(rows) == 5
    assert all(0 < row["low_ms"] < row["p99_ms"] < row["high_ms"] for row in rows)
    arch = SPACE.architecture(rows[0]["architecture"])
    inside = write_onnx(SPACE.graph(arch), tmp_path / "inside.onnx").path
    build = GraphBuilder("far")
    x = build.conv(build.input((3, 64, 64)), 128, kernel=3)
    far = write_onnx(build.graph(build.softmax(build.flatten(build.global_avg_pool(x)))), tmp_path / "far.onnx").path
    said = hwnas("predictor", "predict", "first", inside, far, "--device", "new", "--json")
    near, wide = said.data["predictions"]
    assert near["inside"] == 1.0
    assert near["p99_ms"] == pytest.approx(rows[0]["p99_ms"], rel=0.5)
    assert wide["inside"] < 0.5
    assert wide["unknown"] == ["softmax"]
    assert wide["std_ms"] / wide["p99_ms"] > 0.3
    said = hwnas("predictor", "predict", "first", far, "--device", "new")
    assert "unlike the networks of the training" in said.err
    assert "never trained on: softmax" in said.err


def test_it_adapts_to_this_machine_and_measures_nothing_twice(known, hwnas):
    hwnas("device", "add", "host")
    arguments = ["predictor", "adapt", "first", "--device", "host", "--samples", 4, *QUICK]
    said = hwnas(*arguments, "--json")
    assert said.code == 0, said.err
    assert said.data["measurements"] == 4
    assert sorted(said.data["measurement_ids"]) == [1, 2, 3, 4]
    again = hwnas(*arguments)
    assert again.err.count(", known") == 4
    assert "adapted to host by 4 measurements" in again.err
    assert len(hwnas("measurements", "list", "--json").data) == 4
    said = hwnas("predictor", "predict", "first", "--device", "host", "--space", "digits", "--count", 2, "--json")
    assert len(said.data["predictions"]) == 2


WIDTHS = """
from hwnas.network import GraphBuilder
from hwnas.space import Int, SearchSpace

def graph(architecture):
    build = GraphBuilder("widths")
    x = build.activation(build.conv(build.input((8, 32, 32)), architecture.values["width"], kernel=3), "relu")
    return build.graph(build.linear(build.flatten(build.global_avg_pool(x)), 10))

space = SearchSpace("widths", [Int("width", 32, 33)], graph=graph)
"""


def test_a_lookup_table_of_operations_is_measured_and_compared(hwnas, refused, tmp_path):
    (tmp_path / "widths.py").write_text(WIDTHS)
    source = f"{tmp_path / 'widths.py'}:space"
    hwnas("device", "add", "host")
    arguments = ["predictor", "lookup", "--device", "host", "--space", source, "--count", 1, *QUICK]
    said = hwnas(*arguments, "--json")
    assert said.code == 0, said.err
    assert len(said.data["networks"]) == 1
    assert said.data["scores"] is None
    assert said.data["networks"][0]["sum_ms"] > said.data["call_ms"]
    assert len(said.data["operations"]) == 4 + 1
    assert hwnas("measure", "host", "--space", source, "--count", 1, *QUICK).code == 0
    again = hwnas(*arguments)
    assert "measured ms" in again.out
    assert "against what was measured: too few for a rank, median error" in again.err
    assert "fbnet makes no networks" in refused("predictor", "lookup", "--device", "host", "--space", "fbnet")


def test_all_that_is_known_can_adapt_it(made, known, hwnas):
    said = hwnas("predictor", "adapt", "first", "--device", "new", "--known", "--table", made / "test.csv", "--json")
    assert said.data["measurements"] == 45


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "frist"], r"no predictor 'frist' (did you mean 'first'?)"),
        (["show", "no/name"], "predictor name 'no/name': not a name"),
        (["adapt", "first", "--device", "$(id)"], "device name '$(id)': not a name"),
        (["adapt", "first", "--device", "[0-9]"], "device name '[0-9]': not a name"),
        (["adapt", "first", "--device", "ghost"], "no device 'ghost'"),
        (
            ["predict", "first", "--device", "mew", "--space", "digits"],
            "not adapted to device 'mew' (did you mean 'new'?)",
        ),
        (
            ["predict", "first", "--device", "new", "--space", "nasbench201"],
            "is of the space 'digits', version '1', not of",
        ),
        (["predict", "first", "--device", "new"], "nothing to predict"),
        (["predict", "first", "--device", "new", "none.onnx"], "none.onnx: no such file"),
        (["train", "first", "--space", "digits"], "there is a predictor 'first' already"),
        (["train", "other", "--space", "digits"], "no device has 20 measured networks"),
        (["train", "other", "--space", "digist"], "did you mean 'digits'?"),
        (["train", "other", "--space", "digits", "--table", "none.csv"], "none.csv: no such file"),
        (["train", "other", "--space", "digits", "--tables-only"], "--tables-only without a table"),
        (["evaluate", "first", "--device", "new"], "nothing of this space was measured on 'new'"),
    ],
)
def test_what_is_wrong_is_one_clear_error(known, refused, arguments, words):
    assert words in refused("predictor", *arguments)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("0", "line 3, latency_ms.a: 0 ms is not a positive number"),
        ("-1.5", "line 3, latency_ms.a: -1.5 ms is not a positive number"),
        ("quick", "'quick' is not a number"),
        ("nan", None),
        ("", None),
    ],
)
def test_a_latency_that_is_none_is_refused_and_a_missing_one_is_not(made, refused, hwnas, tmp_path, cell, words):
    text = (made / "train.csv").read_text().splitlines()
    row = text[2].rsplit(",", 3)
    table = tmp_path / "table.csv"
    table.write_text("\n".join([*text[:2], ",".join([row[0], cell, *row[2:]]), *text[3:]]) + "\n")
    arguments = ["predictor", "train", "other", "--space", "digits", "--table", table]
    if words is None:
        assert hwnas(*arguments).code == 0
    else:
        assert words in refused(*arguments)


def test_rows_that_are_there_twice_are_refused_or_merged(made, refused, hwnas, tmp_path):
    text = (made / "train.csv").read_text()
    table = tmp_path / "table.csv"
    table.write_text(text + text.splitlines()[5] + "\n")
    arguments = ["predictor", "train", "other", "--space", "digits", "--table", table]
    assert "more than once" in refused(*arguments)
    assert hwnas(*arguments, "--duplicates", "median").code == 0


def test_a_table_of_another_space_names_its_first_row(made, refused):
    table = made / "train.csv"
    said = refused("predictor", "train", "x", "--space", "nasbench201", "--table", table)
    assert "train.csv: architecture 1" in said


def test_a_device_with_two_measurements_teaches_nothing_and_adapts_nothing(made, known, refused, hwnas, tmp_path):
    text = (made / "train.csv").read_text().splitlines()
    rows = [line.rsplit(",", 3) for line in text]
    few = [",".join([row[0], row[1] if i < 3 else "", *row[2:]]) for i, row in enumerate(rows)]
    table = tmp_path / "few.csv"
    table.write_text("\n".join(few) + "\n")
    arguments = ["predictor", "train", "other", "--space", "digits", "--table", table]
    assert "left out, with fewer than 20 networks: a (2)" in hwnas(*arguments).err
    assert "device 'a' has 2 measured networks" in refused(*arguments, "--devices", "a", "--replace")
    said = refused("predictor", "adapt", "first", "--device", "a", "--table", table)
    assert "2 networks of this space measured on 'a', and 10 are wanted" in said


def test_an_imported_table_is_held_against_its_space(made, refused, hwnas, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text((made / "train.csv").read_text().replace('""depth"": 2', '""depth"": 9', 1))
    said = refused("measurements", "import", table, "--space", "digits")
    assert "table.csv: architecture " in said
    assert "depth" in said
    assert hwnas("measurements", "import", table, "--space", "a-space-of-theirs").code == 0


def test_a_damaged_predictor_is_one_clear_error(known, refused):
    path = known / "predictor.npz"
    path.write_bytes(path.read_bytes()[:500])
    said = refused("predictor", "predict", "first", "--device", "new", "--space", "digits")
    assert "the predictor is damaged" in said
    assert "Traceback" not in said


def test_options_of_measuring_are_refused_where_nothing_is_measured(made, known, refused, hwnas):
    table = ("predictor", "adapt", "first", "--device", "new", "--table", made / "test.csv")
    assert "--table measures nothing, and --precision and --wait" in refused(*table, "--precision", "5%", "--wait", "9")
    assert "--table measures nothing, and --protocol" in refused(*table, "--protocol", "samples=100")
    assert "--known measures nothing, and --samples" in refused(*table[:5], "--known", "--samples", "5")
    assert hwnas(*table, "--samples", "12", "--json").data["measurements"] == 12


def test_options_of_a_space_are_refused_beside_files(known, refused, network):
    predict = ("predictor", "predict", "first", "--device", "new", network)
    assert "--count and --seed are of --space" in refused(*predict, "--count", "3")
    assert "--count and --seed are of --space" in refused(*predict, "--seed", "0")


def test_devices_to_train_on_are_named_and_each_counts_once(made, hwnas, refused):
    train = ("predictor", "train", "second", "--space", "digits", "--table", made / "train.csv")
    for nothing in ("", " , "):
        assert "--devices names no device" in refused(*train, "--devices", nothing)
    said = hwnas(*train, "--devices", "a,b", "--devices", "a", "--json")
    assert said.code == 0, said.err
    assert said.data["devices"] == ["a", "b"]


@pytest.mark.parametrize("part", ["held_out", "metric", "networks", "space"])
def test_a_card_that_lacks_a_part_is_damaged_and_hides_no_other_predictor(known, hwnas, refused, workspace, part):
    broken = shutil.copytree(known, workspace.predictors / "broken")
    card = json.loads((broken / "card.json").read_text())
    del card["trained"][part]
    (broken / "card.json").write_text(json.dumps(card))
    said = refused("predictor", "show", "broken")
    assert "broken: the predictor is damaged: " in said
    assert part in said or "how it was trained" in said
    listed = hwnas("predictor", "list")
    assert listed.code == 3
    assert [line.split()[0] for line in listed.out.splitlines()[2:]] == ["first"]
    assert "warning: " in listed.err
    data = hwnas("predictor", "list", "--json")
    assert (data.code, [found["name"] for found in data.data]) == (3, ["first"])
    shutil.rmtree(known)
    listed = hwnas("predictor", "list")
    assert (listed.code, listed.out) == (3, "")
    assert "no predictors yet" not in listed.err
