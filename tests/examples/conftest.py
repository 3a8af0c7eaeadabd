"""The modules of examples/nlu, which lie in no package, and small data for them."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

NLU = Path(__file__).parents[2] / "examples" / "nlu"
NAMES = ("top", "data", "generate", "metrics", "model", "options", "train", "export")


@pytest.fixture(scope="session")
def nlu():
    """The example's modules by name. Their plain names are free for others again afterwards."""
    assert not [name for name in NAMES if name in sys.modules]
    sys.path.insert(0, str(NLU))
    try:
        modules = {name: importlib.import_module(name) for name in NAMES}
    finally:
        sys.path.remove(str(NLU))
        for name in NAMES:
            sys.modules.pop(name, None)
    return SimpleNamespace(folder=NLU, **modules)


@pytest.fixture(scope="session")
def small_data(nlu, tmp_path_factory):
    """A folder with generated data: 400 utterances to train on."""
    folder = tmp_path_factory.mktemp("nlu")
    nlu.generate.write(folder, {"train": 400, "eval": 60, "test": 40}, seed=1, noise=0.02)
    return folder


@pytest.fixture(scope="session")
def corpus(nlu, small_data):
    """That data, read."""
    return nlu.data.load(small_data, 32, 16)
