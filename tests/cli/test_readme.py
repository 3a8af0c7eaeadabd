"""What the README shows is true: its files are valid, its Python runs, and its tables name every key."""

import dataclasses
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

import hwnas
from hwnas.evaluation import EvaluationConfig
from hwnas.search import AutoSettings, SaasSettings, SearchSettings, StoppingSettings, StudyConfig, load_study_config
from hwnas.search._config import NetworkSettings, ObjectiveSettings
from hwnas.space import SpaceConfig, space_from_config
from hwnas.space._kinds import KINDS

ROOT = Path(hwnas.__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def section(title):
    found = re.search(rf"(?ms)^#+ `?{re.escape(title)}`?\n(.*?)(?=^## |^### |\Z)", README)
    return found[1]


def keys(title):
    """The keys in the first column of a section's table."""
    return set(re.findall(r"(?m)^\| `([a-z_0-9]+)` \|", section(title)))


def test_the_study_file_is_valid(tmp_path):
    (text,) = [block for block in blocks("toml") if "[search]" in block]
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    config = load_study_config(path)
    space = space_from_config(SpaceConfig.model_validate(config.space), tmp_path)
    assert config.search.name == "first"
    assert {parameter.name for parameter in space.parameters} == {"depth", "width", "block", "expand", "lr"}
    assert [objective.limit for objective in config.resolved_objectives()] == [None, 5.0]


def test_the_commands_of_the_study_file_have_a_placeholder_for_every_parameter(tmp_path):
    from hwnas.evaluation import evaluator_from_config

    (text,) = [block for block in blocks("toml") if "[search]" in block]
    config = StudyConfig.model_validate(tomllib.loads(text))
    space = space_from_config(SpaceConfig.model_validate(config.space), tmp_path)
    evaluation = EvaluationConfig.model_validate(config.evaluation)
    names = [parameter.name for parameter in space.parameters]
    assert evaluator_from_config(evaluation, tmp_path, names, ["accuracy"])


def test_the_space_by_name_is_valid(tmp_path):
    (text,) = [block for block in blocks("toml") if "builtin" in block]
    table = tomllib.loads(text)["space"]
    assert space_from_config(SpaceConfig.model_validate(table), tmp_path).constraints


def test_the_space_in_python_is_valid():
    (text,) = [block for block in blocks("python") if '"cells"' in block]
    names = {}
    exec(compile(text, "README.md", "exec"), names)  # noqa: S102 - our own text
    assert names["space"].validate({"depth": 2, "width": 64, "block": "mbconv", "expand": 4, "lr": 1e-3}) is None


def test_the_loop_in_python_runs(tmp_path, monkeypatch, capsys):
    """With eight trials, all of them of the start: the strategy has tests of its own."""
    monkeypatch.chdir(tmp_path)
    (text,) = [block for block in blocks("python") if "study.ask" in block]
    shorter = text.replace("trials=24", "trials=8")
    assert shorter != text

    def train(*, width, lr):
        if width == 64:
            raise RuntimeError("out of memory")
        return 0.5 + width / 200 - abs(lr - 0.01), 100 * width

    names = {"train": train}
    exec(compile(shorter, "README.md", "exec"), names)  # noqa: S102 - our own text
    assert len(capsys.readouterr().out.splitlines()) == len(names["study"].pareto_front()) > 0
    names["store"].close()


def test_the_predictor_in_python_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (text,) = [block for block in blocks("python") if "hwnas.predictor" in block]
    cost = {"none": 0.0, "skip_connect": 0.1, "avg_pool_3x3": 0.3, "nor_conv_1x1": 0.6, "nor_conv_3x3": 2.0}
    rng = np.random.default_rng(0)
    picks = [list(rng.choice(list(cost), 6)) for _ in range(200)]
    cells = ["|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(*ops) for ops in dict.fromkeys(map(tuple, picks))]

    def milliseconds(cell, speed):
        return 1.0 + speed * sum(cost[op] * cell.count(op) for op in cost)

    lines = ["cell,latency_ms.a,latency_ms.b", *(f"{c},{milliseconds(c, 1)},{milliseconds(c, 3)}" for c in cells)]
    (tmp_path / "latencies.csv").write_text("\n".join(lines), encoding="utf-8")
    names = {"cells": cells, "measure_ms": lambda cell: milliseconds(cell, 2)}
    exec(compile(text, "README.md", "exec"), names)  # noqa: S102 - our own text
    truth = np.array([milliseconds(cell, 2) for cell in cells])
    assert np.corrcoef(names["prediction"].mean_ms, truth)[0, 1] > 0.9


@pytest.mark.parametrize(
    ("title", "model", "hidden"),
    [
        ("[search]", SearchSettings, {"saas", "auto", "stopping"}),
        ("[network]", NetworkSettings, set()),
        ("[evaluation]", EvaluationConfig, set()),
        ("[[objectives]]", ObjectiveSettings, set()),
    ],
    ids=["search", "network", "evaluation", "objectives"],
)
def test_every_key_of_a_study_file_is_documented_and_no_other(title, model, hidden):
    assert keys(title) == set(model.model_fields) - hidden


@pytest.mark.parametrize("model", [SaasSettings, StoppingSettings])
def test_every_key_of_the_surrogate_and_of_early_stopping_is_documented(model):
    text = (Path(__file__).parents[2] / "docs" / "search.md").read_text(encoding="utf-8")
    documented = {}
    for names, defaults in re.findall(r"(?m)^\| ((?:`[a-z_]+`(?:, )?)+) \| ([^|]+?) \|", text):
        for name, default in zip(names.split(", "), defaults.split(", "), strict=False):
            documented[name.strip("`")] = default.strip("`")
    for name, field in model.model_fields.items():
        default = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)  # as in TOML
        assert documented[name] == ("the one" if field.default is None else default), name


def test_every_key_of_auto_is_documented_with_its_default():
    for name, field in AutoSettings.model_fields.items():
        assert f"`{name}` ({field.default})" in section("[search]"), name


def test_every_default_in_the_search_table_is_the_default():
    for name, default in re.findall(r"(?m)^\| `([a-z_]+)` \| `?([^|`]*?)`? \|", section("[search]")):
        if default:
            assert str(SearchSettings.model_fields[name].default).lower() == default, name


def test_every_type_of_parameter_is_documented():
    assert keys("A space") == set(KINDS)


def test_every_runtime_is_documented_with_its_options():
    from hwnas.device.runtimes import runtime_modules

    rows = dict(re.findall(r"(?m)^\| `([a-z]+)` \|(.*)\|$", section("Devices")))
    assert set(rows) == set(runtime_modules())
    for name, module in runtime_modules().items():
        for field in dataclasses.fields(module.OPTIONS):
            assert f"`{field.name}`" in rows[name], (name, field.name)
        assert all(f"`.{suffix}`" in rows[name] for suffix in module.FORMATS if suffix != "graph")


def test_every_setting_of_the_protocol_is_documented():
    from hwnas.measurement import MeasurementProtocol

    text = section("How a latency is measured")
    for field in dataclasses.fields(MeasurementProtocol):
        assert f"`{field.name}`" in text, field.name
    assert f"`samples` ({MeasurementProtocol().samples})" in text
    assert f"`processes` ({MeasurementProtocol().processes} " in text


def test_what_it_links_to_is_there():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
