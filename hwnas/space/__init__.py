"""What may be searched: parameters, conditions and constraints; architectures and how they become numbers.

A space is written in Python, in TOML, or taken by name:

>>> import numpy as np
>>> from hwnas.space import Categorical, Int, SearchSpace
>>> space = SearchSpace("cells", [Int("depth", 1, 4), Categorical("op", ("conv", "pool"))])
>>> len(space.sample(3, np.random.default_rng(0)))
3
"""

from hwnas.space._architecture import Architecture
from hwnas.space._choice import Categorical, Ordinal
from hwnas.space._config import SpaceConfig, builtin_spaces, get_space, load_space, space_from_config
from hwnas.space._constraint import Constraint
from hwnas.space._encoding import Column
from hwnas.space._number import Float, Int
from hwnas.space._parameter import Parameter
from hwnas.space._space import SearchSpace

__all__ = [
    "Architecture",
    "Categorical",
    "Column",
    "Constraint",
    "Float",
    "Int",
    "Ordinal",
    "Parameter",
    "SearchSpace",
    "SpaceConfig",
    "builtin_spaces",
    "get_space",
    "load_space",
    "space_from_config",
]
