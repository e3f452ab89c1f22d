"""The published TorchScript file of AIMNet2, and values that it gave.

``python tests/models/aimnet2_file.py`` writes them to aimnet2_values.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from nnpmm.core.constants import EV_TO_KJ_PER_MOL

VALUES = Path(__file__).with_name("aimnet2_values.json")
# Charges from -2 to +2 e, and all elements between them.
MOLECULES = {
    "paracetamol": "CC(=O)Nc1ccc(O)cc1",
    "methylammonium": "C[NH3+]",
    "acetate": "CC(=O)[O-]",
    "ethylenediammonium": "[NH3+]CC[NH3+]",
    "oxalate": "[O-]C(=O)C(=O)[O-]",
    "an aryl halide with a sulfone": "CS(=O)(=O)c1ccc(Br)c(I)c1",
    "a silyl phosphate": "C[Si](C)(C)OP(=O)(O)O",
    "a boronic acid": "OB(O)c1cc(Cl)c(F)cc1",
    "trimethylarsine": "C[As](C)C",
    "dimethylselenide": "C[Se]C",
}


class FileValues(NamedTuple):
    """Energies without self energies (kJ/mol), forces (n, 3) in kJ/mol/nm, charges (n,) in e."""

    energy: float
    forces: np.ndarray
    charges: np.ndarray
    member_energies: np.ndarray


class PublishedFile:
    """The networks of the file, as torch runs it, in float32.

    It adds self energies of up to 7e4 eV per atom in float32, which costs up to 0.4 kJ/mol: they
    are set to zero here and added in float64.
    """

    def __init__(self, path: Path) -> None:
        self.ensemble = torch.jit.load(path, map_location="cpu")
        self.members = [getattr(self.ensemble.models, str(index)) for index in range(4)]
        self.self_energies = []
        for member in self.members:
            weight = member.module.outputs.atomic_shift.shifts.weight
            self.self_energies.append(weight.detach().numpy()[:, 0].astype(np.float64))
            with torch.no_grad():
                weight.zero_()

    def evaluate(self, numbers, positions, charge: int) -> FileValues:
        """Evaluate positions (n, 3) in nm; energies are relative to the mean self energies."""
        found = self._run(self.ensemble, numbers, positions, charge)
        mean = np.mean(self.self_energies, axis=0)
        members = [
            self._run(member, numbers, positions, charge)["energy"].item()
            + (energies - mean)[numbers].sum()
            for member, energies in zip(self.members, self.self_energies, strict=True)
        ]
        return FileValues(
            energy=EV_TO_KJ_PER_MOL * np.mean(members),
            forces=10 * EV_TO_KJ_PER_MOL * found["forces"][0].detach().double().numpy(),
            charges=found["charges"][0].detach().double().numpy(),
            member_energies=EV_TO_KJ_PER_MOL * np.array(members),
        )

    @staticmethod
    def _run(module, numbers, positions, charge):
        centred = positions - positions.mean(axis=0)
        return module(
            {
                "coord": torch.tensor(10 * centred[None], dtype=torch.float32),
                "numbers": torch.tensor(np.asarray(numbers))[None],
                "charge": torch.tensor([float(charge)]),
            }
        )


def write_values() -> None:
    """Evaluate the molecules and write positions and values."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from conftest import aimnet_file, distorted
    from rdkit import Chem

    published = PublishedFile(aimnet_file())
    values = {}
    for name, smiles in MOLECULES.items():
        numbers, positions = distorted(smiles)
        positions = positions.round(5)
        charge = Chem.GetFormalCharge(Chem.MolFromSmiles(smiles))
        found = published.evaluate(numbers, positions, charge)
        values[name] = {
            "numbers": numbers.tolist(),
            "charge": charge,
            "positions": positions.tolist(),
            "energy": round(found.energy, 4),
            "forces": found.forces.round(3).tolist(),
            "charges": found.charges.round(7).tolist(),
            "member_energies": found.member_energies.round(4).tolist(),
        }
    VALUES.write_text(
        json.dumps(
            {
                "source": "aimnet2_wb97m_ens_f.jpt of auto3d 2.3.1, float32, by aimnet2_file.py",
                "units": "nm, kJ/mol, e; energies without self energies",
                "torch": torch.__version__,
                "molecules": values,
            }
        )
        + "\n"
    )


if __name__ == "__main__":
    write_values()
