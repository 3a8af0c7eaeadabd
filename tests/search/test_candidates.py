import numpy as np
import pytest
import torch

from hwnas.search import _candidates as module
from hwnas.search._candidates import Pool, first_candidates
from hwnas.search._paths import Projection
from hwnas.space import Categorical, Int, SearchSpace


class Height:
    """Stands for an acquisition: the value of a row is a function of it, and chosen rows are remembered."""

    def __init__(self, height):
        self.height = height
        self.chosen = []
        self.looked_at = 0

    def project(self, X):
        self.looked_at += len(X)
        return [Projection(X, X.T[None], X.T[None], X.T[None], X.T)]

    def log_value(self, projections):
        return self.height(projections[0].X)

    def add(self, projections, chosen):
        self.chosen.append(projections[0].X[chosen])
        return projections


@pytest.fixture
def hill():
    """A space of 8 ints and a height with one top, at 40 in each; a pool seldom has it."""
    space = SearchSpace("hill", [Int(f"x{place}", 0, 100) for place in range(8)])
    return space, Height(lambda X: -(X - 0.4).abs().sum(dim=1))


def test_the_first_candidates_are_distinct_valid_and_unseen(space, rng):
    front = space.sample(3, rng)
    seen = {arch.id for arch in front} | {arch.id for arch in space.neighbours(front[0], rng)[:5]}
    found, near = first_candidates(space, front, 64, rng, seen)
    assert [arch.id in near for arch in found] == [False] * 64 + [True] * (len(found) - 64)
    assert len({arch.id for arch in found}) == len(found) > 64 + 40
    assert not {arch.id for arch in found} & seen
    for arch in found:
        space.validate(arch.values)


def test_wide_mutations_are_part_a_good_trial_and_part_anything(space, rng):
    front = space.sample(2, rng)
    narrow, _ = first_candidates(space, front, 16, np.random.default_rng(1), ())
    found, near = first_candidates(space, front, 16, np.random.default_rng(1), (), wide=True)
    assert found[: len(narrow)] == narrow
    added = found[len(narrow) :]
    assert len(added) >= 8
    assert {arch.id for arch in added} <= near
    for arch in added:
        space.validate(arch.values)
    apart = [
        min(sum(arch[name] != one[name] for name in arch.values if name in one.values) for one in front)
        for arch in added
    ]
    assert max(apart) >= 3


def test_local_search_finds_what_the_pool_does_not_have(hill, rng):
    space, height = hill
    candidates = space.sample(32, rng)
    pool = Pool(space, height, candidates, set(), rng)
    start = height.log_value(height.project(torch.as_tensor(space.encode(candidates)))).max()
    best, value = pool.choose()
    assert value > start + 0.3
    for neighbour in space.neighbours(best, np.random.default_rng(5)):
        around = height.log_value(height.project(torch.as_tensor(space.encode([neighbour]))))
        assert float(around) <= value + 0.05
    assert pool.valued > 32


def test_what_cannot_be_among_the_best_is_not_valued_again(hill, rng):
    space, height = hill
    candidates = space.sample(1024, rng)
    pool = Pool(space, height, candidates, set(), rng)
    assert (pool._refreshed() == pool._value(pool._projections)).all()
    pool.choose()
    before = pool.valued
    value = pool._refreshed()
    assert pool.valued - before <= 2 * module._BLOCK
    whole = pool._value(pool._projections)
    assert torch.equal(value.topk(4).indices, whole.topk(4).indices)


def test_only_some_steps_are_looked_at_where_there_are_many(rng):
    wide = SearchSpace("wide", [Int(f"x{place}", 0, 100) for place in range(80)])
    steps = wide.neighbours(wide.sample(1, rng)[0], rng)
    assert len(steps) > module._LOOKS
    some = module._some(steps, rng)
    assert len({arch.id for arch in some}) == module._LOOKS
    assert module._some(steps[:5], rng) == steps[:5]


def test_every_second_choice_is_one_beside_good_trials(hill, rng):
    space, height = hill
    candidates = space.sample(64, rng)
    near = {arch.id for arch in candidates[40:]}
    pool = Pool(space, height, candidates, set(), rng, near)
    chosen = [pool.choose()[0] for _ in range(8)]
    assert all(arch.id in near for arch in chosen[1::2])
    assert not any(arch.id in near for arch in chosen[::2])  # local search finds better ones
    heights = height.log_value(height.project(torch.as_tensor(space.encode(candidates[40:]))))
    best = height.log_value(height.project(torch.as_tensor(space.encode(chosen[1::2]))))
    assert best.tolist() == heights.topk(4).values.tolist()


def test_what_is_chosen_or_seen_is_not_chosen_again(hill, rng):
    space, height = hill
    candidates = space.sample(16, rng)
    seen = {arch.id for arch in space.sample(200, rng)}
    pool = Pool(space, height, candidates, seen, rng)
    chosen = [pool.choose()[0] for _ in range(12)]
    assert len({arch.id for arch in chosen}) == 12
    assert not {arch.id for arch in chosen} & seen
    assert len(height.chosen) == 12


def test_a_pool_is_used_up_to_the_last_architecture(rng):
    space = SearchSpace("tiny", [Int("x", 1, 3), Categorical("y", ("a", "b"))])
    whole = space.sample(6, rng)
    pool = Pool(space, Height(lambda X: X.sum(dim=1)), whole[:2], {whole[5].id}, rng)
    chosen = []
    while (pick := pool.choose()) is not None:
        chosen.append(pick[0].id)
    assert sorted(chosen) == sorted(arch.id for arch in whole[:5])


def test_the_pool_does_not_grow_without_end(hill, rng):
    space, height = hill
    pool = Pool(space, height, space.sample(24, rng), set(), rng)
    for _ in range(5):
        pool.choose()
        assert len(pool._architectures) == pool._projections[0].X.shape[0] == 24


def test_climbers_that_arrive_stop():
    a, b = object(), object()
    climbers = [(a, 1.0), (b, 2.0)]
    steps = ["up", "down", "higher", "hardly up"]
    assert module._climb(climbers, steps, [0, 1, 0, 1], [1.5, 1.9, 1.6, 2.01]) == [("higher", 1.6)]
