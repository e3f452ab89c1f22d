"""The cost of energy and forces of a molecule with each ANI backend, and its lower bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nnpmm.benchmarking.timing import Timing, time_in_turn
from nnpmm.core.errors import SimulationError
from nnpmm.models.ani import AniModel, AniParameters

__all__ = [
    "LIGANDS",
    "Molecule",
    "Row",
    "measure_networks",
    "molecule_from_structure",
    "product_bound",
    "sample_molecules",
]

#: Three drugs of 33, 59 and 75 atoms.
LIGANDS = {
    "ibuprofen": "CC(C)Cc1ccc(cc1)[C@H](C)C(=O)O",
    "dasatinib": "Cc1nc(Nc2ncc(s2)C(=O)Nc2c(C)cccc2Cl)cc(n1)N1CCN(CCO)CC1",
    "darunavir": "CC(C)CN(C[C@H]([C@H](Cc1ccccc1)NC(=O)O[C@H]1CO[C@@H]2[C@H]1CCO2)O)"
    "S(=O)(=O)c1ccc(N)cc1",
}
_MATRIX = 1024  # edge of the matrices whose product gives the machine's rate
_PRODUCT = "matrix product"
# Largest deviations from the reference, kJ/mol and kJ/mol/nm, of a backend that is timed.
_ENERGY_TOLERANCE, _FORCE_TOLERANCE = 0.01, 0.5

Evaluate = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]


class Molecule(NamedTuple):
    """Name, chemical symbols, atomic numbers (n,) and positions (n, 3) in nm."""

    name: str
    symbols: list[str]
    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]


class Row(NamedTuple):
    """One backend on one molecule.

    Attributes:
        timing: milliseconds of energy and forces.
        energy_error: kJ/mol, from the float64 reference.
        force_error: largest component, kJ/mol/nm.
        times_bound: time relative to that of the matrix products alone at the machine's rate.
    """

    molecule: str
    atoms: int
    backend: str
    timing: Timing
    energy_error: float
    force_error: float
    times_bound: float


def sample_molecules(smiles: Mapping[str, str] = LIGANDS) -> list[Molecule]:
    """Return molecules, by default the drugs of `LIGANDS`, in a conformer made by rdkit.

    Args:
        smiles: SMILES by name.
    """
    from nnpmm.structures import molecule_from_smiles

    molecules = []
    for name, text in smiles.items():
        mol = molecule_from_smiles(text, seed=1)
        atoms = list(mol.GetAtoms())
        molecules.append(
            Molecule(
                name,
                [atom.GetSymbol() for atom in atoms],
                np.array([atom.GetAtomicNum() for atom in atoms]),
                mol.GetConformer().GetPositions() / 10,
            )
        )
    return molecules


def molecule_from_structure(path: str, selection: str) -> Molecule:
    """Return a selection of a structure file.

    Raises:
        NnpmmError: the file or the selection cannot be used.
    """
    from nnpmm.structures.readers import read_structure
    from nnpmm.structures.selection import select_atoms

    structure = read_structure(path)
    atoms = list(structure.topology.atoms())
    chosen = select_atoms(structure.topology, selection)
    elements = [atoms[i].element for i in chosen.tolist()]
    return Molecule(
        selection,
        [element.symbol for element in elements],
        np.array([element.atomic_number for element in elements]),
        np.asarray(structure.positions)[chosen],
    )


def measure_networks(
    molecule: Molecule,
    models: Sequence[AniModel],
    reference: AniModel,
    *,
    rounds: int = 20,
    peers: dict[str, Evaluate] | None = None,
    progress: Callable[[], None] = lambda: None,
) -> list[Row]:
    """Time energy and forces of all backends in turn, after checking their results.

    Args:
        molecule: the molecule.
        models: the backends to time.
        reference: the same network in float64.
        rounds: number of rounds.
        peers: other implementations by name, from positions in nm to energy and forces; their
            results are not checked.
        progress: called after every turn.

    Raises:
        SimulationError: a backend does not agree with the reference.
    """
    energy, forces = reference.bind(molecule.numbers)(molecule.positions)
    peers = peers or {}
    evaluators: dict[str, Evaluate] = {m.backend: m.bind(molecule.numbers) for m in models}
    calls: dict[str, Callable[[], Any]] = {}
    errors = {}
    for name, evaluate in {**evaluators, **peers}.items():
        found_energy, found_forces = evaluate(molecule.positions)
        errors[name] = (abs(found_energy - energy), float(np.abs(found_forces - forces).max()))
        if name in evaluators:
            _check_accuracy(name, molecule, *errors[name])
        calls[name] = partial(evaluate, molecule.positions)
    left, right = np.random.default_rng(0).random((2, _MATRIX, _MATRIX), np.float32)
    product = np.empty_like(left)
    calls[_PRODUCT] = partial(np.matmul, left, right, out=product)
    timings = time_in_turn(calls, rounds=rounds, progress=progress)
    rate = 2 * _MATRIX**3 / timings.pop(_PRODUCT).median  # operations per millisecond
    bound = product_bound(reference.parameters, molecule.symbols) / rate
    return [
        Row(
            molecule.name,
            len(molecule.numbers),
            name,
            timing,
            *errors[name],
            timing.median / bound,
        )
        for name, timing in timings.items()
    ]


def product_bound(parameters: AniParameters, symbols: Sequence[str]) -> float:
    """Return the floating-point operations of the networks, forward and back to the AEV.

    Columns of absent elements are left out; two operations for each weight, atom and direction.
    """
    restricted = parameters.restricted_to(set(symbols))
    return float(
        sum(
            4 * layer.weight.size
            for member in restricted.members
            for symbol in symbols
            for layer in member[symbol]
        )
    )


def _check_accuracy(backend: str, molecule: Molecule, energy: float, force: float) -> None:
    if energy > _ENERGY_TOLERANCE or force > _FORCE_TOLERANCE:
        raise SimulationError(
            f"the backend {backend!r} differs from the float64 reference on {molecule.name} by "
            f"{energy:.3g} kJ/mol and {force:.3g} kJ/mol/nm, allowed: {_ENERGY_TOLERANCE} and "
            f"{_FORCE_TOLERANCE}; wrong results are not timed"
        )
