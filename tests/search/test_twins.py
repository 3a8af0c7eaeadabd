from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hwnas.search import Objective, SaasSettings
from hwnas.search._candidates import Pool
from hwnas.search._inputs import inputs_of
from hwnas.search._models import fit_models
from hwnas.search._twins import Twins
from hwnas.space import Float, Int, SearchSpace, get_space

SETTINGS = SaasSettings(fit="map", members=2, mc_samples=8, candidates=64)
ERROR = Objective("error", "minimize")


@pytest.fixture
def six():
    return SearchSpace("six", [*(Float(f"x{place}", 0.0, 1.0) for place in range(5)), Int("size", 1, 9)])


@pytest.fixture
def trials(six, made_up, rng):
    """Sixty trials whose error depends on two of the six parameters."""

    def error(arch):
        return (arch["x1"] - 0.4) ** 2 + 0.02 * arch["size"]

    return [made_up.trial(number, arch, {"error": error(arch)}) for number, arch in enumerate(six.sample(60, rng))]


@pytest.fixture
def models(six, trials):
    return fit_models(six, [ERROR], trials, SETTINGS, None, np.random.default_rng(0))


def of(six, **values):
    return six.architecture({"x0": 0.5, "x1": 0.4, "x2": 0.5, "x3": 0.5, "x4": 0.5, "size": 1} | values)


def test_twins_agree_in_what_matters_and_a_few_are_as_good_as_any(six, models):
    tried = [of(six, x0=0.1), of(six, x2=0.9), of(six, x1=0.3)]
    asked = models.points.rows([of(six, x4=0.0), of(six, x1=0.41, x3=1.0), of(six, x1=0.5), of(six, size=2)])
    twins = Twins(models, tried)
    assert not twins.discount(asked).any()
    twins.add(models.points.rows([of(six, x3=0.2)]))
    assert (twins.discount(asked) > 0).tolist() == [True, True, False, False]
    assert twins.discount(asked[:0]).shape == (0,)


def test_what_is_computed_of_them_tells_twins_apart(six, models):
    """Where costs are computed, they stand behind the encoding."""
    points = SimpleNamespace(d=6, computed=1, inputs=six, rows=lambda found: torch.stack([row for row, _ in found]))
    rows = [torch.cat([models.points.rows([of(six)])[0], torch.tensor([cost])]) for cost in (0.0, 0.0, 0.0, 1.0)]
    twins = Twins(SimpleNamespace(outcomes=models.outcomes, points=points), [(row, None) for row in rows[:3]])
    assert (twins.discount(torch.stack(rows)) > 0).tolist() == [True, True, True, False]


def test_twins_have_the_same_network(made_up, rng):
    """Cells whose choices matter little to the models, for figures of the network say more."""
    cells = get_space("nasbench201")
    inputs, _ = inputs_of(cells)
    found = cells.sample(40, rng)
    figures = inputs.encode(found)[:, cells.dim :]
    told = [
        made_up.trial(n, arch, {"error": float(row.sum())})
        for n, (arch, row) in enumerate(zip(found, figures, strict=True))
    ]
    models = fit_models(inputs, [ERROR], told, SETTINGS, None, rng)
    rows = models.points.rows(found)
    same = (figures[:, None] == figures).all(axis=2)
    for place, row in enumerate(rows):
        others = [arch for arch, alike in zip(found, same[place], strict=True) if not alike]
        assert not Twins(models, others).discount(row[None]).any()
        assert Twins(models, [found[place]] * 3).discount(row[None]) > 0


def test_nothing_has_a_twin_while_everything_may_matter(six, made_up, rng):
    """Noise alone: no column stands out."""
    architectures = six.sample(12, rng)
    noise = [made_up.trial(n, arch, {"error": float(rng.normal())}) for n, arch in enumerate(architectures)]
    models = fit_models(six, [ERROR], noise, SETTINGS, None, np.random.default_rng(0))
    tried = [of(six, x0=x0) for x0 in (0.1, 0.3, 0.5, 0.7)]
    assert not Twins(models, tried).discount(models.points.rows([of(six, x0=0.9)])).any()


def test_a_pool_gives_way_to_others_and_takes_twins_where_there_is_nothing_else(six, models, rng):
    class Lowest:
        """Stands for an acquisition that wants the least of `x1`, and likes what does not matter."""

        def project(self, X):
            from hwnas.search._paths import Projection

            return [Projection(X, X.T[None], X.T[None], X.T[None], X.T)]

        def log_value(self, projections):
            X = projections[0].X
            return -(X[:, 1] - 0.4).abs() * 10 + X[:, 0]

        def add(self, projections, _chosen):
            return projections

    alike = [of(six, x0=x0) for x0 in np.linspace(0.0, 0.9, 10)]
    other = [of(six, x0=0.0, x1=0.6), of(six, x0=0.0, x1=0.7)]
    pool = Pool(six, Lowest(), [*alike, *other], set(), rng, points=models.points, twins=Twins(models, []))
    pool._search = lambda value: value  # the members alone
    chosen = [pool.choose()[0] for _ in range(12)]
    assert {arch.id for arch in chosen[:3]} <= {arch.id for arch in alike}
    assert [arch.id for arch in chosen[3:5]] == [arch.id for arch in other]
    assert {arch.id for arch in chosen[5:]} <= {arch.id for arch in alike}
