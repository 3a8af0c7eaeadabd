import json

import numpy as np
import pytest

from hwnas.errors import HwnasError, PredictorError
from hwnas.predictor import (
    GraphFeaturiser,
    LatencyPredictor,
    LatencyTable,
    PredictorLibrary,
    SpaceFeaturiser,
    load_device_predictor,
    save_device_predictor,
)
from hwnas.space import SearchSpace, get_space

DEVICES = ("one", "two", "three")


@pytest.fixture(scope="module")
def known():
    """Return 60 architectures of digits, their features, and latencies on four made-up devices."""
    space = get_space("digits")
    archs = space.sample(60, np.random.default_rng(3))
    blocks = SpaceFeaturiser(space)(archs)
    totals = blocks.blocks["totals"] / blocks.blocks["totals"].mean(0)
    rng = np.random.default_rng(4)
    y = 0.05 + totals[:, :5] @ rng.gamma(2.0, 0.1, (5, 4)) * np.exp(0.02 * rng.standard_normal((60, 4)))
    return space, archs, blocks, y


@pytest.fixture(scope="module")
def trained(known):
    space, archs, blocks, y = known
    table = LatencyTable(tuple(archs), DEVICES, y[:, :3])
    main = LatencyPredictor(SpaceFeaturiser(space), scale_vectors=64).fit(table, blocks)
    from hwnas.predictor._graph_features import graph_part

    return main, LatencyPredictor(GraphFeaturiser(), scale_vectors=64).fit(table, graph_part(blocks))


def told(space, source="digits"):
    return {
        "space": {
            "name": space.name,
            "version": space.version,
            "source": source,
            "definition": space.to_json(),
            "graph": space.has_graph,
        },
        "metric": "p99_ms",
    }


@pytest.fixture
def stored(workspace, known, trained):
    return PredictorLibrary(workspace).add("first", *trained, told(known[0]))


@pytest.fixture
def adapted(workspace, stored, known, trained):
    from hwnas.predictor._graph_features import graph_part

    _, archs, blocks, y = known
    rows = trained[0].suggest_support(10, blocks)
    made = trained[0].adapt([archs[i] for i in rows], y[rows, 3], sigma_log=np.full(10, 0.05), device="new")
    save_device_predictor(workspace, "first", made, graph=graph_part(blocks[rows]), record={"metric": "p99_ms"})
    return made


def test_a_kept_device_predicts_as_before_after_any_restart(workspace, known, adapted):
    archs = known[1]
    loaded = load_device_predictor(workspace, "first", "new")
    before, after = adapted.predict(archs), loaded.predict(archs)
    np.testing.assert_array_equal(before.mean_ms, after.mean_ms)
    np.testing.assert_array_equal(before.std_ms, after.std_ms)
    assert loaded.next_support(archs) == adapted.next_support(archs)
    record = json.loads((workspace.predictors / "first" / "devices" / "new.json").read_text())
    assert (record["measurements"], record["metric"], record["device"]) == (10, "p99_ms", "new")


def test_the_same_device_predicts_any_network(workspace, known, adapted):
    space, archs, _, y = known
    anywhere = PredictorLibrary(workspace).get("first").any_network("new")
    found = anywhere.predict([space.graph(arch) for arch in archs])
    assert np.corrcoef(found.mean_ms, y[:, 3])[0, 1] > 0.9


def test_no_pickle_and_no_half_file_is_left(workspace, adapted):
    folder = workspace.predictors / "first"
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".npz", ".json"}
    assert not [path for path in workspace.predictors.iterdir() if path.name.startswith(".")]
    for path in files:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                assert {array.dtype.kind for array in arrays.values()} <= {"f", "i", "u", "b"}


def test_training_again_keeps_the_devices_where_the_features_are_the_same(workspace, known, trained, adapted):
    library = PredictorLibrary(workspace)
    with pytest.raises(PredictorError, match="there is a predictor 'first' already"):
        library.add("first", *trained, told(known[0]))
    again = library.add("first", *trained, told(known[0]), replace=True)
    assert again.devices() == ["new"]
    other = library.add("first", trained[1], None, told(known[0]), replace=True)
    assert other.devices() == []


@pytest.mark.parametrize("damage", ["card.json", "predictor.npz", "devices/new.npz"])
@pytest.mark.parametrize("how", ["cut", "flip", "empty"])
def test_a_damaged_file_is_one_clear_error(workspace, adapted, damage, how):
    path = workspace.predictors / "first" / damage
    content = path.read_bytes()
    middle = len(content) // 2
    broken = {
        "cut": content[:middle],
        "flip": content[:middle] + bytes(byte ^ 255 for byte in content[middle : middle + 40]) + content[middle + 40 :],
        "empty": b"",
    }[how]
    path.write_bytes(broken)
    with pytest.raises(PredictorError, match="damaged") as caught:
        load_device_predictor(workspace, "first", "new")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "device", "words"),
    [
        ("frist", "new", r"no predictor 'frist' \(did you mean 'first'\?\)"),
        ("../first", "new", "not a name"),
        ("first", "mew", r"not adapted to device 'mew' \(did you mean 'new'\?\)"),
        ("first", "../../x", "not adapted to device"),
    ],
)
def test_what_is_not_there_is_said(workspace, adapted, name, device, words):
    with pytest.raises(PredictorError, match=words):
        load_device_predictor(workspace, name, device)


def test_another_space_is_refused(workspace, known, adapted):
    digits = known[0]
    newer = SearchSpace("digits", digits.parameters, version="2")
    with pytest.raises(PredictorError, match="not of 'digits', version '2'"):
        load_device_predictor(workspace, "first", "new", space=newer)
    bare = SearchSpace("digits", digits.parameters)
    with pytest.raises(PredictorError, match="makes none"):
        load_device_predictor(workspace, "first", "new", space=bare)


def test_a_space_of_the_users_own_code_has_to_be_given(workspace, known, trained):
    digits = known[0]
    stored = PredictorLibrary(workspace).add("own", *trained, told(digits, "space.py:space"))
    with pytest.raises(PredictorError, match="your own code") as caught:
        stored.main()
    assert "--space space.py:space" in caught.value.hint
    assert stored.main(digits).devices_ == DEVICES


def test_a_device_keeps_no_bad_name(stored, known, trained):
    _, archs, _, y = known
    made = trained[0].adapt(archs[:5], y[:5, 3], device="../evil")
    with pytest.raises(HwnasError, match="not a name"):
        stored.keep(made, record={})
