"""Checks of a potential: ANI-1x passes them, and each finds the defect that it is there for."""

from __future__ import annotations

import dataclasses
import json
from functools import cache, partial

import numpy as np
import pytest
from rdkit import Chem

from nnpmm.core.errors import ConfigError, InputFileError, RegionError
from nnpmm.models import FunctionModel, load_model, prepare_nnp
from nnpmm.models.function import FunctionEvaluator
from nnpmm.models.protocol import Evaluation
from nnpmm.models.validation import CHECKS, record_of, validate, write_report
from nnpmm.models.validation.box import BOX
from nnpmm.models.validation.charges import TOTAL_CHARGE
from nnpmm.models.validation.check import Check, Measurement
from nnpmm.models.validation.cost import MEMORY, SPEED
from nnpmm.models.validation.distance import SIZE_CONSISTENCY
from nnpmm.models.validation.dynamics import ENERGY_CONSERVATION
from nnpmm.models.validation.forces import FORCES
from nnpmm.models.validation.modes import LOWEST_MODE, RIGID_MODES
from nnpmm.models.validation.molecules import create_probes
from nnpmm.models.validation.walls import STRETCHED_BONDS
from nnpmm.structures import molecule_from_smiles

METHANOL = "CO"  # atoms C, O, three H on C, one H on O
WITHOUT_COST = [check for check in CHECKS if check not in (SPEED, MEMORY)]


@cache
def network(numbers):
    return load_model("ANI-1x", members=0).bind(np.array(numbers))


def plain(positions, numbers, charge):
    return network(tuple(numbers.tolist()))(positions)


def plus(term):
    """ANI-1x with another term: a function of positions and numbers to energy and forces."""

    def function(positions, numbers, charge):
        energy, forces = plain(positions, numbers, charge)
        more, pull = term(positions, numbers)
        return energy + more, forces + pull

    return FunctionModel(function, "broken", neutral_only=True)


def of_pair(positions, i, j, energy_of, slope_of):
    """A term of the distance between two atoms."""
    apart = positions[j] - positions[i]
    r = np.linalg.norm(apart)
    forces = np.zeros_like(positions)
    forces[i] = slope_of(r) * apart / r
    forces[j] = -forces[i]
    return energy_of(r), forces


def sum_over(pairs, positions, energy_of, slope_of):
    energy, forces = 0.0, np.zeros_like(positions)
    for i, j in pairs:
        more, pull = of_pair(positions, i, j, energy_of, slope_of)
        energy, forces = energy + more, forces + pull
    return energy, forces


def gaussian(depth, middle, width):
    """A well: its energy and slope as functions of the distance, nm."""

    def energy(r):
        return -depth * np.exp(-(((r - middle) / width) ** 2))

    return energy, lambda r: -2 * (r - middle) / width**2 * energy(r)


def scaled_forces(factor):
    def function(positions, numbers, charge):
        energy, forces = plain(positions, numbers, charge)
        return energy, factor * forces

    return FunctionModel(function, "scaled", neutral_only=True)


def forces_of_another_geometry():
    """Forces are 10 % too strong, except where the C-O bond is as long as in the first call."""
    first = []

    def function(positions, numbers, charge):
        energy, forces = plain(positions, numbers, charge)
        length = np.linalg.norm(positions[1] - positions[0])
        first.append(length) if not first else None
        return energy, forces * (1.0 if abs(length - first[0]) < 1e-3 else 1.1)

    return FunctionModel(function, "elsewhere", neutral_only=True)


def central_field(positions, numbers):
    return 0.1 * (positions**2).sum(), -0.2 * positions


def flattening(positions, numbers):
    z = positions[:, 2] - positions[:, 2].mean()
    forces = np.zeros_like(positions)
    forces[:, 2] = -60 * z
    return 30 * (z**2).sum(), forces


def methanols(i, j, positions):
    """The same two atoms in each molecule of methanol."""
    return [(i + 6 * n, j + 6 * n) for n in range(len(positions) // 6)]


def one_hydrogen_of_three(positions, numbers):
    return sum_over(methanols(1, 2, positions), positions, lambda r: 50 * r, lambda r: 50.0)


def weak_bond(positions, numbers):
    return sum_over(methanols(0, 1, positions), positions, *gaussian(800, 0.2, 0.022))


def broken_bond(positions, numbers):
    """Without a barrier: the minimisation ends in the well."""
    return sum_over(methanols(0, 1, positions), positions, *gaussian(2000, 0.2, 0.022))


def hole(positions, numbers):
    """Between hydrogens of two molecules of methanol."""
    hydrogens = np.flatnonzero(numbers == 1)
    pairs = [(i, j) for i in hydrogens for j in hydrogens if i < 6 <= j]
    return sum_over(pairs, positions, *gaussian(400, 0.13, 0.02))


def between_oxygens(energy_of, slope_of):
    def term(positions, numbers):
        return sum_over(
            [np.flatnonzero(numbers == 8)] if (numbers == 8).sum() == 2 else [],
            positions,
            lambda r: energy_of(r) if r < 0.6 else 0.0,
            lambda r: slope_of(r) if r < 0.6 else 0.0,
        )

    return term


def noise(positions, numbers):
    seed = np.frombuffer(positions.tobytes(), dtype=np.uint32)
    return 0.0, np.random.default_rng(seed).normal(scale=1.0, size=positions.shape)


BROKEN = {
    "forces of nanometre and angstrom": (scaled_forces(0.1), {"forces", "energy conservation"}),
    "forces off by 5 %": (scaled_forces(1.05), {"forces", "energy conservation"}),
    "forces of another geometry": (forces_of_another_geometry(), {"energy conservation"}),
    "a field around the origin": (plus(central_field), {"translation"}),
    "a preferred direction": (plus(flattening), {"rotation"}),
    "an atom told from its like": (plus(one_hydrogen_of_three), {"permutation"}),
    "a jump of the energy": (
        plus(between_oxygens(lambda r: 0.5, lambda r: 0.0)),
        {"smoothness"},
    ),
    "a jump of the force": (
        plus(between_oxygens(lambda r: 50 * (0.6 - r), lambda r: -50.0)),
        {"smoothness"},
    ),
    "a weak bond": (plus(weak_bond), {"stretched bonds"}),
    "a broken bond": (plus(broken_bond), {"relaxed bonds"}),
    "a hole at short range": (plus(hole), {"close contacts"}),
    "noise": (plus(noise), {"rigid modes"}),
    "an energy of all atoms together": (
        plus(lambda positions, numbers: (0.1 * len(numbers) ** 2, 0.0)),
        {"size consistency"},
    ),
}


#: Noise may also turn the softest vibration into an imaginary mode.
BY_CHANCE = {"noise": {"lowest mode"}}


def failures(found):
    return {finding.check for finding in found.findings if finding.verdict == "fail"}


@pytest.mark.parametrize("defect", BROKEN)
def test_each_defect_is_found_by_its_check(defect):
    model, expected = BROKEN[defect]
    found = validate(model, [METHANOL], checks=WITHOUT_COST)
    allowed = expected | BY_CHANCE.get(defect, set())
    failed = [finding for finding in found.findings if finding.verdict == "fail"]
    assert expected <= failures(found) <= allowed, failed
    assert found.verdict == "fail"


@pytest.mark.slow
def test_ani1x_passes(tmp_path):
    told = []
    model = load_model("ANI-1x")
    found = validate(model, progress=lambda *arguments: told.append(arguments))
    assert {f.verdict for f in found.findings} == {"pass", "n/a"}, found.findings
    assert found.molecules == ("water", "methanol", "acetamide", "benzene")
    assert set(found.left_out) == {"acetate"} and "neutral" in found.left_out["acetate"]
    assert {f.check for f in found.findings if f.verdict == "n/a"} == {"total charge"}
    assert [done for _, done, _ in told] == list(range(len(CHECKS) * 4))
    write_report(tmp_path, found)
    record = json.loads((tmp_path / "validation.json").read_text())
    assert record == record_of(found)
    assert record["verdict"] == "pass" and record["model"]["digest"] == model.parameters.digest()
    assert record["checks"]["speed"]["fail"] is None
    assert (tmp_path / "validation.png").stat().st_size > 10_000
    assert (tmp_path / "validation.svg").stat().st_size > 10_000


def test_message_for_forces_wrong_by_a_factor_of_ten():
    (finding,) = validate(scaled_forces(0.1), [METHANOL], checks=[FORCES]).findings
    assert finding.note.startswith("forces are 0.1000 times -dE/dx")
    assert finding.value == pytest.approx(90, abs=0.1)
    (finding,) = validate(scaled_forces(10.0), [METHANOL], checks=[FORCES]).findings
    assert finding.value == pytest.approx(90, abs=0.1)


def test_energy_error_is_of_second_order_in_the_time_step():
    sound = FunctionModel(plain, "sound", neutral_only=True)
    (found,) = validate(sound, ["O"], checks=[ENERGY_CONSERVATION]).findings
    coarse, fine = (curve.y for curve in found.curves)
    assert coarse.std() / fine.std() == pytest.approx(4, abs=0.3)


def test_saddle_point_has_an_imaginary_mode():
    """Planar ammonia: a minimisation keeps its symmetry and ends at the barrier of inversion."""
    (probe,), _ = create_probes(load_model("ANI-1x", precision="double"), ["N"])
    angles = np.radians([0, 120, 240])
    planar = np.zeros((4, 3))
    planar[1:] = 0.1 * np.transpose([np.cos(angles), np.sin(angles), np.zeros(3)])
    assert LOWEST_MODE(probe).verdict == "pass"
    saddle = dataclasses.replace(probe, positions=planar)
    found = LOWEST_MODE(saddle)
    assert found.verdict == "fail" and found.value < -300 and "1 imaginary" in found.note
    assert RIGID_MODES(saddle).verdict == "pass"


def test_rounding_does_not_hide_soft_modes():
    """The methyl group of acetamide turns at 69 1/cm; a minimisation by energies stops before."""
    probes = [
        create_probes(load_model("ANI-1x", precision=precision), ["CC(N)=O"])[0][0]
        for precision in ("single", "double")
    ]
    single, double = (LOWEST_MODE(probe).value for probe in probes)
    assert single == pytest.approx(double, abs=1.0)
    assert np.abs(probes[1].evaluator(probes[1].minimum)[1]).max() < 1e-6


class Charged(FunctionEvaluator):
    """ANI-1x with charges that lack some."""

    def __init__(self, model, numbers, charge, lost=0.0):
        super().__init__(model, numbers, charge)
        self.lost = lost

    def charges(self, positions):
        return np.full(len(positions), (self.charge - self.lost) / len(positions))


class Periodic(FunctionEvaluator):
    """ANI-1x in a box, the molecule made whole or not, with a term of the volume."""

    def __init__(self, model, numbers, charge, whole=True, pressure=0.0):
        super().__init__(model, numbers, charge)
        self.whole, self.pressure = whole, pressure

    def _evaluate(self, positions, box):
        if box is None:
            return super()._evaluate(positions, None)
        if self.whole:
            apart = positions - positions[0]
            positions = positions - np.round(apart @ np.linalg.inv(box)) @ box
        energy, forces, _ = super()._evaluate(positions, None)
        energy += self.pressure / np.linalg.det(box)
        return Evaluation(energy, forces, np.array([energy]))


class Bound(FunctionModel):
    """A FunctionModel with evaluators of another class."""

    def bind(self, numbers, charge=0):
        return self.make(self, np.asarray(numbers), charge)


def bound_by(make):
    model = Bound(plain, "bound", neutral_only=True)
    object.__setattr__(model, "make", make)
    return model


@pytest.mark.parametrize(
    ("make", "check", "verdict"),
    [
        (Charged, TOTAL_CHARGE, "pass"),
        (partial(Charged, lost=0.05), TOTAL_CHARGE, "fail"),
        (FunctionEvaluator, TOTAL_CHARGE, "n/a"),
        (Periodic, BOX, "pass"),
        (partial(Periodic, pressure=100.0), BOX, "fail"),
        (partial(Periodic, whole=False), BOX, "fail"),
        (FunctionEvaluator, BOX, "n/a"),
    ],
)
def test_charges_and_boxes(make, check, verdict):
    (found,) = validate(bound_by(make), [METHANOL], checks=[check]).findings
    assert found.verdict == verdict, found


def test_growing_memory_is_found():
    kept = []

    def leaking(positions, numbers, charge):
        kept.append(np.ones(500_000))
        return 0.0, np.zeros_like(positions)

    (found,) = validate(FunctionModel(leaking), [METHANOL], checks=[MEMORY]).findings
    # MB of 400, because memory that was freed earlier is reused first.
    assert found.verdict == "fail" and found.value > 50


def test_slow_model_is_not_a_failure(monkeypatch):
    ticks = iter(range(1000))
    monkeypatch.setattr("nnpmm.models.validation.cost.time.perf_counter", lambda: next(ticks))
    (found,) = validate(FunctionModel(plain), [METHANOL], checks=[SPEED]).findings
    assert (found.verdict, found.value) == ("warn", 1000.0)


def test_non_finite_energies_are_findings_and_not_raised():
    model = FunctionModel(lambda positions, numbers, charge: (np.nan, np.nan * positions))
    found = validate(model, ["O"], checks=WITHOUT_COST)
    assert {f.verdict for f in found.findings if f.check != "total charge"} <= {"fail", "n/a"}
    assert "forces" in failures(found) and "lowest mode" in failures(found)


def test_errors_of_a_potential_are_findings():
    def broken(positions, numbers, charge):
        raise ZeroDivisionError("no such layer")

    (found,) = validate(FunctionModel(broken), ["O"], checks=[FORCES]).findings
    assert (found.verdict, found.note) == ("fail", "ZeroDivisionError: no such layer")


def test_torchscript_file_describes_one_molecule(tmp_path):
    path = tmp_path / "methanol.sdf"
    path.write_text(Chem.MolToMolBlock(molecule_from_smiles(METHANOL)) + "$$$$\n")
    prepare_nnp(path, "all", "ANI-1x", members=0, output=tmp_path)
    model = load_model(tmp_path / "model.pt")
    with pytest.raises(ConfigError, match="describes one molecule"):
        validate(model)
    found = validate(model, [str(path)], checks=WITHOUT_COST)
    assert found.verdict == "pass" and found.molecules == ("methanol",)
    left_out = {f.check for f in found.findings if f.verdict == "n/a"}
    assert left_out == {"smoothness", "size consistency", "periodic box", "total charge"}


def test_repulsion_of_ions_is_not_an_inconsistency():
    def coulomb(positions, numbers, charge):
        """Point charges on the carbons of acetate; the rest does not matter here."""
        centres = np.flatnonzero(np.arange(len(numbers)) % 7 == 0)
        if len(centres) < 2:
            return 0.0, np.zeros_like(positions)
        return of_pair(positions, *centres, lambda r: 138.935 / r, lambda r: -138.935 / r**2)

    model = FunctionModel(coulomb)
    (found,) = validate(model, ["CC(=O)[O-]"], checks=[SIZE_CONSISTENCY]).findings
    # The charges are not at the centres: the Coulomb energy is not exactly that of 10 nm.
    assert found.value < 0.5 and "E(2) - 2 E(1) = 14" in found.note.replace("13.9", "14")


def test_bounds_from_below_and_above():
    def verdicts(good, bad, *values):
        check = Check("x", lambda probe: Measurement(0.0), "", good, bad, "", "")
        return [check.verdict(value) for value in values]

    assert verdicts(1, 2, 0.5, 1, 1.5, 2, 2.1, np.nan) == [
        *["pass"] * 2,
        *["warn"] * 2,
        "fail",
        "fail",
    ]
    assert verdicts(2, 1, 2.5, 2, 1.5, 1, 0.9, np.nan) == [
        *["pass"] * 2,
        *["warn"] * 2,
        "fail",
        "fail",
    ]


def test_unsupported_molecules_are_an_error():
    model = load_model("ANI-1x")
    with pytest.raises(RegionError, match="elements Si"):
        validate(model, ["C[SiH3]"])
    with pytest.raises(RegionError, match=r"charge of \+1"):
        validate(model, ["[NH4+]"])
    with pytest.raises(InputFileError, match="not a valid SMILES"):
        validate(model, ["C(("])
    with pytest.raises(ConfigError, match="twice"):
        validate(model, ["O", "O"])
    with pytest.raises(RegionError, match="one atom"):
        validate(FunctionModel(plain), ["[Ar]"])
    with pytest.raises(ConfigError, match="can describe none of water"):
        validate(FunctionModel(plain, elements=("He",)))


def test_only_bonds_to_hydrogen_of_rings_are_stretched():
    (found,) = validate(load_model("ANI-1x"), ["c1ccccc1"], checks=[STRETCHED_BONDS]).findings
    assert [curve.label for curve in found.curves] == ["c1ccccc1, C0-H6"]
