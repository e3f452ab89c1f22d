"""A leg of a thermodynamic cycle: the ladder of one potential, from settings to report."""

from nnpmm.freeenergy.legs.compression import BOX, compressed_box
from nnpmm.freeenergy.legs.folder import (
    claim_folder,
    fingerprint,
    keep_parameters,
    leg_directory,
)
from nnpmm.freeenergy.legs.repeats import Announce, Ladder, sample_repeats, write_energies
from nnpmm.freeenergy.legs.report import add_leg, convergence_warning, depict, text_in_kcal
from nnpmm.freeenergy.legs.result import (
    JointValues,
    LegResult,
    combine_repeats,
    in_both_units,
    ladders_record,
    mean_density,
    minus,
    solve_leg,
    split_joint,
)
from nnpmm.freeenergy.legs.sampling import (
    Leg,
    Report,
    create_leg_system,
    create_simulation,
    load_network,
    require_network,
    require_network_of_ions,
    sample_leg,
)
from nnpmm.freeenergy.legs.settings import (
    INSIDE,
    POTENTIALS,
    JointSettings,
    LadderName,
    LadderSettings,
    LegTimes,
    PotentialName,
    SamplingSettings,
)

__all__ = [
    "BOX",
    "INSIDE",
    "POTENTIALS",
    "Announce",
    "JointSettings",
    "JointValues",
    "Ladder",
    "LadderName",
    "LadderSettings",
    "Leg",
    "LegResult",
    "LegTimes",
    "PotentialName",
    "Report",
    "SamplingSettings",
    "add_leg",
    "claim_folder",
    "combine_repeats",
    "compressed_box",
    "convergence_warning",
    "create_leg_system",
    "create_simulation",
    "depict",
    "fingerprint",
    "in_both_units",
    "keep_parameters",
    "ladders_record",
    "leg_directory",
    "load_network",
    "mean_density",
    "minus",
    "require_network",
    "require_network_of_ions",
    "sample_leg",
    "sample_repeats",
    "solve_leg",
    "split_joint",
    "text_in_kcal",
    "write_energies",
]
