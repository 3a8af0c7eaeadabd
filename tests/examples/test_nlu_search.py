"""The example's study files: 24 parameters, whose commands export and train any architecture of the space."""

import threading

import numpy as np
import pytest

from hwnas.evaluation import EvaluationConfig, EvaluationTask, evaluator_from_config
from hwnas.evaluation._template import CommandTemplate, built_in_values
from hwnas.search import load_study_config
from hwnas.space import space_from_config

FILES = ("search.toml", "search-small.toml")


@pytest.fixture(scope="module")
def studies(nlu):
    return {name: load_study_config(nlu.folder / name) for name in FILES}


@pytest.fixture(scope="module")
def space(nlu, studies):
    return space_from_config(studies["search.toml"].space, nlu.folder)


def test_the_studies_are_those_promised(nlu, studies, space):
    assert [(study.search.trials, study.search.batch, study.search.start) for study in studies.values()] == [
        (240, 16, 16),
        (128, 16, 16),
    ]
    assert len(space.parameters) == 24
    assert {parameter.name for parameter in space.parameters if parameter.when} == {
        "encoder_heads", "encoder_kernel", "decoder_kernel",
    }  # fmt: skip
    for study in studies.values():
        assert space_from_config(study.space, nlu.folder) == space
        accuracy, latency = study.resolved_objectives()
        assert (accuracy.name, accuracy.direction, accuracy.source) == ("accuracy", "maximize", "evaluation")
        assert (latency.name, latency.direction, latency.device) == ("p99_ms", "minimize", "host")


def test_the_baseline_is_what_train_trains_by_itself(nlu, studies, space):
    options = vars(nlu.train.parse_options([]))
    values = {
        parameter.name: options[parameter.name]
        for parameter in space.parameters
        if all(options[parent] in wanted for parent, wanted in parameter.when.items())
    }
    assert space.architecture(values).values == values
    assert all(study.baseline.values == values for study in studies.values())


@pytest.mark.parametrize("name", FILES)
def test_every_architecture_has_flags_that_go_together(nlu, studies, space, name):
    study = studies[name]
    names = [parameter.name for parameter in space.parameters]
    train = CommandTemplate.parse(study.evaluation.command, names, where="the command")
    assert set(names) <= train.placeholders
    for arch in space.sample(60, np.random.default_rng(3)):
        task = EvaluationTask(arch, trial=1, seed=5, folder=nlu.folder)
        words = train.fill(arch.values, built_in_values(task))
        options = vars(nlu.train.parse_options(words[2:]))
        assert {key: options[key] for key in arch.values} == pytest.approx(dict(arch.values))
        assert options["seed"] == 5


def test_the_small_studys_command_trains(nlu, studies, space, small_data, tmp_path):
    config = studies["search-small.toml"].evaluation
    assert isinstance(config, EvaluationConfig)
    command = f"{config.command} --data-dir {small_data} --epochs 1 --train-limit 64"
    config = config.model_copy(update={"command": command})
    names = [parameter.name for parameter in space.parameters]
    evaluator = evaluator_from_config(config, nlu.folder, names, ["accuracy"])
    arch = space.sample(1, np.random.default_rng(0))[0]
    result = evaluator.evaluate(EvaluationTask(arch, trial=1, seed=5, folder=tmp_path), cancelled=threading.Event())
    assert 0 <= result.metrics["accuracy"] < 1
