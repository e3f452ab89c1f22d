"""Finite-size correction of the free energy of charging a molecule under Ewald sums.

`nnpmm.freeenergy.alchemy.decouple` scales the charges of a molecule by lambda_e. A net charge Q
then interacts with its own periodic images and with the uniform background that neutralises the
cell, in proportion to lambda_e^2, and so does the polarization of the solvent around it. The
desired result is that of the molecule in an infinite solvent. The difference has four parts
(Rocklin, Mobley, Dill and Hunenberger, J. Chem. Phys. 2013, 139, 184103, with neither a second
charge nor its empirical term), for a cube of edge L and a solvent of permittivity eps::

    net charge             -xi Q^2 / (8 pi eps0 L),                 xi = -2.837297
    undersolvation         +xi Q^2 / (8 pi eps0 L) (1 - 1/eps)
    integrated potential   +Q I / L^3
    discrete solvent       -Q gamma N / (6 eps0 L^3)

The first removes the interaction with images and background in vacuum, which the ladder contains in
full; the second adds the part of it that the solvent screens. Their sum is -xi Q^2 / (8 pi eps0 eps
L): small in water, large in a solvent of low permittivity.

Ewald sums set the mean potential of the cell to zero. The third part accounts for the molecule's
share in that mean (Hunenberger and McCammon, J. Chem. Phys. 1999, 110, 1856)::

    I = integral of [phi(r) - Q / (4 pi eps0 eps |r - r_Q|)] over all space,

phi being the potential of the molecule's charges in a cavity of the solvent, r_Q their centre. Two
limits are simple. In a conducting solvent, phi ends at the cavity, and by Green's reciprocity I =
sum of q_i u(r_i), with -laplace u = 1/eps0 inside and u = 0 on the surface. Without solvent I =
-sum of q_i |r_i - r_Q|^2 / (6 eps0). Between them I is interpolated in 1/eps, which is exact for a
charge in the centre of a sphere of radius R: I = Q R^2 (1 - 1/eps) / (6 eps0).

The fourth part is the contribution of the N solvent molecules to the mean potential: each has the
trace gamma = sum of q_i |r_i - r_0|^2 of its second moment about its van der Waals site r_0
(Kastenholz and Hunenberger, J. Chem. Phys. 2006, 124, 124106 and 224501). With it the zero of the
potential is outside of the solvent molecules, without a surface of the liquid: the free energy is
an intrinsic one. Without it the zero is the mean potential of the box, and the free energy of a
single charge depends on where the solvent's molecules carry their charges.

The next term of the sphere, (16 pi^2 / 45) (1 - 1/eps) Q^2 R^5 / (8 pi eps0 L^6), is below 0.01
kJ/mol for R = 0.3 nm in a box of 2.5 nm and is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnpmm.core.constants import COULOMB_CONSTANT
from nnpmm.core.errors import ConfigError

__all__ = ["FiniteSizeCorrection", "cavity_radii", "exit_time", "finite_size_correction"]

#: Potential of a unit charge in a cubic lattice with its neutralising background, times L.
_WIGNER = -2.837297
_ONE_OVER_EPS0 = 4 * np.pi * COULOMB_CONSTANT
# nm: the distance between van der Waals surfaces at which TIP3P's oxygen (R_min/2 = 0.1768 nm) is
# closest, minus the 0.14 nm of a spherical probe.
_SOLVENT_RADIUS = 0.1768 - 0.14
_WALKS = 1000  # random walks from each point
_SKIN = 1e-4  # nm, distance from the surface at which a walk ends


@dataclass(frozen=True)
class FiniteSizeCorrection:
    """Terms to add to the free energy of charging in a periodic box, kJ/mol.

    Attributes:
        net_charge: of the interaction with images and background in vacuum.
        undersolvation: of the part of this interaction that the solvent screens.
        integrated_potential: of the molecule's share in the mean potential of the box.
        discrete_solvent: of the solvent's share; None where it is not defined.
    """

    net_charge: float
    undersolvation: float
    integrated_potential: float
    discrete_solvent: float | None

    @property
    def terms(self) -> dict[str, float]:
        """The parts that are defined, by their names."""
        terms = {
            "net charge": self.net_charge,
            "undersolvation": self.undersolvation,
            "integrated potential": self.integrated_potential,
        }
        if self.discrete_solvent is not None:
            terms["discrete solvent"] = self.discrete_solvent
        return terms

    @property
    def total(self) -> float:
        """The sum of the parts, kJ/mol."""
        return sum(self.terms.values())

    @property
    def zero_of_potential(self) -> str:
        """The zero of the potential to which the corrected free energy refers, in words."""
        if self.discrete_solvent is None:
            return "the mean of the box, the insides of the solvent's molecules included"
        return "outside of the solvent's molecules, without a surface of the liquid (intrinsic)"


def finite_size_correction(
    charges: ArrayLike,
    positions: ArrayLike,
    radii: ArrayLike,
    volumes: ArrayLike,
    *,
    permittivity: float,
    solvent: tuple[int, float] | None = None,
    seed: int = 0,
) -> FiniteSizeCorrection:
    """Return the finite-size correction of charging a molecule in a cubic box of pure solvent.

    The correction is averaged over the fluctuating volume of the box. Its fluctuations would
    contribute -Var(correction) / (2 kT), 0.1 kJ/mol for a unit charge in 25 nm^3 of water, which is
    left out.

    Args:
        charges: of the molecule's atoms, (n,), e.
        positions: of the same, (n, 3), nm, whole.
        radii: of the cavity around each atom, (n,), nm; see `cavity_radii`.
        volumes: of the box with the charged molecule, (m,), nm^3.
        permittivity: static relative permittivity of the solvent's model.
        solvent: number of its molecules, and the trace of the second moment of each about its van
            der Waals site, e nm^2; None leaves out the term of the discrete solvent.
        seed: of the random walks that give the potential in the cavity.

    Raises:
        ConfigError: a permittivity below 1.
    """
    if permittivity < 1:
        raise ConfigError(f"found a permittivity of {permittivity:g}, allowed: 1 or more")
    q = np.asarray(charges, dtype=np.float64)
    total, volume = float(q.sum()), np.asarray(volumes, dtype=np.float64)
    per_edge, per_volume = float((volume ** (-1 / 3)).mean()), float((1 / volume).mean())
    wigner = 0.5 * COULOMB_CONSTANT * _WIGNER * total**2 * per_edge
    potential = _integrated_potential(q, positions, radii, permittivity, seed)
    discrete = None
    if solvent is not None:
        count, trace = solvent
        discrete = -_ONE_OVER_EPS0 / 6 * trace * count * per_volume * total
    return FiniteSizeCorrection(
        net_charge=-wigner,
        undersolvation=(1 - 1 / permittivity) * wigner,
        integrated_potential=potential * total * per_volume,
        discrete_solvent=discrete,
    )


def cavity_radii(sigma: ArrayLike, epsilon: ArrayLike) -> NDArray[np.float64]:
    """Return the radius of the cavity in the solvent around each atom, (n,), nm.

    It is the distance of least Lennard-Jones energy between the atom and the oxygen of water, less
    the 0.14 nm of a probe (as Rocklin et al.); 0 for atoms without Lennard-Jones parameters, which
    lie within others.

    Args:
        sigma: of the atoms, (n,), nm.
        epsilon: of the same, (n,), kJ/mol.
    """
    least = 2 ** (-5 / 6) * np.asarray(sigma, dtype=np.float64)
    return np.where(np.asarray(epsilon) > 0, least + _SOLVENT_RADIUS, 0.0)


def exit_time(
    points: ArrayLike, centres: ArrayLike, radii: ArrayLike, *, seed: int = 0
) -> NDArray[np.float64]:
    """Return w with -laplace w = 1 in a union of spheres and w = 0 on its surface, (k,), nm^2.

    w is the mean exit time of Brownian motion whose generator is the Laplacian. It is estimated by
    walks on spheres (Muller, Ann. Math. Stat. 1956, 27, 569): from the centre of a sphere of radius
    r inside the union, the motion takes r^2 / 6 on average to reach the surface of that sphere, at
    a point that is uniformly distributed over it.

    Args:
        points: (k, 3), nm; 0 is returned for those outside.
        centres: (n, 3), nm.
        radii: (n,), nm.
        seed: of the walks, whose scatter is 2 to 3 % of w.
    """
    middles, sizes = (np.asarray(a, dtype=np.float64) for a in (centres, radii))
    rng, means = np.random.default_rng(seed), []
    for point in np.asarray(points, dtype=np.float64):
        walkers, total = np.tile(point, (_WALKS, 1)), 0.0
        while len(walkers):
            distances = np.linalg.norm(walkers[:, None] - middles, axis=2)
            free = (sizes - distances).max(axis=1)  # radius of a sphere inside the union
            walkers, free = walkers[free > _SKIN], free[free > _SKIN]
            total += float((free**2).sum()) / 6
            steps = rng.normal(size=walkers.shape)
            walkers = walkers + free[:, None] * steps / np.linalg.norm(steps, axis=1, keepdims=True)
        means.append(total / _WALKS)
    return np.array(means)


def _integrated_potential(
    charges: NDArray[np.float64],
    positions: ArrayLike,
    radii: ArrayLike,
    permittivity: float,
    seed: int,
) -> float:
    """Return I, kJ/mol nm^3 / e."""
    atoms, total = np.asarray(positions, dtype=np.float64), float(charges.sum())
    if total == 0:
        return 0.0
    conductor = float(charges @ exit_time(atoms, atoms, radii, seed=seed))
    from_centre = atoms - charges @ atoms / total
    vacuum = -float(charges @ (from_centre**2).sum(axis=1)) / 6
    return _ONE_OVER_EPS0 * (conductor * (1 - 1 / permittivity) + vacuum / permittivity)
