"""Short runs of the toy waters with each kind of sampling, and a script that runs one of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from toys import prepared_water, protocol

from nnpmm.simulation import run_protocol

VARIABLES = {
    "apart": {"type": "distance", "atoms": [0, 3]},
    "bend": {"type": "angle", "atoms": [1, 0, 2]},
}
SPRING = "2000 kJ/mol/nm^2"
KINDS = {
    "metadynamics": {
        "type": "metadynamics",
        "variables": VARIABLES,
        "widths": {"apart": "0.02 nm"},
        "ranges": {"apart": ["0.2 nm", "0.6 nm"]},
        "interval": "3 fs",
    },
    "umbrella": {
        "type": "umbrella",
        "variables": VARIABLES,
        "windows": {
            "apart": {"range": ["0.3 nm", "0.4 nm"], "count": 3, "force_constant": SPRING}
        },
        "interval": "4 fs",
        "equilibrate": "20 fs",
    },
    "temperatures": {
        "type": "temperatures",
        "variables": VARIABLES,
        "highest": "400 K",
        "count": 2,
        "interval": "4 fs",
        "equilibrate": "20 fs",
    },
    "region-scaling": {
        "type": "region-scaling",
        "highest": "500 K",
        "count": 2,
        "interval": "4 fs",
        "equilibrate": "20 fs",
    },
}  # fmt: skip


def sampled(folder, kind, *, production="0.1 ps", **changes):
    """Settings of a run of the toy waters with one kind of sampling."""
    sampling = {**KINDS[kind], **changes}
    interval = "2 fs" if kind == "metadynamics" else "4 fs"
    return protocol(
        folder,
        production=production,
        sampling=sampling,
        output={"trajectory_interval": interval},
    )


def go(folder, kind, *, resume=False, overwrite=False, **changes):
    settings = sampled(folder, kind, **changes)
    return run_protocol(
        prepared_water(), settings, resume=resume, overwrite=overwrite, progress=False
    )


if __name__ == "__main__":
    folder, kind, length = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    result = go(folder, kind, production=length, resume="--resume" in sys.argv)
    print(json.dumps({"stage": result.stage, "time": result.time_ps}))
    sys.exit(0 if result.signal_number is None else 128 + result.signal_number)
