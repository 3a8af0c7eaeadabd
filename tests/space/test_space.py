import copy
import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hwnas.errors import NetworkError, SpaceError
from hwnas.network import GraphBuilder
from hwnas.space import Architecture, Categorical, Constraint, Float, Int, SearchSpace

PARAMETERS = [Int("depth", 1, 4), Categorical("block", ("conv", "pool"))]


def graph_of(arch):
    """Stands for a function of the user's; the graph is another one for each depth."""
    if arch["depth"] == 4:
        raise KeyError("stage4")
    if arch["depth"] == 3:
        raise NetworkError("three layers do not fit", "take two")
    build = GraphBuilder("tiny")
    x = build.input((1, 8, 8))
    for _ in range(arch["depth"]):
        x = build.activation(x, "relu")
    return build.graph(x)


def module_of(arch):
    return nn.Sequential(*(nn.ReLU() for _ in range(arch["depth"])))


@given(st.data())
def test_json_gives_the_same_space_back(spaces, data):
    space = data.draw(spaces(constrained=True))
    back = SearchSpace.from_json(json.loads(json.dumps(space.to_json())))
    assert back == space
    assert hash(back) == hash(space)
    assert back.to_json() == space.to_json()
    archs = space.sample(1, np.random.default_rng(0))
    assert back.sample(1, np.random.default_rng(0)) == archs
    assert back.encode(archs).tolist() == space.encode(archs).tolist()


def test_json_says_all_that_counts(cells):
    data = cells.to_json()
    assert list(data) == ["name", "version", "parameters", "constraints"]
    assert data["constraints"] == ["depth * width <= 256", "last <= width"]
    assert data["parameters"][6] == {
        "name": "last",
        "type": "int",
        "low": 8,
        "high": 64,
        "when": {"depth": [3, 4], "block": ["conv", "mbconv"]},
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"parameters": None}, "no search space"),
        ({"parameters": [{"type": "int", "low": 1, "high": 2}]}, "no search space"),
        ({"parameters": [{"name": "a", "type": "integer"}]}, "unknown type 'integer'"),
        ({"parameters": [{"name": "a", "type": ["int"]}]}, "unknown type ['int']"),
        ({"parameters": [{"name": "a", "type": "int", "low": 1}]}, "'a': high missing"),
        (
            {"parameters": [{"name": "a", "type": "int", "lo": 1, "high": 2}]},
            "unknown field 'lo' (did you mean 'low'?)",
        ),
        ({"parameters": []}, "the space is empty"),
        ({"constraints": 3}, "no search space"),
        ({"constraints": ["a"]}, "unknown name 'a'"),
        ({"name": 3}, "the name of a space is 3"),
    ],
)
def test_what_is_no_space_is_refused(cells, change, said):
    with pytest.raises(SpaceError) as caught:
        SearchSpace.from_json({**cells.to_json(), **change})
    assert said in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(("name", "version"), [("", "1"), ("  ", "1"), (None, "1"), ("s", ""), ("s", 1)])
def test_a_space_has_a_name_and_a_version(name, version):
    with pytest.raises(SpaceError, match="of a space is"):
        SearchSpace(name, PARAMETERS, version=version)


def test_equal_spaces_are_equal_whatever_makes_their_networks():
    assert SearchSpace("s", PARAMETERS, graph=graph_of) == SearchSpace("s", PARAMETERS)
    assert SearchSpace("s", PARAMETERS) != SearchSpace("t", PARAMETERS)
    assert SearchSpace("s", PARAMETERS) != SearchSpace("s", PARAMETERS, version="2")
    assert SearchSpace("s", PARAMETERS) != SearchSpace("s", PARAMETERS[::-1])
    assert SearchSpace("s", PARAMETERS) != SearchSpace("s", PARAMETERS, ["depth <= 3"])
    assert SearchSpace("s", PARAMETERS) != "s"


def test_a_space_travels_between_processes_with_its_networks():
    space = SearchSpace("s", PARAMETERS, [Constraint("depth <= 3")], "2", graph=graph_of, build=module_of)
    for other in (copy.deepcopy(space), pickle.loads(pickle.dumps(space))):  # noqa: S301 -- it is our own
        assert other == space
        arch = other.architecture({"depth": 2, "block": "conv"})
        assert len(other.graph(arch).nodes) == 2
        assert len(other.build(arch)) == 2


def test_more_constraints_leave_the_ids_as_they_are(rng):
    space = SearchSpace("s", PARAMETERS, graph=graph_of)
    bound = space.with_constraints("depth <= 2", Constraint("block == 'conv'"))
    assert bound.size == 2
    assert set(bound.sample(2, rng)) <= set(space.sample(8, rng))
    assert bound.graph(bound.sample(1, rng)[0]).name == "tiny"
    assert space.size == 8


def test_graphs_and_modules():
    space = SearchSpace("s", PARAMETERS, graph=graph_of, build=module_of)
    arch = space.architecture({"depth": 1, "block": "conv"})
    assert space.has_graph
    assert len(space.graph(arch).nodes) == 1
    assert len(space.build(arch)) == 1


@pytest.mark.parametrize(("made", "kind"), [("graph", "Graph"), ("build", "Module")])
def test_a_function_that_makes_something_else_is_told_so(made, kind):
    space = SearchSpace("s", PARAMETERS, **{made: lambda arch: None})
    with pytest.raises(SpaceError, match=rf"made NoneType, and not a .*\.{kind}$"):
        getattr(space, made)(space.architecture({"depth": 1, "block": "conv"}))


def test_a_space_without_networks_says_what_to_do():
    space = SearchSpace("s", PARAMETERS)
    arch = space.architecture({"depth": 1, "block": "conv"})
    assert not space.has_graph
    with pytest.raises(SpaceError, match="makes no graphs"):
        space.graph(arch)
    with pytest.raises(SpaceError, match="makes no networks"):
        space.build(arch)


def test_a_function_that_fails_names_the_architecture():
    space = SearchSpace("s", PARAMETERS, graph=graph_of)
    with pytest.raises(
        SpaceError, match=r"cannot make the network of \{'depth': 4, 'block': 'pool'\}: KeyError: 'stage4'"
    ):
        space.graph(space.architecture({"depth": 4, "block": "pool"}))
    with pytest.raises(NetworkError, match="three layers do not fit"):
        space.graph(space.architecture({"depth": 3, "block": "pool"}))
    with pytest.raises(SpaceError, match="is of space 't'"):
        space.graph(Architecture("t", "1", {"depth": 1}))


def test_a_module_is_made_of_the_graph_where_there_is_no_other_way(rng):
    from hwnas.network import reference_graph

    space = SearchSpace("s", PARAMETERS, graph=lambda arch: reference_graph())
    module = space.build(space.sample(1, rng)[0])
    assert sum(parameter.numel() for parameter in module.parameters()) == reference_graph().params


def test_a_space_shows_itself_briefly():
    assert repr(SearchSpace("s", [Float("x", 0, 1)])) == "SearchSpace('s', 1 parameters, version='1')"
