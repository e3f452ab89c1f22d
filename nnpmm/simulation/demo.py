"""A complete small run that needs no input: a drug-like ligand in water."""

from __future__ import annotations

from pathlib import Path

from nnpmm.core.errors import WeightsError
from nnpmm.models import load_model
from nnpmm.simulation.settings.config import RunConfig, parse_config

__all__ = ["PARACETAMOL", "choose_demo_model", "demo_config"]

PARACETAMOL = "CC(=O)Nc1ccc(O)cc1"


def choose_demo_model() -> tuple[str, str]:
    """Return the name of the best model whose weights are available, and the reason."""
    try:
        source = load_model("ANI-2x").provenance["weights"]
    except WeightsError as error:
        return "ANI-1x", f"ANI-1x, which the installed torchani carries, since {error}"
    return "ANI-2x", f"ANI-2x ({source})"


def demo_config(directory: Path, model: str, smiles: str = PARACETAMOL) -> RunConfig:
    """Return the settings of the demo: 8 ps in all, about three minutes on two cores.

    Args:
        directory: folder of the output.
        model: name of the network.
        smiles: the ligand.
    """
    return parse_config(
        {
            "system": {"type": "build", "smiles": smiles, "padding": "0.9 nm"},
            "region": {"model": model},
            "ensemble": {
                "type": "NPT",
                "temperature": "300 K",
                "friction": "5 1/ps",
                "barostat_interval": 10,  # so that the box soon reaches its density, 5 % smaller
            },
            "timestep": "1 fs",
            "stages": {
                "minimize": {"max_iterations": 200},
                "warmup": {"length": "1 ps"},
                "equilibrate": {"length": "4 ps"},
                "production": {"length": "3 ps"},
            },
            "output": {
                "directory": str(directory.absolute()),
                "trajectory_interval": "50 fs",
                "log_interval": "50 fs",
                "checkpoint_interval": "1 ps",
            },
        },
        source="demo",
    )
