"""Every potential that openmm-ml knows, evaluated in its own context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import Vec3, app, unit

from nnpmm.core.errors import ModelError, OptionalDependencyError, RegionError, SimulationError
from nnpmm.core.fields import MODEL_FILES
from nnpmm.core.units import in_md_units
from nnpmm.models.aimnet.family import AIMNET
from nnpmm.models.ani.family import ANI
from nnpmm.models.bound import BoundPotential
from nnpmm.models.protocol import Evaluation, checked_box

__all__ = [
    "OPENMM_ML",
    "OpenmmMlEvaluator",
    "OpenmmMlFamily",
    "OpenmmMlModel",
    "openmm_ml_names",
]

# Kinds of potentials that read an argument "charge", according to the source of openmm-ml 1.8.
_READ_CHARGES = ("AIMNet2", "FeNNix", "MACE", "Orb", "TorchMDNet")


def openmm_ml_names() -> list[str] | None:
    """Return the names that openmm-ml knows, or None if it is not installed."""
    try:
        from openmmml import MLPotential
    except ImportError:
        return None
    return sorted(MLPotential._implFactories)


class OpenmmMlFamily:
    """The names of openmm-ml; see `nnpmm.models.family.ModelFamily`.

    Names that are also those of ANI and AIMNet2 are left out: nnpmm evaluates these networks
    itself, and the forces of openmm-ml 1.8 for ANI are wrong by a factor of ten.
    """

    options = ("device",)

    @property
    def accepts(self) -> str:
        """A description of the names that are known, for error messages."""
        if openmm_ml_names() is None:
            return "pip install openmmml for more"
        return "a name that openmm-ml knows"

    def names(self) -> tuple[str, ...]:
        """Return openmm-ml's names; none if it is not installed."""
        return tuple(name for name in openmm_ml_names() or () if not _is_own(name))

    def recognizes(self, name: str) -> bool:
        """Return whether openmm-ml knows a name, which is neither a file's nor nnpmm's own."""
        # Asking openmm-ml makes it import all its potentials, so other names are decided before.
        if name.endswith(MODEL_FILES) or _is_own(name):
            return False
        return name in self.names()

    def load(self, name: str, **options: Any) -> OpenmmMlModel:
        """Return the model, whose own package is needed only when it is bound to atoms."""
        return OpenmmMlModel(name, **options)


def _is_own(name: str) -> bool:
    return any(family.recognizes(name) for family in (ANI, AIMNET))


#: For the table of `nnpmm.models.registry`.
OPENMM_ML = OpenmmMlFamily()


@dataclass(frozen=True)
class OpenmmMlModel:
    """A potential of openmm-ml, such as ``"mace-off23-small"``.

    Its energy is the one that openmm-ml returns; whether it includes self energies depends on the
    potential. Elements are not checked here.

    Args:
        name: as for openmm-ml's ``MLPotential``.
        device: passed to the potential; ``"auto"`` leaves the choice to it.
        arguments: further keyword arguments of openmm-ml's ``createSystem``, such as ``calculator``
            for the potential ``"ase"``.
    """

    name: str
    device: str = "auto"
    arguments: Mapping[str, Any] = field(default_factory=dict)

    elements = None
    neutral_only = False

    def __repr__(self) -> str:
        arguments = "".join(f", {name}=..." for name in self.arguments)  # whole calculators
        return f"OpenmmMlModel({self.name!r}, device={self.device!r}{arguments})"

    @property
    def provenance(self) -> dict[str, Any]:
        """What a record has to contain so that this model can be loaded again."""
        record = {"model": self.name, "backend": "openmm-ml", "device": self.device}
        return record | {name: str(value) for name, value in self.arguments.items()}

    def bind(
        self, atomic_numbers: Sequence[int] | NDArray[np.int64], charge: int = 0
    ) -> OpenmmMlEvaluator:
        """Create openmm-ml's System of these atoms.

        A charge is passed to the potentials of openmm-ml 1.8 that read one; whether their network
        uses it depends on the network. With ``"ase"`` state the charge in ``arguments["info"]``.

        Args:
            atomic_numbers: shape (n,).
            charge: total charge, e.

        Raises:
            OptionalDependencyError: openmm-ml or the potential's package is missing.
            ModelError: openmm-ml cannot make the system.
            RegionError: a charge, and a potential that reads none.
        """
        return OpenmmMlEvaluator(self, np.asarray(atomic_numbers, dtype=np.int64), charge)


class OpenmmMlEvaluator(BoundPotential):
    """A potential of openmm-ml on the Reference platform; see `nnpmm.models.protocol.Evaluator`."""

    model: OpenmmMlModel

    def __init__(
        self, model: OpenmmMlModel, atomic_numbers: NDArray[np.int64], charge: int = 0
    ) -> None:
        self.model = model
        self.atomic_numbers = atomic_numbers
        self.charge = charge
        self._topology = app.Topology()
        residue = self._topology.addResidue("NNP", self._topology.addChain())
        for number in atomic_numbers:
            element = app.Element.getByAtomicNumber(int(number))
            self._topology.addAtom(element.symbol, element, residue)
        self._contexts: dict[bool, openmm.Context] = {}
        self._context_for(None)  # an error is raised here rather than in a simulation

    def _evaluate(self, positions: NDArray[np.float64], box: Any) -> Evaluation:
        if box is not None:
            box = checked_box(in_md_units(box, unit.nanometer), 0.0)  # each potential has a range
        context = self._context_for(box)
        if box is not None:
            context.setPeriodicBoxVectors(*box)
        context.setPositions(positions)
        state = context.getState(energy=True, forces=True)
        energy = state.getPotentialEnergy()._value
        if not np.isfinite(energy):
            raise SimulationError(f"{self.model.name} returned a non-finite energy")
        forces = np.array(state.getForces(asNumpy=True)._value, dtype=np.float64)
        return Evaluation(energy, forces, np.array([energy]))

    def _context_for(self, box: NDArray[np.float64] | None) -> openmm.Context:
        """Return the context with or without a periodic box; each is created on first use."""
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
        choices = dict(self.model.arguments) | ({} if device == "auto" else {"device": device})
        try:
            from openmmml import MLPotential

            potential = MLPotential(name)
            choices |= _charge_argument(potential, self.charge, choices)
            return potential.createSystem(self._topology, removeCMMotion=False, **choices)
        except RegionError:
            raise
        except ImportError as error:
            raise OptionalDependencyError(
                f"openmm-ml's {name}: {error}; install openmmml and the potential's own package"
            ) from error
        except Exception as error:  # whatever a potential's package may raise
            raise ModelError(
                f"openmm-ml's {name} cannot describe these atoms ({type(error).__name__}: {error})"
            ) from error

    def __reduce__(self) -> tuple[Any, ...]:
        return (OpenmmMlEvaluator, (self.model, self.atomic_numbers, self.charge))


def _charge_argument(potential: Any, charge: int, choices: Mapping[str, Any]) -> dict[str, int]:
    """Return the options that pass a charge to openmm-ml; refuse where it would be ignored."""
    stated = choices.get("charge", choices.get("info", {}).get("charge", 0))
    if stated == charge:
        return {}
    kind = type(potential._impl).__name__.removesuffix("PotentialImpl")
    if kind not in _READ_CHARGES or "charge" in choices:
        raise RegionError(
            f"the region has charge {charge:+d} e, and openmm-ml's {kind} potential was given "
            f"{stated:+d}; allowed: the same charge (arguments={{'info': {{'charge': ...}}}} with "
            f"'ase'), or one of {', '.join(_READ_CHARGES)}, which read it"
        )
    return {"charge": charge}
