"""Detect protonation states that are unusual in water at pH 7, by SMARTS."""

from __future__ import annotations

from functools import lru_cache

from rdkit import Chem

__all__ = ["unusual_protonation"]

# Atoms bonded to carbon or hydrogen alone, and amines whose carbons are sp3. The second nitrogen of
# a diamine next to a protonated one stays neutral.
_AMINE = "[NX3;+0;$(N-[CX4]);!$(N~[!#6;!#1]);!$(N-[#6;!X4]);!$(N-[CX4]-[CX4]-[#7+])]"
#: Group and SMARTS, whose first atom is named. The first row that matches an atom counts.
_UNUSUAL = (
    ("a neutral carboxylic acid", "[OX2H1]-[CX3]=O"),
    ("a neutral sulfonic or sulfinic acid", "[OX2H1]-[SX4,SX3]=O"),
    ("a neutral phosphoric or phosphonic acid", "[OX2H1]-[PX4]=O"),
    ("a neutral aliphatic amine", _AMINE),
    ("a neutral amidine or guanidine", "[NX2;!a;!$(N-[!#6;!#1]);!$(N-C=[O,S])]=[CX3;!a]-[NX3;!a]"),
    ("a protonated aromatic amine", "[NX4+;!H0]-c"),
    ("a protonated amide", "[NX4+;!H0]-C=[O,S]"),
    ("a protonated pyridine", "[nX3+;!H0;r6]"),
    ("a deprotonated alcohol or phenol", "[OX1-]-[CX4,c]"),
    ("a deprotonated amine or amide", "[#7;X2-;!$([#7]~[#7]);!$([#7]S(=O)=O);!a]"),
    ("a protonated oxygen", "[OX3+,OX2+;!a]"),
    ("a carbon with a charge", "[#6+,$([#6-]);!$([#6-]#[#7+])]"),
)


def unusual_protonation(molecule: Chem.Mol) -> list[str]:
    """Return groups whose protonation is unusual in water at pH 7, such as ``"... (atom 3)"``.

    The groups are common ones with a typical pKa; the effect of their surroundings is neglected.

    Args:
        molecule: a sanitised molecule with all hydrogens.
    """
    found: dict[str, list[int]] = {}
    seen: set[int] = set()
    for (name, _), pattern in zip(_UNUSUAL, _patterns(), strict=True):
        for first, *_ in molecule.GetSubstructMatches(pattern):
            if first not in seen:
                seen.add(first)
                found.setdefault(name, []).append(first)
    return [
        f"{name} (atom{'s' if len(atoms) > 1 else ''} {', '.join(map(str, sorted(atoms)))})"
        for name, atoms in found.items()
    ]


@lru_cache(maxsize=1)
def _patterns() -> tuple[Chem.Mol, ...]:
    return tuple(Chem.MolFromSmarts(smarts) for _, smarts in _UNUSUAL)
