"""Run the small systems of ``toys`` and compare what two runs have written."""

from __future__ import annotations

import mdtraj
import numpy as np
import openmm
import yaml
from openmm import unit
from toys import prepared_water, protocol

from nnpmm.simulation import run_protocol


def go(folder, *, resume=False, prepared=None, **changes):
    settings = protocol(folder, **changes)
    return run_protocol(prepared or prepared_water(), settings, resume=resume, progress=False)


def write_settings(folder, mm):
    """Write a System, its structure and md.yaml for a run of 10 steps; return the settings.

    One water is described by springs, which replace all families of models.
    """
    (folder / "system.xml").write_text(openmm.XmlSerializer.serialize(mm.system))
    with open(folder / "water.pdb", "w") as handle:
        openmm.app.PDBFile.writeFile(mm.topology, mm.positions * unit.nanometer, handle)
    data = protocol("out").model_dump(mode="json", context={"base": "."})
    data["system"] = {"type": "openmm", "system": "system.xml", "structure": "water.pdb"}
    data["region"] = {"selection": "resid 0", "model": "springs"}
    data["output"]["directory"] = "out"
    data["stages"]["production"] = {"length": "0.01 ps"}
    (folder / "md.yaml").write_text(yaml.safe_dump(data))
    return data


def frames(folder, fmt="dcd"):
    return mdtraj.load(str(folder / f"trajectory.{fmt}"), top=str(folder / "topology.pdb"))


def log_without_speed(folder):
    lines = (folder / "log.csv").read_text().splitlines()
    return [line.rsplit(",", 1)[0] for line in lines]


def require_equal_runs(folder, reference, fmt="dcd"):
    """Require bitwise equal frames, consecutive times, and the same log."""
    found, expected = frames(folder, fmt), frames(reference, fmt)
    assert found.n_frames == expected.n_frames
    np.testing.assert_array_equal(found.xyz, expected.xyz)
    np.testing.assert_array_equal(found.time, expected.time)
    if fmt == "xtc":
        np.testing.assert_allclose(np.diff(found.time), 0.002, atol=1e-6)
    assert log_without_speed(folder) == log_without_speed(reference)
    data = (folder / f"trajectory.{fmt}").read_bytes()
    other = (reference / f"trajectory.{fmt}").read_bytes()
    assert len(data) == len(other)
    if fmt == "dcd":  # header: frames, first step, interval, ..., last step
        assert data[8:24] == other[8:24]
        assert data[276:] == other[276:]  # after the date
    else:
        assert data == other
