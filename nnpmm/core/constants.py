"""Physical constants and conversion factors in MD units: kJ/mol, nm, K, elementary charges."""

from __future__ import annotations

__all__ = [
    "BOHR_IN_NM",
    "COULOMB_CONSTANT",
    "DALTON_PER_NM3_IN_G_PER_ML",
    "EV_TO_KJ_PER_MOL",
    "GAS_CONSTANT",
    "HARTREE_TO_KJ_PER_MOL",
    "KJ_PER_KCAL",
]

#: 1 / (4 pi eps0), kJ mol^-1 nm e^-2: OpenMM's ONE_4PI_EPS0, so that energies equal OpenMM's to the
#: last digit. GROMACS has the same in nine digits.
COULOMB_CONSTANT = 138.93545764438198
#: R, exact since 2019: Boltzmann's constant (J/K) times Avogadro's number, in kJ/mol/K.
GAS_CONSTANT = 1.380649e-23 * 6.02214076e23 / 1000.0
#: CODATA 2018: hartree (J) times Avogadro's number, in kJ/mol.
HARTREE_TO_KJ_PER_MOL = 4.3597447222071e-18 * 6.02214076e23 / 1000.0
#: The thermochemical calorie, exact by definition.
KJ_PER_KCAL = 4.184
#: CODATA 2018: the dalton in 1e-24 g.
DALTON_PER_NM3_IN_G_PER_ML = 1.66053906660e-3
#: The electronvolt, exact since 2019: elementary charge (C) times Avogadro's number, in kJ/mol.
EV_TO_KJ_PER_MOL = 1.602176634e-19 * 6.02214076e23 / 1000.0
#: CODATA 2018.
BOHR_IN_NM = 0.0529177210903
