"""Runs from a settings file: stages, checkpoints, the report."""

from nnpmm.simulation.end_state import difference_of, reweight_trajectories
from nnpmm.simulation.forecast import Forecast, StageForecast, dry_run
from nnpmm.simulation.preparation.loading import load_run_system
from nnpmm.simulation.preparation.prepared import PreparedSystem
from nnpmm.simulation.protocol import RunResult, run_protocol
from nnpmm.simulation.report import write_report
from nnpmm.simulation.run_source import run_folders, run_source
from nnpmm.simulation.runner import load_region, prepare_system, run
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
from nnpmm.structures import MMSystem
from nnpmm.structures.inputs.sources import (
    AmberSystem,
    AmoebaSystem,
    BuildSystem,
    CharmmSystem,
    GromacsSystem,
    OpenmmSystem,
    TinkerSystem,
)

__all__ = [
    "AmberSystem",
    "AmoebaSystem",
    "BuildSystem",
    "CharmmSystem",
    "EnsembleConfig",
    "Forecast",
    "GromacsSystem",
    "MMSystem",
    "MinimizeConfig",
    "OpenmmSystem",
    "OutputConfig",
    "PlatformConfig",
    "PreparedSystem",
    "ProtocolConfig",
    "RegionConfig",
    "RunConfig",
    "RunResult",
    "StageConfig",
    "StageForecast",
    "StagesConfig",
    "TinkerSystem",
    "WarmupConfig",
    "difference_of",
    "dry_run",
    "load_config",
    "load_region",
    "load_run_system",
    "parse_config",
    "prepare_system",
    "reweight_trajectories",
    "run",
    "run_folders",
    "run_protocol",
    "run_source",
    "template",
    "write_report",
]
