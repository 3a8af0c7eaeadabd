"""How long it would take: cost models, the latency predictor, and its adaptation to a new device.

`LatencyPredictor(featuriser).fit(table)` learns from the devices of a `LatencyTable`. `suggest_support` names the
architectures to measure on a new device, `adapt` makes a `DevicePredictor` of about ten measurements, and its
`predict` gives milliseconds with their doubt. `HelpPredictor` and the models of `_baselines` are there to compare
with; everything that predicts is a `CostModel`.
"""

from typing import TYPE_CHECKING, Any

from hwnas.predictor._adapt import Adaptation, adapt_by_measuring
from hwnas.predictor._anywhere import AnyNetworkPredictor
from hwnas.predictor._baselines import GaussianProcessModel, LookupTable, MeasuredDevice, ProxyModel, RidgeModel
from hwnas.predictor._cells import CellFeaturiser, cell_graphs, parse_cells
from hwnas.predictor._corpus import Corpus, gather
from hwnas.predictor._device_predictor import DevicePredictor
from hwnas.predictor._doubt import doubtful
from hwnas.predictor._fbnet import FbnetFeaturiser
from hwnas.predictor._features import FeatureBlocks, Featuriser, MatrixFeaturiser
from hwnas.predictor._figures import NetworkFigures
from hwnas.predictor._graph_features import GraphFeaturiser
from hwnas.predictor._ideal import graph_costs, ideal_predictor
from hwnas.predictor._latency_predictor import LatencyPredictor
from hwnas.predictor._library import PredictorLibrary, load_device_predictor, save_device_predictor
from hwnas.predictor._likeness import DeviceMap, device_map
from hwnas.predictor._model import CostModel, Prediction
from hwnas.predictor._onnx_steps import onnx_network
from hwnas.predictor._operation_table import (
    OperationTable,
    measure_operations,
    nearly_nothing,
    operation_name,
    operations_of,
)
from hwnas.predictor._scores import Curve, Scores, hold_out, reference_curve, without_support
from hwnas.predictor._space_features import SpaceFeaturiser, featuriser_of, graph_features
from hwnas.predictor._stored import StoredPredictor
from hwnas.predictor._table import LatencyTable
from hwnas.predictor._table_import import ImportedTable, import_table
from hwnas.predictor._train import train_predictor
from hwnas.predictor._training_space import TrainingSpace

if TYPE_CHECKING:
    from hwnas.predictor._help import HelpDevice, HelpPredictor
    from hwnas.predictor._help_network import CellGraphs

__all__ = [
    "Adaptation",
    "AnyNetworkPredictor",
    "CellFeaturiser",
    "CellGraphs",
    "Corpus",
    "CostModel",
    "Curve",
    "DeviceMap",
    "DevicePredictor",
    "FbnetFeaturiser",
    "FeatureBlocks",
    "Featuriser",
    "GaussianProcessModel",
    "GraphFeaturiser",
    "HelpDevice",
    "HelpPredictor",
    "ImportedTable",
    "LatencyPredictor",
    "LatencyTable",
    "LookupTable",
    "MatrixFeaturiser",
    "MeasuredDevice",
    "NetworkFigures",
    "OperationTable",
    "Prediction",
    "PredictorLibrary",
    "ProxyModel",
    "RidgeModel",
    "Scores",
    "SpaceFeaturiser",
    "StoredPredictor",
    "TrainingSpace",
    "adapt_by_measuring",
    "cell_graphs",
    "device_map",
    "doubtful",
    "featuriser_of",
    "gather",
    "graph_costs",
    "graph_features",
    "hold_out",
    "ideal_predictor",
    "import_table",
    "load_device_predictor",
    "measure_operations",
    "nearly_nothing",
    "onnx_network",
    "operation_name",
    "operations_of",
    "parse_cells",
    "reference_curve",
    "save_device_predictor",
    "train_predictor",
    "without_support",
]

_LAZY = {"HelpPredictor": "_help", "HelpDevice": "_help", "CellGraphs": "_help_network"}  # these need torch


def __getattr__(name: str) -> Any:
    """Import what needs torch only when it is asked for."""
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f"hwnas.predictor.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
