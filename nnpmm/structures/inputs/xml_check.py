"""Check an OpenMM XML file before OpenMM reads it.

OpenMM's parser recurses into nested elements without limit, and reads text that is not a number
as 0.
"""

from __future__ import annotations

import math
from pathlib import Path
from xml.parsers import expat

from nnpmm.core.errors import InputFileError

__all__ = ["check_xml"]

# A System has 7 levels; a CustomCVForce adds four levels for each force that it contains.
_MAX_DEPTH = 50
#: Attributes that OpenMM's serialisation writes as text; it writes all others as numbers.
TEXTUAL = frozenset(
    "name type types energy expression parameter openmmVersion computationVariable "
    "computationExpression kineticEnergyExpression EpsilonCombiningRule SigmaCombiningRule".split()
)
#: Attributes whose values have bounds besides being finite.
_BOUNDED = frozenset(("mass", "cutoff", "d", "ewaldTolerance"))


def check_xml(data: bytes, path: Path) -> None:
    """Check that an XML file is complete, not too deep, and contains finite numbers.

    Args:
        data: content of the file.
        path: path of the file for error messages.

    Raises:
        InputFileError: the file fails the check; the message names the line.
    """
    parser = expat.ParserCreate()
    depth = 0

    def start(element: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        problem = None
        if depth > _MAX_DEPTH:
            problem = f"elements are nested more than {_MAX_DEPTH} deep"
        for name, text in attributes.items():
            if name not in TEXTUAL and (name in _BOUNDED or not _is_finite(text)):
                problem = problem or _problem(element, name, text)
        if problem is not None:
            raise InputFileError(
                f"{path}, line {parser.CurrentLineNumber}: {problem}; write the file with "
                "openmm.XmlSerializer"
            )

    def end(element: str) -> None:
        nonlocal depth
        depth -= 1

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise InputFileError(
            f"{path}: cannot read the OpenMM System: not complete XML ({error}); write the file "
            "with openmm.XmlSerializer"
        ) from error


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _problem(element: str, name: str, text: str) -> str | None:
    """Return what is wrong with a numeric attribute, or None."""
    found = f'found {name}="{text[:40]}" of <{element[:40]}>'
    if not _is_finite(text):
        return f"{found}, expected a finite number"
    value = float(text)
    if name == "mass" and value < 0:
        return f"{found}, allowed: 0 (the particle does not move) and more"
    if (name == "cutoff" or (name == "d" and element == "Constraint")) and value <= 0:
        return f"{found}, expected more than 0 (nm)"
    if name == "ewaldTolerance" and not 0 < value < 1:
        return f"{found}, expected a number between 0 and 1"
    return None
