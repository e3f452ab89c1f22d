"""Settings of the MM system: the files that contain it, or the molecules to build it from."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator
from typing_extensions import Self

from nnpmm.core.fields import Concentration, Length, Mass, Section, SettingsPath
from nnpmm.structures.providers import PROVIDERS, Provider

__all__ = [
    "AmberSystem",
    "AmoebaSystem",
    "BuildSystem",
    "CharmmSystem",
    "Ensemble",
    "GromacsSystem",
    "OpenmmSystem",
    "SystemSource",
    "TinkerSystem",
]

#: Thermodynamic ensemble of a simulation.
Ensemble = Literal["NVT", "NPT"]


class _ForceFieldOptions(Section):
    """Options of ``createSystem`` that Amber, GROMACS and CHARMM input share."""

    nonbonded_method: Literal[
        "PME", "LJPME", "Ewald", "CutoffPeriodic", "CutoffNonPeriodic", "NoCutoff"
    ] = Field("PME", description="long-range method; use NoCutoff in vacuum")
    cutoff: Length = Field(
        1.0, gt=0, description="cutoff of the direct-space interactions, in nm", examples=["1.0 nm"]
    )
    ewald_error_tolerance: float = Field(
        5e-4, gt=0, lt=0.1, description="error tolerance of PME, LJPME and Ewald"
    )
    constraints: Literal["None", "HBonds", "AllBonds"] = Field(
        "HBonds",
        description="constrained bonds of the MM part; inside the region see region.constraints",
    )
    rigid_water: bool = Field(True, description="keep water molecules rigid")
    hydrogen_mass: Mass | None = Field(
        None,
        ge=1.0,
        le=4.1,
        description="repartitioned mass of hydrogens (amu), taken from their heavy atom; "
        "3 amu allow twice the time step; null: the masses of the topology",
        examples=["3 amu"],
    )


class AmberSystem(_ForceFieldOptions):
    """Amber prmtop with coordinates."""

    type: Literal["amber"] = Field(description="Amber files")
    topology: SettingsPath = Field(
        description="topology file (.prmtop, .parm7, .prm7, .top)", examples=["complex.prmtop"]
    )
    coordinates: SettingsPath = Field(
        description="coordinates (.inpcrd, .rst7, .rst, .crd, .pdb)", examples=["complex.inpcrd"]
    )


class GromacsSystem(_ForceFieldOptions):
    """GROMACS topology with coordinates."""

    type: Literal["gromacs"] = Field(description="GROMACS files")
    topology: SettingsPath = Field(description="topology file (.top)", examples=["complex.top"])
    coordinates: SettingsPath = Field(
        description="coordinates with box (.gro, .pdb)", examples=["complex.gro"]
    )
    include_directories: tuple[SettingsPath, ...] = Field(
        (),
        description="folders searched for #include files; the first match is used",
        examples=["[/usr/share/gromacs/top]"],
    )
    defines: dict[str, str] = Field(
        {}, description="preprocessor macros and their values", examples=["{HEAVY_H: ''}"]
    )


class CharmmSystem(_ForceFieldOptions):
    """CHARMM PSF with coordinates and parameters."""

    type: Literal["charmm"] = Field(description="CHARMM files")
    psf: SettingsPath = Field(description="structure file (.psf)", examples=["complex.psf"])
    coordinates: SettingsPath = Field(
        description="coordinates (.crd, .cor, .pdb)", examples=["complex.crd"]
    )
    parameters: tuple[SettingsPath, ...] = Field(
        description="parameter files (.prm, .par, .rtf, .top, .str, .inp)",
        examples=["[par_all36m_prot.prm, toppar_water_ions.str]"],
        min_length=1,
    )
    box: tuple[Length, Length, Length] | None = Field(
        None,
        description="edges of a rectangular box (nm); null: from the PDB file",
        examples=["[5 nm, 5 nm, 5 nm]"],
    )
    switch_distance: Length | None = Field(
        None, gt=0, description="distance (nm) where LJ begins to switch off", examples=["1.0 nm"]
    )


class TinkerSystem(Section):
    """AMOEBA from Tinker coordinates and parameters."""

    type: Literal["tinker"] = Field(description="Tinker files, AMOEBA")
    xyz: SettingsPath = Field(description="coordinates (.xyz)", examples=["complex.xyz"])
    parameters: tuple[SettingsPath, ...] = Field(
        description="parameter files (.prm)",
        examples=["[amoebabio18.prm, ligand.prm]"],
        min_length=1,
    )
    key: SettingsPath | None = Field(
        None,
        description="key file (.key): its cutoffs, box, Ewald parameters, accuracy of induced "
        "dipoles and group of the network count; a key word that is not supported is an error",
        examples=["complex.key"],
    )
    nonbonded_method: Literal["PME", "NoCutoff"] = Field(
        "PME", description="long-range method; use NoCutoff in vacuum"
    )
    box: tuple[Length, Length, Length] | None = Field(
        None,
        description="edges of a rectangular box (nm); null: from the xyz or key file",
        examples=["[4 nm, 4 nm, 4 nm]"],
    )
    cutoff: Length | None = Field(
        None,
        gt=0,
        description="cutoff of the direct-space multipoles, in nm; null: the key file's, or 0.7 nm",
        examples=["0.7 nm"],
    )
    vdw_cutoff: Length | None = Field(
        None,
        gt=0,
        description="cutoff of the buffered 14-7 pairs, in nm; null: the key file's, or 1.2 nm "
        "without one",
        examples=["1.2 nm"],
    )
    polarization: Literal["mutual", "extrapolated", "direct"] | None = Field(
        None,
        description="induced dipoles: mutual (to convergence), extrapolated (OPT3), or direct "
        "(each by the permanent multipoles alone); null: the files', or mutual",
        examples=["extrapolated"],
    )
    polarization_tolerance: float | None = Field(
        None,
        gt=0,
        lt=0.1,
        description="largest error of mutual induced dipoles, in Debye; null: the key file's, or "
        "1e-5 without one",
        examples=["1e-5"],
    )
    hydrogen_mass: Mass | None = Field(
        None,
        ge=1.0,
        le=4.1,
        description="repartitioned mass of hydrogens (amu), also of water, which is flexible; "
        "null: their own",
        examples=["3 amu"],
    )


class AmoebaSystem(Section):
    """AMOEBA from a structure and OpenMM's ForceField files."""

    type: Literal["amoeba"] = Field(description="a structure with OpenMM's AMOEBA")
    structure: SettingsPath = Field(
        description="atoms with all hydrogens, bonds, coordinates, box (.pdb, .cif)",
        examples=["protein.pdb"],
    )
    force_field: Literal["amoeba2018", "amoeba2013", "amoeba2009"] = Field(
        "amoeba2018", description="parameters of proteins, water and ions that OpenMM has"
    )
    parameters: tuple[SettingsPath, ...] = Field(
        (),
        description="further parameters, of other molecules (OpenMM ForceField files, .xml)",
        examples=["[ligand.xml]"],
    )
    nonbonded_method: Literal["PME", "NoCutoff"] = Field(
        "PME", description="long-range method; use NoCutoff in vacuum"
    )
    box: tuple[Length, Length, Length] | None = Field(
        None,
        description="edges of a rectangular box (nm); null: from the structure",
        examples=["[4 nm, 4 nm, 4 nm]"],
    )
    cutoff: Length = Field(0.7, gt=0, description="cutoff of the direct-space multipoles, in nm")
    vdw_cutoff: Length = Field(1.2, gt=0, description="cutoff of the buffered 14-7 pairs, in nm")
    polarization: Literal["mutual", "extrapolated", "direct"] = Field(
        "mutual",
        description="induced dipoles: mutual (to convergence), extrapolated (OPT3), or direct "
        "(each by the permanent multipoles alone)",
    )
    polarization_tolerance: float = Field(
        1e-5, gt=0, lt=0.1, description="largest error of mutual induced dipoles, in Debye"
    )
    hydrogen_mass: Mass | None = Field(
        None,
        ge=1.0,
        le=4.1,
        description="repartitioned mass of hydrogens (amu), also of water, which is flexible; "
        "null: their own",
        examples=["3 amu"],
    )


class OpenmmSystem(Section):
    """A serialized OpenMM System with a structure."""

    type: Literal["openmm"] = Field(description="serialized OpenMM System")
    system: SettingsPath = Field(description="System (.xml)", examples=["system.xml"])
    structure: SettingsPath = Field(
        description="atoms, bonds, coordinates, box (.pdb, .cif)", examples=["complex.pdb"]
    )


class BuildSystem(Section):
    """A ligand, with or without a protein, in a box of water."""

    type: Literal["build"] = Field(description="build a ligand in water")
    smiles: str | None = Field(
        None, description="ligand as SMILES", examples=["CC(=O)Nc1ccc(O)cc1"]
    )
    ligand: SettingsPath | None = Field(
        None, description="ligand as a file (.sdf, .mol2), in place of smiles", examples=["lig.sdf"]
    )
    protein: SettingsPath | None = Field(
        None,
        description="protein with hydrogens (.pdb, .cif); the ligand file's coordinates must fit",
        examples=["protein.pdb"],
    )
    padding: Length = Field(1.0, gt=0, description="thickness of water around the solute, in nm")
    water_model: Literal["tip3p", "tip3pfb", "spce", "opc3", "opc", "tip4pew", "tip4pfb"] = Field(
        "tip3p", description="water model"
    )
    box_shape: Literal["cube", "dodecahedron", "octahedron"] = Field(
        "cube", description="shape of the periodic box"
    )
    ionic_strength: Concentration = Field(0.0, ge=0, description="concentration of salt, in M")
    parameters: Provider = Field(
        "auto",
        description=f"provider of the ligand's charges and Lennard-Jones parameters: {PROVIDERS}",
    )
    residue_name: str = Field(
        "MOL",
        description="residue name of the ligand, one to three letters and digits",
    )
    cutoff: Length = Field(0.9, gt=0, description="cutoff of the direct-space interactions, in nm")
    hydrogen_mass: Mass | None = Field(
        None,
        ge=1.0,
        le=4.1,
        description="repartitioned mass of solute hydrogens (amu); null: their own",
        examples=["3 amu"],
    )

    @field_validator("residue_name")
    @classmethod
    def _check_residue_name(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9]{1,3}", name):
            raise ValueError(f"found {name[:60]!r}, allowed: one to three letters and digits")
        return name

    @model_validator(mode="after")
    def _one_ligand(self) -> Self:
        if (self.smiles is None) == (self.ligand is None):
            raise ValueError("exactly one of 'smiles' and 'ligand' must be given")
        if self.protein is not None and self.ligand is None:
            raise ValueError("'protein' needs 'ligand' as a file, whose coordinates place it")
        return self


SystemSource = Annotated[
    AmberSystem
    | GromacsSystem
    | CharmmSystem
    | TinkerSystem
    | AmoebaSystem
    | OpenmmSystem
    | BuildSystem,
    Field(discriminator="type"),
]
