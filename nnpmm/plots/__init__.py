"""Pictures in one style: functions that take arrays and return a matplotlib Figure.

None of them saves or shows a figure; `nnpmm.plots.saving` writes one to files. matplotlib is
imported when the first name is asked for.
"""

from typing import TYPE_CHECKING

from nnpmm.core.lazy import lazy_names

if TYPE_CHECKING:
    from nnpmm.plots import style
    from nnpmm.plots.conformers import plot_conformers
    from nnpmm.plots.curves import (
        draw_profile,
        draw_time_series,
        plot_learning_curve,
        plot_profile,
        plot_radial_distributions,
        plot_time_series,
    )
    from nnpmm.plots.distributions import (
        Pairs,
        draw_groups,
        plot_histogram,
        plot_matrix,
        plot_parity,
    )
    from nnpmm.plots.free_energies import plot_convergence, plot_ladder, plot_overlap
    from nnpmm.plots.molecule import draw_molecule
    from nnpmm.plots.surfaces import plot_surface, plot_surface_convergence, plot_surface_profile
    from nnpmm.plots.torsions import plot_torsion_profiles
    from nnpmm.plots.trajectories import (
        Panel,
        Torsion,
        plot_contact_network,
        plot_differences,
        plot_fluctuations,
        plot_panels,
        plot_probabilities,
        plot_time_strips,
        plot_torsion_distributions,
        plot_torsions,
    )
    from nnpmm.plots.validation import ValidationPanel, plot_validation

__all__ = [
    "Pairs",
    "Panel",
    "Torsion",
    "ValidationPanel",
    "draw_groups",
    "draw_molecule",
    "draw_profile",
    "draw_time_series",
    "plot_conformers",
    "plot_contact_network",
    "plot_convergence",
    "plot_differences",
    "plot_fluctuations",
    "plot_histogram",
    "plot_ladder",
    "plot_learning_curve",
    "plot_matrix",
    "plot_overlap",
    "plot_panels",
    "plot_parity",
    "plot_probabilities",
    "plot_profile",
    "plot_radial_distributions",
    "plot_surface",
    "plot_surface_convergence",
    "plot_surface_profile",
    "plot_time_series",
    "plot_time_strips",
    "plot_torsion_distributions",
    "plot_torsion_profiles",
    "plot_torsions",
    "plot_validation",
    "style",
]

lazy_names(
    __name__,
    {
        "Pairs": "nnpmm.plots.distributions",
        "Panel": "nnpmm.plots.trajectories",
        "Torsion": "nnpmm.plots.trajectories",
        "ValidationPanel": "nnpmm.plots.validation",
        "plot_conformers": "nnpmm.plots.conformers",
        "plot_contact_network": "nnpmm.plots.trajectories",
        "plot_differences": "nnpmm.plots.trajectories",
        "plot_fluctuations": "nnpmm.plots.trajectories",
        "plot_panels": "nnpmm.plots.trajectories",
        "plot_probabilities": "nnpmm.plots.trajectories",
        "plot_time_strips": "nnpmm.plots.trajectories",
        "plot_torsion_distributions": "nnpmm.plots.trajectories",
        "plot_torsions": "nnpmm.plots.trajectories",
        "draw_groups": "nnpmm.plots.distributions",
        "draw_molecule": "nnpmm.plots.molecule",
        "draw_profile": "nnpmm.plots.curves",
        "draw_time_series": "nnpmm.plots.curves",
        "plot_convergence": "nnpmm.plots.free_energies",
        "plot_histogram": "nnpmm.plots.distributions",
        "plot_ladder": "nnpmm.plots.free_energies",
        "plot_learning_curve": "nnpmm.plots.curves",
        "plot_matrix": "nnpmm.plots.distributions",
        "plot_overlap": "nnpmm.plots.free_energies",
        "plot_parity": "nnpmm.plots.distributions",
        "plot_profile": "nnpmm.plots.curves",
        "plot_radial_distributions": "nnpmm.plots.curves",
        "plot_time_series": "nnpmm.plots.curves",
        "plot_surface": "nnpmm.plots.surfaces",
        "plot_surface_convergence": "nnpmm.plots.surfaces",
        "plot_surface_profile": "nnpmm.plots.surfaces",
        "plot_torsion_profiles": "nnpmm.plots.torsions",
        "plot_validation": "nnpmm.plots.validation",
        "style": "nnpmm.plots.style",
    },
)
