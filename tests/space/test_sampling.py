import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import qmc

from hwnas.errors import SpaceError
from hwnas.space import Categorical, Float, Int, Ordinal, SearchSpace

METHODS = pytest.mark.parametrize("method", ["sobol", "uniform"])


@METHODS
@given(data=st.data(), seed=st.integers(0, 2**32), n=st.integers(0, 40))
def test_samples_are_valid_distinct_new_and_repeatable(spaces, method, data, seed, n):
    space = data.draw(spaces(constrained=True))
    size = space.size
    n = n if size is None else min(n, size // 2)
    first = space.sample(n, np.random.default_rng(seed), method)
    assert len({arch.id for arch in first}) == len(first) == n
    for arch in first:
        space.validate(arch.values)
    assert space.sample(n, np.random.default_rng(seed), method) == first
    second = space.sample(n, np.random.default_rng(seed), method, exclude={arch.id for arch in first})
    assert len({arch.id for arch in [*first, *second]}) == 2 * n


@METHODS
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_a_finite_space_is_sampled_to_its_last_architecture(spaces, method, data, seed):
    space = data.draw(spaces(finite=True, constrained=True, most=4))
    archs = space.sample(space.size, np.random.default_rng(seed), method)
    assert len(set(archs)) == space.size
    ids = {arch.id for arch in archs}
    last = ids.pop()
    assert [arch.id for arch in space.sample(1, np.random.default_rng(seed), method, exclude=ids)] == [last]
    for n, exclude in ((space.size + 1, frozenset()), (2, ids)):
        with pytest.raises(SpaceError, match=f"holds {space.size if not exclude else 1} architectures"):
            space.sample(n, np.random.default_rng(seed), method, exclude)


def test_sobol_points_are_spread_more_evenly_than_uniform_ones(rng):
    space = SearchSpace("s", [Float(f"x{i}", 0, 1) for i in range(6)])
    spread = {
        method: np.mean([qmc.discrepancy(space.encode(space.sample(64, rng, method))) for _ in range(5)])
        for method in ("sobol", "uniform")
    }
    assert spread["sobol"] < 0.5 * spread["uniform"]


@METHODS
def test_every_architecture_of_a_space_without_conditions_is_equally_likely(method, rng):
    space = SearchSpace("s", [Int("a", 1, 3), Categorical("b", ("x", "y"))])
    counts = dict.fromkeys([arch.id for arch in space.sample(6, rng)], 0)
    for _ in range(600):
        counts[space.sample(1, rng, method)[0].id] += 1
    assert 60 < min(counts.values()) <= max(counts.values()) < 145  # 100 expected, 9 standard deviation


def test_a_space_of_a_hundred_parameters(rng):
    parameters = []
    for i in range(25):
        parameters += [
            Float(f"f{i}", 1e-4, 1, log=True),
            Int(f"i{i}", 8, 512, step=8),
            Categorical(f"c{i}", ("a", "b", "c")),
            Ordinal(f"o{i}", (1, 2, 3), when={f"c{i}": "a"}),
        ]
    space = SearchSpace("large", parameters, ["i0 <= i1", "f3 + f4 < 1.5"])
    archs = space.sample(200, rng)
    assert len(set(archs)) == 200
    assert space.decode(space.encode(archs)) == archs
    assert len(space.neighbours(archs[0], rng)) > 150
    assert len(space.perturb(archs[0], rng, 50)) == 50


def test_constraints_that_hardly_ever_hold_are_named_with_the_counts(rng):
    space = SearchSpace("s", [Float("a", 0, 1), Float("b", 0, 1), Int("c", 1, 9)], ["a + b < 1e-9", "c < 9"])
    with pytest.raises(SpaceError) as caught:
        space.sample(2, rng)
    assert "found 0 of 2 architectures in space 's': of 10400 points tried 0 were valid" in caught.value.message
    assert "'a + b < 1e-9' fails most often, at 10400" in caught.value.message
    assert "loosen the constraints" in caught.value.hint


def test_fewer_will_do_where_that_is_said(rng):
    space = SearchSpace("s", [Float("a", 0, 1), Float("b", 0, 1), Float("c", 0, 1)], ["a + b + c < 0.15"])
    with pytest.raises(SpaceError, match=r"found \d+ of 400 architectures"):
        space.sample(400, np.random.default_rng(0))
    some = space.sample(400, np.random.default_rng(0), at_most=True)
    assert 20 < len(some) < 400
    assert len(set(some)) == len(some)
    with pytest.raises(SpaceError, match="found 0 of 2"):
        SearchSpace("s", [Float("a", 0, 1)], ["a > 2"]).sample(2, rng, at_most=True)


def test_a_sequence_that_goes_on_where_it_ended_never_comes_to_an_end():
    space = SearchSpace("s", [Float("a", 0, 1), Float("b", 0, 1)], ["a * b > 0.9"])
    seen = {}
    for _ in range(40):  # about two of a thousand points are valid, and 10,400 are tried at a time
        seen |= {arch.id: arch for arch in space.sample(2, np.random.default_rng(0), exclude=frozenset(seen))}
    assert len(seen) == 80


def test_a_space_that_holds_nothing_says_so(rng):
    space = SearchSpace("s", [Int("a", 1, 3)], ["a > 3"])
    assert space.size == 0
    assert space.sample(0, rng) == []
    with pytest.raises(SpaceError, match="holds 0 architectures"):
        space.sample(1, rng)


def test_what_is_left_of_a_large_finite_space_is_found(rng):
    space = SearchSpace("s", [Int(f"p{i}", 0, 9) for i in range(4)])
    ids = {arch.id for arch in space.sample(9990, rng)}
    assert len(space.sample(10, rng, exclude=ids)) == 10


def test_a_rare_but_listable_valid_architecture_is_found(rng):
    space = SearchSpace("s", [Int(f"p{i}", 0, 9) for i in range(4)], ["p0 + p1 + p2 + p3 >= 36"])
    assert dict(space.sample(1, rng)[0].values) == {f"p{i}": 9 for i in range(4)}


@pytest.mark.parametrize(("n", "method", "said"), [(1, "halton", "unknown sampling method"), (-1, "sobol", "-1")])
def test_wrong_questions_are_refused(cells, rng, n, method, said):
    with pytest.raises(SpaceError, match=said):
        cells.sample(n, rng, method)
