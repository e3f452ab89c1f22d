"""Every potential that openmm-ml knows, evaluated in a context of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import Vec3, app, unit

from nnpmm.errors import ModelError, OptionalDependencyError, SimulationError
from nnpmm.models.protocol import (
    BatchEvaluation,
    Evaluation,
    checked_batch,
    checked_box,
    checked_positions,
    one_by_one,
)
from nnpmm.units import in_md_units

__all__ = ["OpenmmMlEvaluator", "OpenmmMlModel", "openmm_ml_names"]


def openmm_ml_names() -> list[str] | None:
    """Return the names that openmm-ml knows, or None if it is not installed."""
    try:
        from openmmml import MLPotential
    except ImportError:
        return None
    return sorted(MLPotential._implFactories)


@dataclass(frozen=True)
class OpenmmMlModel:
    """A potential of openmm-ml, such as ``"mace-off23-small"``.

    Its energy is what openmm-ml returns: whether self energies are part of it is the potential's
    choice. Elements and charges are not checked here.

    Args:
        name: as for openmm-ml's ``MLPotential``.
        device: handed to the potential; ``"auto"`` leaves the choice to it.
    """

    name: str
    device: str = "auto"

    elements = None
    neutral_only = False

    @property
    def provenance(self) -> dict[str, Any]:
        """What to write down to make this model again."""
        return {"model": self.name, "backend": "openmm-ml", "device": self.device}

    def bind(self, atomic_numbers: Sequence[int] | NDArray[np.int64]) -> OpenmmMlEvaluator:
        """Make openmm-ml's system for these atoms.

        Raises:
            OptionalDependencyError: openmm-ml or the potential's package is missing.
            ModelError: openmm-ml cannot make the system.
        """
        return OpenmmMlEvaluator(self, np.asarray(atomic_numbers, dtype=np.int64))


class OpenmmMlEvaluator:
    """A potential of openmm-ml on the Reference platform; see `nnpmm.models.protocol.Evaluator`."""

    energy_offset = 0.0

    def __init__(self, model: OpenmmMlModel, atomic_numbers: NDArray[np.int64]) -> None:
        self.model = model
        self.atomic_numbers = atomic_numbers
        self._topology = app.Topology()
        residue = self._topology.addResidue("NNP", self._topology.addChain())
        for number in atomic_numbers:
            element = app.Element.getByAtomicNumber(int(number))
            self._topology.addAtom(element.symbol, element, residue)
        self._contexts: dict[bool, openmm.Context] = {}
        self._context_for(None)  # so that what cannot work fails now

    def __call__(self, positions: Any, box: Any = None) -> tuple[float, NDArray[np.float64]]:
        """Return energy (kJ/mol) and forces (n, 3) in kJ/mol/nm at positions (n, 3) in nm."""
        return self.evaluate(positions, box)[:2]

    def evaluate(self, positions: Any, box: Any = None) -> Evaluation:
        """Return energy, forces, and the energy once more as that of the only member.

        Raises:
            SimulationError: another shape, positions or an energy that are not finite, or a box
                that is not in reduced form.
        """
        array = checked_positions(in_md_units(positions, unit.nanometer), len(self.atomic_numbers))
        if box is not None:
            box = checked_box(in_md_units(box, unit.nanometer), 0.0)  # each potential has a range
        context = self._context_for(box)
        if box is not None:
            context.setPeriodicBoxVectors(*box)
        context.setPositions(array)
        state = context.getState(energy=True, forces=True)
        energy = state.getPotentialEnergy()._value
        if not np.isfinite(energy):
            raise SimulationError(f"{self.model.name} returned a non-finite energy")
        forces = np.array(state.getForces(asNumpy=True)._value, dtype=np.float64)
        return Evaluation(energy, forces, np.array([energy]))

    def member_energies(self, positions: Any, box: Any = None) -> NDArray[np.float64]:
        """Return the energy as that of the only member, shape (1,), kJ/mol."""
        return self.evaluate(positions, box).member_energies

    def batch(self, positions: Any) -> BatchEvaluation:
        """Return energies, forces and member energies of geometries (k, n, 3), one by one."""
        array = in_md_units(positions, unit.nanometer)
        return one_by_one(self, checked_batch(array, len(self.atomic_numbers)))

    def _context_for(self, box: NDArray[np.float64] | None) -> openmm.Context:
        """A periodic system is another system: each kind is made once, when it is asked for."""
        periodic = box is not None
        if periodic not in self._contexts:
            vectors = None if box is None else [Vec3(*row) for row in box] * unit.nanometer
            self._topology.setPeriodicBoxVectors(vectors)
            platform = openmm.Platform.getPlatformByName("Reference")
            integrator = openmm.VerletIntegrator(0.001)
            self._contexts[periodic] = openmm.Context(self._system(), integrator, platform)
        return self._contexts[periodic]

    def _system(self) -> openmm.System:
        name, device = self.model.name, self.model.device
        choices = {} if device == "auto" else {"device": device}
        try:
            from openmmml import MLPotential

            return MLPotential(name).createSystem(self._topology, removeCMMotion=False, **choices)
        except ImportError as error:
            raise OptionalDependencyError(
                f"openmm-ml's {name}: {error}; install openmmml and the potential's own package"
            ) from error
        except Exception as error:  # whatever a potential's package may raise
            raise ModelError(
                f"openmm-ml's {name} cannot describe these atoms ({type(error).__name__}: {error})"
            ) from error

    def __reduce__(self) -> tuple[Any, ...]:
        return (OpenmmMlEvaluator, (self.model, self.atomic_numbers))
