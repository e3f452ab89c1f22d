"""Results of the benchmarks, except times."""

from __future__ import annotations

import dataclasses
import json
import time

import numpy as np
import openmm
import pytest

from nnpmm.benchmarking import (
    measure_networks,
    measure_steps,
    sample_molecules,
    step_contexts,
    time_in_turn,
    write_record,
)
from nnpmm.benchmarking.networks import product_bound
from nnpmm.core.errors import SimulationError
from nnpmm.models import load_model


def test_timings_tell_slow_from_fast():
    timings = time_in_turn({"slow": lambda: time.sleep(0.02), "fast": lambda: None}, rounds=3)
    assert timings["slow"].median >= 20
    assert timings["slow"].low <= timings["slow"].median <= timings["slow"].high
    assert timings["fast"].median < 1


def test_the_drugs_have_the_sizes_of_the_tables():
    sizes = {molecule.name: len(molecule.numbers) for molecule in sample_molecules()}
    assert sizes == {"ibuprofen": 33, "dasatinib": 59, "darunavir": 75}


def test_product_bound_counts_the_cut_weights(ani1x):
    """Water with ANI-1x by hand: 2 radial blocks of 16 and 3 angular of 32 columns."""
    columns = 2 * 16 + 3 * 32
    hydrogen = columns * 160 + 160 * 128 + 128 * 96 + 96
    oxygen = columns * 128 + 128 * 112 + 112 * 96 + 96
    expected = 4 * 8 * (2 * hydrogen + oxygen)
    assert product_bound(ani1x.parameters, ["O", "H", "H"]) == expected


def test_rows_of_every_backend_and_peer():
    (molecule,) = sample_molecules({"methanol": "CO"})
    models = [load_model("ANI-1x", backend=backend) for backend in ("cpu", "reference")]
    reference = load_model("ANI-1x", backend="reference", precision="double")
    turns = []
    rows = measure_networks(
        molecule,
        models,
        reference,
        rounds=2,
        peers={"double": reference.bind(molecule.numbers)},
        progress=lambda: turns.append(1),
    )
    assert [row.backend for row in rows] == ["cpu", "reference", "double"]
    assert all(row.atoms == 6 and row.timing.median > 0 for row in rows)
    assert 0 < rows[0].energy_error < 0.01
    assert rows[2].energy_error == rows[2].force_error == 0
    assert all(row.times_bound > 0 for row in rows)
    assert len(turns) == 2 * 4  # the matrix product has its turn too


def test_a_wrong_backend_is_not_timed(ani1x):
    (molecule,) = sample_molecules({"water": "O"})
    parameters = dataclasses.replace(
        ani1x.parameters,
        symmetry_functions=dataclasses.replace(
            ani1x.parameters.symmetry_functions, radial_eta=15.0
        ),
    )
    wrong = dataclasses.replace(ani1x, parameters=parameters, backend="cpu")
    reference = load_model("ANI-1x", backend="reference", precision="double")
    with pytest.raises(SimulationError, match="wrong results are not timed"):
        measure_networks(molecule, [wrong], reference, rounds=1)


def test_steps_are_made():
    system = openmm.System()
    for _ in range(2):
        system.addParticle(12.0)
    bond = openmm.HarmonicBondForce()
    bond.addBond(0, 1, 0.15, 1e5)
    system.addForce(bond)
    contexts = step_contexts(
        {"a": system}, np.array([[0, 0, 0], [0.151, 0, 0]]), platform="Reference"
    )
    timings = measure_steps(contexts, steps=7, rounds=2)
    assert timings["a"].median > 0
    assert contexts["a"].getStepCount() % 7 == 0
    assert contexts["a"].getStepCount() > 0


def test_record_names_machine_and_versions(tmp_path):
    write_record(tmp_path / "r.json", {"x": 1}, commit="abc")
    record = json.loads((tmp_path / "r.json").read_text())
    assert record["results"] == {"x": 1}
    assert record["commit"] == "abc"
    assert record["machine"]["cores"] >= 1
    assert {"python", "openmm", "numba"} <= set(record["versions"])
