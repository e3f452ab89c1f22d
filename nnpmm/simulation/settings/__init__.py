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
from nnpmm.simulation.settings.system_config import (
    AmberSystem,
    BuildSystem,
    CharmmSystem,
    GromacsSystem,
    OpenmmSystem,
)
from nnpmm.simulation.settings.template import template

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
