"""Potentials: the protocol they share, ANI, and loading by name or file."""

from nnpmm.models.function import FunctionModel
from nnpmm.models.model_file import ModelFile, read_model_file
from nnpmm.models.openmm_ml import OpenmmMlModel
from nnpmm.models.openmm_potential import OpenMMPotential
from nnpmm.models.protocol import Evaluation, Evaluator, Potential
from nnpmm.models.registry import canonical_name, is_ani, load_model
from nnpmm.models.torchscript import TorchScriptModel

__all__ = [
    "Evaluation",
    "Evaluator",
    "FunctionModel",
    "ModelFile",
    "OpenMMPotential",
    "OpenmmMlModel",
    "Potential",
    "TorchScriptModel",
    "canonical_name",
    "is_ani",
    "load_model",
    "read_model_file",
]
