"""Potentials: their common protocol, their implementations, and loading by name or file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnpmm.core.lazy import lazy_names

if TYPE_CHECKING:
    from nnpmm.models.charges import FunctionCharges
    from nnpmm.models.emle import EmleCharges, load_emle
    from nnpmm.models.family import ModelFamily
    from nnpmm.models.function import FunctionModel
    from nnpmm.models.ignoring_charge import IgnoringCharge
    from nnpmm.models.minimum import find_minimum
    from nnpmm.models.model_file import ModelFile, read_model_file
    from nnpmm.models.openmm_ml import OpenmmMlModel
    from nnpmm.models.openmm_potential import OpenMMPotential
    from nnpmm.models.preparation import Prepared, prepare_nnp
    from nnpmm.models.protocol import BatchEvaluation, Evaluation, Evaluator, Potential
    from nnpmm.models.registry import families, find_family, load_model
    from nnpmm.models.torchscript import TorchScriptModel

__all__ = [
    "BatchEvaluation",
    "EmleCharges",
    "Evaluation",
    "Evaluator",
    "FunctionCharges",
    "FunctionModel",
    "IgnoringCharge",
    "ModelFamily",
    "ModelFile",
    "OpenMMPotential",
    "OpenmmMlModel",
    "Potential",
    "Prepared",
    "TorchScriptModel",
    "families",
    "find_family",
    "find_minimum",
    "load_emle",
    "load_model",
    "prepare_nnp",
    "read_model_file",
]

lazy_names(
    __name__,
    {
        "BatchEvaluation": "nnpmm.models.protocol",
        "EmleCharges": "nnpmm.models.emle",
        "Evaluation": "nnpmm.models.protocol",
        "Evaluator": "nnpmm.models.protocol",
        "FunctionCharges": "nnpmm.models.charges",
        "FunctionModel": "nnpmm.models.function",
        "IgnoringCharge": "nnpmm.models.ignoring_charge",
        "ModelFamily": "nnpmm.models.family",
        "ModelFile": "nnpmm.models.model_file",
        "OpenMMPotential": "nnpmm.models.openmm_potential",
        "OpenmmMlModel": "nnpmm.models.openmm_ml",
        "Potential": "nnpmm.models.protocol",
        "Prepared": "nnpmm.models.preparation",
        "TorchScriptModel": "nnpmm.models.torchscript",
        "families": "nnpmm.models.registry",
        "find_family": "nnpmm.models.registry",
        "find_minimum": "nnpmm.models.minimum",
        "load_emle": "nnpmm.models.emle",
        "load_model": "nnpmm.models.registry",
        "prepare_nnp": "nnpmm.models.preparation",
        "read_model_file": "nnpmm.models.model_file",
    },
)
