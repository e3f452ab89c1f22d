"""What a settings file may hold, and how it is read."""

from nnpmm.simulation.settings.config import (
    EnsembleConfig,
    MinimizeConfig,
    OutputConfig,
    PlatformConfig,
    ProtocolConfig,
    RegionConfig,
    RunConfig,
    StageConfig,
    StagesConfig,
    WarmupConfig,
    load_config,
    parse_config,
)
from nnpmm.simulation.settings.template import template
from nnpmm.structures.inputs.sources import (
    AmberSystem,
    BuildSystem,
    CharmmSystem,
    GromacsSystem,
    OpenmmSystem,
)

__all__ = [
    "AmberSystem",
    "BuildSystem",
    "CharmmSystem",
    "EnsembleConfig",
    "GromacsSystem",
    "MinimizeConfig",
    "OpenmmSystem",
    "OutputConfig",
    "PlatformConfig",
    "ProtocolConfig",
    "RegionConfig",
    "RunConfig",
    "StageConfig",
    "StagesConfig",
    "WarmupConfig",
    "load_config",
    "parse_config",
    "template",
]
