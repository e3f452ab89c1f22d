"""The molecule and its box, with which all ladders of a solvation free energy start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rdkit import Chem

from nnpmm.freeenergy.solvation.settings import LadderName, SolvationSettings
from nnpmm.freeenergy.solvation.solute import solute_alone
from nnpmm.freeenergy.solvation.solvent import read_solvent, solvated_solute
from nnpmm.structures import LigandParameters, MMSystem
from nnpmm.structures.ligands.source import MoleculeSource, read_molecule

__all__ = ["Prepared", "prepare"]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A solute in its solvent.

    Attributes:
        molecule: the solute.
        parameters: of its atoms.
        box: the solute in the solvent.
        sources: a description of where the parameters come from.
        settings: of the calculation, with ``auto`` replaced by the chosen providers of parameters.
    """

    molecule: Chem.Mol
    parameters: LigandParameters
    box: MMSystem
    sources: dict[str, str]
    settings: SolvationSettings

    @property
    def providers(self) -> str:
        """The sources of the parameters of solute and solvent, in one line."""
        texts = [text for name, text in self.sources.items() if name.endswith("parameters")]
        return " and ".join(dict.fromkeys(texts))

    def system_of(self, ladder: LadderName) -> MMSystem:
        """Return the MM system of a ladder: the box, or the solute in vacuum."""
        if ladder == "vacuum":
            return solute_alone(self.box, self.molecule, self.parameters)
        return self.box


def prepare(
    settings: SolvationSettings,
    directory: Path,
    compressing: Callable[[int, int], None] = lambda *_: None,
) -> Prepared:
    """Return the solute in its solvent, the same for every ladder and repeat.

    Args:
        settings: settings of the calculation.
        directory: of the calculation, which stores the box of another solvent than water.
        compressing: called with the time of the compression of such a box that is done, and the
            total, ps.

    Raises:
        NnpmmError: the molecule, the solvent or the force field cannot be used.
    """
    molecule, parameters = read_molecule(settings.solute, settings.seed)
    solvent = read_solvent(settings.solvent, settings.seed)
    box = solvated_solute(settings, directory, molecule, parameters, solvent, compressing)
    sources = {"parameters": parameters.provider, "solvent": settings.solvent.label}
    chosen: dict[str, MoleculeSource] = {"solute": _with_choice(settings.solute, parameters)}
    if solvent is not None:
        sources["solvent_parameters"] = solvent[1].provider
        chosen["solvent"] = _with_choice(settings.solvent, solvent[1])
    return Prepared(molecule, parameters, box, sources, settings.model_copy(update=chosen))


def _with_choice(source: MoleculeSource, parameters: LigandParameters) -> MoleculeSource:
    """Return a source with ``auto`` replaced by the provider that was chosen."""
    return source.model_copy(update={"parameters": parameters.choice or source.parameters})
