import doctest

import hwnas.space


def test_the_public_list_is_exact():
    public = {name for name in vars(hwnas.space) if not name.startswith("_")}
    builtin = {"digits", "nasbench201"}  # modules, there once they were asked for
    assert public - builtin == set(hwnas.space.__all__)
    assert hwnas.space.__all__ == sorted(hwnas.space.__all__)


def test_the_example_runs():
    assert doctest.testmod(hwnas.space).failed == 0
    assert doctest.testmod(hwnas.space).attempted > 0
