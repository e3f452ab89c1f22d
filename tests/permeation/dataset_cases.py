"""A small data set, and campaigns without simulations."""

from __future__ import annotations

import numpy as np

from nnpmm.permeation.dataset.folder import DatasetSettings
from nnpmm.permeation.features import FeatureTable
from nnpmm.permeation.runs import campaign, jobs
from nnpmm.permeation.runs.protocol import preset

CHANGES = {
    **{"lipids_per_leaflet": 16, "waters_per_lipid": 6, "bilayer_relaxation": 20},
    **{"nvt": 10, "npt": 20, "production": 60, "frame_interval": 30},
}
TINY = preset("short", **CHANGES)


def tiny_settings(**changes):
    fields = {"protocol": TINY, "engine": "gromacs", "lipids": ["DOPC"], "solutes": ["C1", "P4"]}
    return DatasetSettings(**(fields | changes))


def replace_simulations(monkeypatch, value):
    """Replace simulations by ``value(job, seed)`` for every feature, which may raise errors."""

    def simulate(job, protocol, engine, work, seed):
        values = np.full((protocol.n_frames, 4), value(job, seed), dtype=np.float32)
        empty = np.zeros((2, 1, 1), dtype=np.float32)
        return None, FeatureTable(values, empty, empty, values[:, 0])

    monkeypatch.setattr(campaign, "prepare_bilayer", lambda *_: None)
    for module in (campaign, jobs):
        monkeypatch.setattr(module, "create_engine", lambda *_, **__: None)
    monkeypatch.setattr(jobs, "_provenance", lambda *_: {})
    monkeypatch.setattr(jobs, "_simulate", simulate)
