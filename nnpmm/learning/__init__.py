"""Regression on sequences of named features: data, splits, networks, training.

Nothing here knows what the features or the labels mean: labels, predictions and their errors share
one unit, whatever it is.
"""

from nnpmm.learning.cards import PARTS, DataSummary, ModelCard, TrainingSettings
from nnpmm.learning.data import LabelledSamples, checksum
from nnpmm.learning.ensembles import MODEL_FILE, Ensemble, load_ensemble, model_files
from nnpmm.learning.metrics import Calibration, Metrics, Report, compare, compare_errors, report
from nnpmm.learning.networks import (
    NetworkKind,
    NetworkSettings,
    create_network,
    feature_columns,
    size_factors,
)
from nnpmm.learning.scaling import MinMaxScaler, fit_scaler
from nnpmm.learning.splits import Split, make_split
from nnpmm.learning.training import Progress, TrainingResult, train
from nnpmm.learning.uncertainty import calibrate, raw_errors, split_frames

__all__ = [
    "MODEL_FILE",
    "PARTS",
    "Calibration",
    "DataSummary",
    "Ensemble",
    "LabelledSamples",
    "Metrics",
    "MinMaxScaler",
    "ModelCard",
    "NetworkKind",
    "NetworkSettings",
    "Progress",
    "Report",
    "Split",
    "TrainingResult",
    "TrainingSettings",
    "calibrate",
    "checksum",
    "compare",
    "compare_errors",
    "create_network",
    "feature_columns",
    "fit_scaler",
    "load_ensemble",
    "make_split",
    "model_files",
    "raw_errors",
    "report",
    "size_factors",
    "split_frames",
    "train",
]
