"""A leg of a thermodynamic cycle: the ladder of one potential, from settings to report."""

from nnpmm.freeenergy.legs.folder import (
    claim_folder,
    fingerprint,
    keep_parameters,
    leg_directory,
    write_leg_energies,
)
from nnpmm.freeenergy.legs.report import add_leg, convergence_warning, depict, text_in_kcal
from nnpmm.freeenergy.legs.result import (
    JointValues,
    LegResult,
    in_both_units,
    minus,
    solve_leg,
    split_joint,
)
from nnpmm.freeenergy.legs.sampling import (
    Leg,
    Report,
    create_leg_system,
    create_simulation,
    sample_leg,
)
from nnpmm.freeenergy.legs.settings import (
    POTENTIALS,
    JointSettings,
    LadderSettings,
    LegTimes,
    PotentialName,
    SamplingSettings,
)

__all__ = [
    "POTENTIALS",
    "JointSettings",
    "JointValues",
    "LadderSettings",
    "Leg",
    "LegResult",
    "LegTimes",
    "PotentialName",
    "Report",
    "SamplingSettings",
    "add_leg",
    "claim_folder",
    "convergence_warning",
    "create_leg_system",
    "create_simulation",
    "depict",
    "fingerprint",
    "in_both_units",
    "keep_parameters",
    "leg_directory",
    "minus",
    "sample_leg",
    "solve_leg",
    "split_joint",
    "text_in_kcal",
    "write_leg_energies",
]
