"""Low conformers of a molecule by a network, their populations, and the strain of a pose."""

from typing import TYPE_CHECKING

from nnpmm.core.lazy import lazy_names

if TYPE_CHECKING:
    from nnpmm.conformers.distance_geometry import etkdg_conformers
    from nnpmm.conformers.ensemble import Ensemble, populations
    from nnpmm.conformers.generation import count_for, generate, systematic_conformers
    from nnpmm.conformers.gibbs import GibbsReference, gibbs_reference, gibbs_score
    from nnpmm.conformers.harmonic import thermal_correction
    from nnpmm.conformers.monte_carlo import monte_carlo_conformers
    from nnpmm.conformers.pose import match_pose, read_pose
    from nnpmm.conformers.potentials import FlatBottom, SumPotential, bind_implicit_water
    from nnpmm.conformers.screening import relax_by_force_field
    from nnpmm.conformers.settings import ConformerSettings
    from nnpmm.conformers.strain import relax_pose, strain_of
    from nnpmm.conformers.symmetry import SymmetricRmsd, distinct
    from nnpmm.conformers.workflow import ConformerResult, run_conformers

__all__ = [
    "ConformerResult",
    "ConformerSettings",
    "Ensemble",
    "FlatBottom",
    "GibbsReference",
    "SumPotential",
    "SymmetricRmsd",
    "bind_implicit_water",
    "count_for",
    "distinct",
    "etkdg_conformers",
    "generate",
    "gibbs_reference",
    "gibbs_score",
    "match_pose",
    "monte_carlo_conformers",
    "populations",
    "read_pose",
    "relax_by_force_field",
    "relax_pose",
    "run_conformers",
    "strain_of",
    "systematic_conformers",
    "thermal_correction",
]

lazy_names(
    __name__,
    {
        "ConformerResult": "nnpmm.conformers.workflow",
        "ConformerSettings": "nnpmm.conformers.settings",
        "Ensemble": "nnpmm.conformers.ensemble",
        "FlatBottom": "nnpmm.conformers.potentials",
        "GibbsReference": "nnpmm.conformers.gibbs",
        "SumPotential": "nnpmm.conformers.potentials",
        "SymmetricRmsd": "nnpmm.conformers.symmetry",
        "bind_implicit_water": "nnpmm.conformers.potentials",
        "count_for": "nnpmm.conformers.generation",
        "distinct": "nnpmm.conformers.symmetry",
        "etkdg_conformers": "nnpmm.conformers.distance_geometry",
        "generate": "nnpmm.conformers.generation",
        "gibbs_reference": "nnpmm.conformers.gibbs",
        "gibbs_score": "nnpmm.conformers.gibbs",
        "match_pose": "nnpmm.conformers.pose",
        "monte_carlo_conformers": "nnpmm.conformers.monte_carlo",
        "populations": "nnpmm.conformers.ensemble",
        "read_pose": "nnpmm.conformers.pose",
        "relax_by_force_field": "nnpmm.conformers.screening",
        "relax_pose": "nnpmm.conformers.strain",
        "run_conformers": "nnpmm.conformers.workflow",
        "strain_of": "nnpmm.conformers.strain",
        "systematic_conformers": "nnpmm.conformers.generation",
        "thermal_correction": "nnpmm.conformers.harmonic",
    },
)
