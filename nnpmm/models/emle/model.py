"""EMLE's charges of a molecule, with compiled symmetry functions and analytical derivatives."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.constants import BOHR_IN_NM
from nnpmm.core.errors import WeightsError
from nnpmm.models.charges import Charges, InducedEnergy
from nnpmm.models.composition import known_symbols
from nnpmm.models.emle.equilibration import Equilibration
from nnpmm.models.emle.parameters import EmleParameters
from nnpmm.models.emle.storage import read_parameters
from nnpmm.models.in_process import recall, remember

if TYPE_CHECKING:
    from nnpmm.models.emle.symmetry import Symmetry

__all__ = ["BoundEmle", "EmleCharges", "load_emle"]


@dataclass(frozen=True)
class EmleCharges:
    """EMLE's charges: cores that are points, and valence densities whose widths follow geometry.

    Usually made by `load_emle`.

    Args:
        parameters: of the model.
        source: where they came from, for messages and records.
        path: of the file, from which another process can read them again.
    """

    parameters: EmleParameters = field(repr=False)
    source: str = "parameters given in Python"
    path: Path | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Name for messages and logs."""
        return "EMLE"

    @property
    def polarizable(self) -> bool:
        """True: a field induces dipoles in its molecules."""
        return True

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols that the model knows."""
        return self.parameters.elements

    def bind(self, atomic_numbers: Sequence[int] | NDArray[np.int64], charge: int = 0) -> BoundEmle:
        """Fix the composition and the total charge.

        Args:
            atomic_numbers: shape (n,).
            charge: total charge, e.

        Raises:
            RegionError: an element that the model does not know.
        """
        return BoundEmle(self, np.asarray(atomic_numbers, dtype=np.int64), charge)

    def __reduce__(self) -> tuple[Any, ...]:
        digest = self.parameters.digest()
        remember(digest, self.parameters)
        return (_restore, (digest, self.source, self.path))


def load_emle(path: str | Path) -> EmleCharges:
    """Return the charges of an EMLE model for H, C, N, O and S on ANI-2x's symmetry functions.

    The models are published at github.com/chemle/emle-models under the GPL; nnpmm contains none.

    Args:
        path: a MATLAB file, version 5 or 7, which contains only numeric arrays.

    Raises:
        InputFileError: the file cannot be read.
        WeightsError: it has no such model.
    """
    path = Path(path)
    return EmleCharges(read_parameters(path), source=str(path), path=path)


def _restore(digest: str, source: str, path: Path | None) -> EmleCharges:
    parameters = recall(digest)
    if parameters is None and path is not None:
        parameters = read_parameters(path)
    if parameters is None or parameters.digest() != digest:
        raise WeightsError(
            f"the parameters of EMLE ({source}) are not those that the system was made with; "
            "couple the system again"
        )
    return EmleCharges(parameters, source, path)


class BoundEmle:
    """EMLE bound to atoms; see `nnpmm.models.charges.BoundCharges`.

    Attributes:
        model: parameters and their source.
        atomic_numbers: (n,).
        charge: total charge, e.
    """

    def __init__(self, model: EmleCharges, atomic_numbers: NDArray[np.int64], charge: int) -> None:
        self.model, self.atomic_numbers, self.charge = model, atomic_numbers, charge
        parameters = model.parameters
        self.symbols = known_symbols(atomic_numbers, parameters.elements, model.name)
        species = [parameters.elements.index(symbol) for symbol in self.symbols]
        self._core = parameters.core_charges[species]
        self._scales = parameters.polarizability_scales[species]
        self._rows = [
            (number, np.flatnonzero(np.array(species) == number)) for number in sorted({*species})
        ]
        self._widths = parameters.coefficients(parameters.widths)
        self._chi = parameters.coefficients(parameters.electronegativities)
        self._symmetry: Symmetry | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return (BoundEmle, (self.model, self.atomic_numbers, self.charge))

    def __call__(self, positions: NDArray[np.float64]) -> Charges:
        """Return charges, valence charges and widths at positions (n, 3) in nm, of a molecule."""
        symmetry = self._functions()
        features, lengths = self._features(symmetry.describe(positions))
        widths, chi, products = self._predict(features)
        scale = self.model.parameters.gaussian_scale
        equilibration = Equilibration(positions / BOHR_IN_NM, widths, chi, scale, self.charge)

        def pull_back(
            on_charges: NDArray[np.float64],
            on_valence: NDArray[np.float64],
            on_widths: NDArray[np.float64],
        ) -> NDArray[np.float64]:
            direct, by_widths, by_chi = equilibration.pull_back(on_charges + on_valence)
            by_widths = by_widths + on_widths * BOHR_IN_NM
            by_features = self._by_features(products, by_widths, by_chi)
            along = (by_features * features).sum(axis=1, keepdims=True)
            by_aev = (by_features - along * features) / lengths
            return direct / BOHR_IN_NM + symmetry.pull_back(positions, by_aev)

        charges = equilibration.charges
        valence, in_nm = charges - self._core, widths * BOHR_IN_NM
        return Charges(
            charges,
            pull_back,
            valence,
            in_nm,
            functools.partial(self._induce, positions, valence, in_nm),
        )

    def _induce(self, *arguments: NDArray[np.float64]) -> InducedEnergy:
        from nnpmm.models.emle.induction import induce

        positions, valence, widths, field, damped = arguments
        thole = self.model.parameters.thole_scale
        return induce(positions, valence, widths, self._scales, thole, field, damped)

    def _functions(self) -> Symmetry:
        """Return the symmetry functions, created on first use because numba is slow to import."""
        if self._symmetry is None:
            from nnpmm.models.emle.symmetry import Symmetry

            parameters = self.model.parameters
            self._symmetry = Symmetry(parameters.functions, self.symbols)
            # Columns that the references lack, such as those of two S, count for the length alone.
            known = {column: place for place, column in enumerate(parameters.columns.tolist())}
            places = [known.get(column, -1) for column in self._symmetry.columns.tolist()]
            self._kept = np.flatnonzero(np.array(places) >= 0)
            kept = np.array(places)[self._kept]
            self._references = [each[:, kept] for each in parameters.references]
        return self._symmetry

    def _features(
        self, aev: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return AEVs (n, c) of length 1, and their lengths before, (n, 1)."""
        lengths = np.linalg.norm(aev, axis=1, keepdims=True)
        lengths = np.where(lengths > 0, lengths, 1.0)  # a lone atom has no neighbours
        return aev / lengths, lengths

    def _predict(
        self, features: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], list[NDArray[np.float64]]]:
        """Return s and chi, (n,), and the products with the references of each element."""
        parameters = self.model.parameters
        widths, chi = np.empty((2, len(features)))
        products = []
        for number, rows in self._rows:
            product = features[rows][:, self._kept] @ self._references[number].T
            means = parameters.widths[number].mean(), parameters.electronegativities[number].mean()
            widths[rows] = means[0] + product**2 @ self._widths[number]
            chi[rows] = means[1] + product**2 @ self._chi[number]
            products.append(product)
        return widths, chi, products

    def _by_features(
        self,
        products: list[NDArray[np.float64]],
        by_widths: NDArray[np.float64],
        by_chi: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the gradient (n, c) by way of the Gaussian processes."""
        found = np.zeros((len(by_widths), len(self._functions().columns)))
        for (number, rows), product in zip(self._rows, products, strict=True):
            weights = np.outer(by_widths[rows], self._widths[number])
            weights += np.outer(by_chi[rows], self._chi[number])
            found[np.ix_(rows, self._kept)] = (2 * weights * product) @ self._references[number]
        return found
