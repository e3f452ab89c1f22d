"""All checks of a potential, on several molecules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nnpmm.models.protocol import Potential
from nnpmm.models.validation.box import BOX
from nnpmm.models.validation.charges import TOTAL_CHARGE
from nnpmm.models.validation.check import FAIL, NOT_APPLICABLE, PASS, WARN, Check, Finding
from nnpmm.models.validation.cost import MEMORY, SPEED
from nnpmm.models.validation.cutoff import SMOOTHNESS
from nnpmm.models.validation.distance import SIZE_CONSISTENCY
from nnpmm.models.validation.dynamics import ENERGY_CONSERVATION
from nnpmm.models.validation.forces import FORCES
from nnpmm.models.validation.modes import BONDS, LOWEST_MODE, RIGID_MODES
from nnpmm.models.validation.molecules import create_probes
from nnpmm.models.validation.symmetry import PERMUTATION, ROTATION, TRANSLATION
from nnpmm.models.validation.walls import CLOSE_CONTACTS, STRETCHED_BONDS

__all__ = ["CHECKS", "Validation", "validate"]

#: In the order in which they are run and listed.
CHECKS: tuple[Check, ...] = (
    *(FORCES, TRANSLATION, ROTATION, PERMUTATION),
    *(ENERGY_CONSERVATION, SMOOTHNESS, STRETCHED_BONDS, CLOSE_CONTACTS),
    *(BONDS, LOWEST_MODE, RIGID_MODES, TOTAL_CHARGE, SIZE_CONSISTENCY, BOX),
    *(SPEED, MEMORY),
)
_ORDER = (NOT_APPLICABLE, PASS, WARN, FAIL)


@dataclass(frozen=True)
class Validation:
    """The results of all checks.

    Attributes:
        model: the potential's provenance.
        checks: the checks that were run.
        molecules: names of the molecules.
        left_out: for each molecule that the potential cannot describe, the reason.
        findings: of each check for each molecule.
    """

    model: dict[str, Any]
    checks: tuple[Check, ...]
    molecules: tuple[str, ...]
    left_out: dict[str, str]
    findings: tuple[Finding, ...]

    def of(self, check: str) -> list[Finding]:
        """Return the findings of one check, molecule by molecule."""
        return [finding for finding in self.findings if finding.check == check]

    def worst(self, check: str) -> Finding:
        """Return the finding of one check that exceeds its bounds most."""
        (chosen,) = (each for each in self.checks if each.name == check)
        sign = -1.0 if chosen.at_least else 1.0

        def badness(finding: Finding) -> tuple[int, bool, float]:
            value = finding.value
            return _ORDER.index(finding.verdict), value is None, sign * (value or 0.0)

        return max(self.of(check), key=badness)

    @property
    def verdict(self) -> str:
        """The worst of all verdicts."""
        return max((finding.verdict for finding in self.findings), key=_ORDER.index)


def validate(
    potential: Potential,
    molecules: Sequence[str] = (),
    *,
    checks: Sequence[Check] = CHECKS,
    progress: Callable[[str, int, int], None] | None = None,
) -> Validation:
    """Check a potential: forces, symmetries, dynamics, walls, modes, fragments, box, cost.

    Args:
        potential: any.
        molecules: SMILES, or SDF and MOL2 files; by default small molecules that the potential
            supports.
        checks: the checks to run; all by default.
        progress: called with the next check and molecule, the number of finished checks, and their
            total.

    Returns:
        The results. A failed check is not an exception.

    Raises:
        InputFileError: a molecule cannot be read.
        RegionError: the potential cannot describe a requested molecule.
        ModelError: the same, of a potential of another package.
        ConfigError: it can describe none of the default molecules, it was made for one molecule
            and none is given, or one is given twice.
    """
    probes, left_out = create_probes(potential, molecules)
    findings = []
    work = [(probe, check) for probe in probes for check in checks]
    for done, (probe, check) in enumerate(work):
        if progress is not None:
            progress(f"{probe.name}, {check.name}", done, len(work))
        findings.append(check(probe))
    names = tuple(probe.name for probe in probes)
    return Validation(potential.provenance, tuple(checks), names, left_out, tuple(findings))
