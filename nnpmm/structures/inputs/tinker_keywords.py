"""Read Tinker's parameter and key files; every key word is used, ignored or refused."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from nnpmm.core.errors import ConfigError, InputFileError

__all__ = ["PARAMETERS", "KeywordFile", "Line", "atom_group", "read_keywords"]

_LOGGER = logging.getLogger(__name__)

#: Key words of force-field parameters, and the number of classes or types before the values.
PARAMETERS = {
    "atom": 1, "bond": 2, "angle": 3, "anglep": 3, "strbnd": 3, "ureybrad": 3, "opbend": 4,
    "torsion": 4, "pitors": 2, "strtors": 4, "angtors": 4, "vdw": 1, "vdwpair": 2, "vdwpr": 2,
    "multipole": None, "polarize": 1, "tortors": 5, "polpair": 2,
}  # fmt: skip
# Values that are built into OpenMM's AMOEBA. A file with another value would have another energy.
_FIXED = {
    "opbendtype": "allinger", "vdwtype": "buffered-14-7", "radiustype": "r-min",
    "radiussize": "diameter", "dielectric": 1.0, "vdw-12-scale": 0.0, "vdw-13-scale": 0.0,
    "vdw-14-scale": 1.0, "vdw-15-scale": 1.0, "mpole-12-scale": 0.0, "mpole-13-scale": 0.0,
    "mpole-14-scale": 0.4, "mpole-15-scale": 0.8, "polar-12-scale": 0.0, "polar-13-scale": 0.0,
    "polar-14-scale": 1.0, "polar-15-scale": 1.0, "polar-12-intra": 0.0, "polar-13-intra": 0.0,
    "polar-14-intra": 0.5, "polar-15-intra": 1.0, "direct-11-scale": 0.0, "direct-12-scale": 1.0,
    "direct-13-scale": 1.0, "direct-14-scale": 1.0, "mutual-11-scale": 1.0,
    "mutual-12-scale": 1.0, "mutual-13-scale": 1.0, "mutual-14-scale": 1.0,
    # Those of _FIXED_RUN_WORDS: a fully coupled solute, and OpenMM's spline order.
    "vdw-lambda": 1.0, "ele-lambda": 1.0, "pme-order": 5.0,
}  # fmt: skip
_FIXED_RUN_WORDS = frozenset({"vdw-lambda", "ele-lambda", "pme-order"})
# Constants of the force field that OpenMM's reader uses.
_CONSTANTS = frozenset(
    "forcefield bond-cubic bond-quartic angle-cubic angle-quartic angle-pentic angle-sextic "
    "opbend-cubic opbend-quartic opbend-pentic opbend-sextic torsionunit pitorsunit strtorunit "
    "angtorunit radiusrule epsilonrule polarization".split()
)
# Key words of a run that `nnpmm.structures.inputs.tinker` uses.
_RUN_WORDS = frozenset(
    "a-axis b-axis c-axis ewald ewald-cutoff ewald-alpha vdw-cutoff vdw-correction polar-eps "
    "pme-grid group ligand mlpot".split()
)
# Key words about output and algorithms, which do not change the energy.
_IGNORED = frozenset(
    "parameters verbose debug digits archive noarchive dcdio printout noversion overwrite exit "
    "randomseed openmp-threads pme-procs neighbor-list vdw-list mpole-list list-buffer "
    "vdw-annihilate polar-alg polar-predict polar-iter usolve-list usolve-cutoff usolve-buffer "
    "biotype solute resp-weight".split()
)
# Time integration and ensemble, which are part of the settings of a run.
_PROTOCOL = frozenset(
    "integrator dshort dinter thermostat barostat tau-temperature tau-pressure friction "
    "volume-trial volume-move ml-model".split()
)
# Terms of force fields that OpenMM's reader lacks. Without them the energy would change.
_UNSUPPORTED_TERMS = frozenset(
    "bond3 bond4 bond5 angle3 angle4 angle5 anglef improper imptors opdist torsion4 torsion5 "
    "charge dipole vdw14 hbond chgpen dispersion repulsion chgtrn bndcflux angcflux exchpol "
    "bondunit angleunit strbndunit ureyunit opbendunit improperunit imptorunit bondtype".split()
)
_WORD = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True)
class Line:
    """A line of a file.

    Attributes:
        number: line number, from 1.
        word: key word in lower case.
        fields: the other fields of the line.
        continued: fields of the continuation lines of a multipole or a grid.
    """

    number: int
    word: str
    fields: tuple[str, ...]
    continued: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class KeywordFile:
    """A parameter or key file.

    Attributes:
        path: the file.
        lines: force-field parameters and constants in the form of OpenMM's reader, in order.
        parameters: the lines of parameters.
        run: key words of a run that are used, with their lines.
    """

    path: Path
    lines: list[str] = field(default_factory=list)
    parameters: list[Line] = field(default_factory=list)
    run: dict[str, list[Line]] = field(default_factory=dict)


def read_keywords(path: Path, *, is_key: bool) -> KeywordFile:
    """Read a parameter file or a key file.

    Tinker reads the key words of a run from the key file alone. In a parameter file they are
    ignored with a warning.

    Args:
        path: the file.
        is_key: whether it is a key file.

    Raises:
        ConfigError: an unsupported key word that would change the energy.
        InputFileError: the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputFileError(f"{path}: cannot read the Tinker file: {error.strerror}") from error
    found, ignored, protocol = KeywordFile(path), [], []
    in_parameter = False
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw if raw.count('"') > 1 else raw.split("#")[0]
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        word = fields[0].lower()
        if in_parameter and _is_number(word):
            _add_continuation(found, line)
            continue
        entry = Line(number, word, tuple(fields[1:]))
        in_parameter = word in PARAMETERS
        if word in PARAMETERS or word in _CONSTANTS:
            _add_line(found, entry, line)
        elif word in _FIXED:
            if is_key or word not in _FIXED_RUN_WORDS:
                _check_fixed(path, entry)
            else:
                ignored.append(entry)
        elif word in _RUN_WORDS:
            if is_key:
                found.run.setdefault(word, []).append(entry)
            else:
                ignored.append(entry)
        elif word in _PROTOCOL:
            protocol.append(word)
        elif word not in _IGNORED:
            _refuse_unknown(path, entry, is_key=is_key)
    _report(path, ignored, protocol if is_key else [])
    return found


def _add_line(found: KeywordFile, entry: Line, line: str) -> None:
    """Add a line of parameters or constants."""
    if entry.word in PARAMETERS:
        found.parameters.append(entry)
    if entry.word == "polarization":  # an option of the System
        found.run.setdefault("polarization", []).append(entry)
    elif entry.word == "vdwpr":  # a synonym that OpenMM's reader does not know
        found.lines.append(" ".join(["vdwpair", *entry.fields]))
    elif entry.word != "polpair":
        found.lines.append(line.replace(line.split()[0], entry.word, 1).strip())


def _add_continuation(found: KeywordFile, line: str) -> None:
    """Add a continuation line of a multipole or a grid."""
    found.lines.append(line)
    last = found.parameters[-1]
    found.parameters[-1] = replace(last, continued=(*last.continued, *line.split()))


def _check_fixed(path: Path, entry: Line) -> None:
    allowed = _FIXED[entry.word]
    text = entry.fields[0].lower() if entry.fields else ""
    same = text == allowed if isinstance(allowed, str) else _number(text) == allowed
    if not same:
        wanted = allowed if isinstance(allowed, str) else f"{allowed:g}"
        raise ConfigError(
            f"{path.name}, line {entry.number}: found {entry.word} {text}, allowed with OpenMM's "
            f"AMOEBA: {wanted}"
        )


def _refuse_unknown(path: Path, entry: Line, *, is_key: bool) -> None:
    """Refuse a key word in a key file.

    Parameter files contain free text of their authors, so unknown words in them are ignored. If a
    term of an unknown kind is needed, the check for missing parameters finds that.
    """
    if not is_key or not _WORD.fullmatch(entry.word):
        return
    raise ConfigError(
        f"{path.name}, line {entry.number}: found the key word {entry.word!r}, which "
        + (
            "OpenMM's AMOEBA does not have"
            if entry.word in _UNSUPPORTED_TERMS
            else "is not supported and may change the energy"
        )
        + "; remove the line, or put a # before it if it is a comment"
    )


def _report(path: Path, ignored: list[Line], protocol: list[str]) -> None:
    if ignored:
        listed = ", ".join(" ".join([entry.word, *entry.fields]) for entry in ignored)
        _LOGGER.warning(
            "%s: key words of a run in a parameter file are not read, as in Tinker (%s); give them "
            "in the key file (system.key) or the settings",
            path.name,
            listed,
        )
    if protocol:
        _LOGGER.info(
            "%s: left to the settings of the run: %s", path.name, ", ".join(sorted(set(protocol)))
        )


def atom_group(line: Line, path: Path, n_atoms: int, *, skip: int) -> list[int]:
    """Return the 0-based atoms of a ``group`` or ``ligand`` line.

    A negative number begins a range that ends with the number after it.

    Args:
        line: a line with ``skip`` other numbers before the atoms.
        path: its file.
        n_atoms: number of atoms of the system.
        skip: number of fields before the atoms.

    Raises:
        InputFileError: the fields are not numbers of atoms.
    """
    try:
        numbers = [int(text) for text in line.fields[skip:]]
        atoms: set[int] = set()
        while numbers:
            first = numbers.pop(0)
            last = numbers.pop(0) if first < 0 else first
            atoms |= set(range(abs(first) - 1, last))
    except (ValueError, IndexError) as error:
        raise InputFileError(f"{path.name}, line {line.number}: cannot read the atoms") from error
    if not atoms or min(atoms) < 0 or max(atoms) >= n_atoms:
        raise InputFileError(
            f"{path.name}, line {line.number}: found atoms outside 1 to {n_atoms}, those of the "
            "xyz file"
        )
    return sorted(atoms)


def _is_number(text: str) -> bool:
    return _number(text) is not None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
