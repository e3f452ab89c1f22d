"""Run a simulation from a settings file in one call."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nnpmm.core.errors import ConfigError, RegionError
from nnpmm.coupling import (
    Coupling,
    HybridSystem,
    InnerTerms,
    LinkAtoms,
    MultipleTimeSteps,
    Replaced,
    bind_region,
    couple,
)
from nnpmm.coupling.settings import create_coupling
from nnpmm.integrators import (
    RegionMotion,
    TimestepLimit,
    bound_region_motion,
    choose_mass_factor,
    fit_inner_potential,
    region_limit,
    scale_masses,
    surroundings_limit,
)
from nnpmm.models.ignoring_charge import IgnoringCharge
from nnpmm.models.model_file import ModelFile
from nnpmm.models.protocol import Potential
from nnpmm.simulation.preparation import narration
from nnpmm.simulation.preparation.density import (
    ExpectedDensity,
    expected_density,
    warn_of_constant_volume,
)
from nnpmm.simulation.preparation.loading import load_run_system
from nnpmm.simulation.preparation.prepared import PreparedSystem
from nnpmm.simulation.preparation.start_checks import check_restraint
from nnpmm.simulation.preparation.timestep import check_timestep
from nnpmm.simulation.protocol import RunResult, run_prepared
from nnpmm.simulation.record import storage
from nnpmm.simulation.record.ligand_file import LIGAND_FILE, write_ligand
from nnpmm.simulation.settings.config import RunConfig, load_config
from nnpmm.simulation.stages.integration import check_time_steps
from nnpmm.simulation.stages.variables import check_sampling
from nnpmm.structures import MMSystem
from nnpmm.structures.inputs.sources import BuildSystem, TinkerSystem

__all__ = ["link_atoms", "load_network", "load_region", "prepare_system", "run"]

_LOGGER = logging.getLogger(__name__)


def prepare_system(config: RunConfig, mm: MMSystem | None = None) -> PreparedSystem:
    """Load the network, couple it to the MM system, and bind it to the region for the log.

    Args:
        config: settings of the run.
        mm: the MM system; None to read or build it according to the settings.

    Raises:
        ConfigError: a time step exceeds its limit.
        NnpmmError: an input, the selection, the model or the coupling cannot be used.
    """
    from nnpmm.models.registry import find_family

    if config.region.model is not None:
        find_family(config.region.model)  # refuses an unknown name before a system is built
    if mm is None:
        mm = _load_system(config)
        if isinstance(config.system, BuildSystem) and config.ensemble.type == "NVT":
            warn_of_constant_volume(mm.system, config.system.water_model)
    narration.tell_system(mm)
    region, name = _region(config, mm)
    narration.tell_region(mm.topology, region)
    check_restraint(mm.topology, config)
    check_sampling(mm, config)
    _check_surroundings(config, mm, region)
    narration.working(f"loading the network {name}")
    model = load_network(config, name)
    narration.tell_model(model)
    narration.working("coupling the network to the force field")
    coupling = _coupling(config, mm, region, name, model)
    hybrid = couple(mm.system, mm.topology, region, model, coupling=coupling)
    charge = hybrid.region.charge
    prepared_file = _model_file(config)
    if prepared_file is not None:
        prepared_file.check_cut_bonds(hybrid.region.cut_bonds)
        _check_charge(prepared_file, config.region.nnpfile, charge)
    narration.fact("charge", f"{charge:+d} e in the force field" if charge else "0 e")
    note = _charge_note(model, charge)
    if note is not None:
        _LOGGER.warning("%s", note)
    motion, factor, limit = _scale_masses(config, mm, hybrid)
    provenance = {
        **model.provenance,
        "region_atoms": region.tolist(),
        "mass_factor": factor,
        "fastest_vibration_fs": 1000 * motion.vibration.period,
    }
    if mm.ligand_parameters is not None:
        provenance["ligand_parameters"] = mm.ligand_parameters
    if note is not None:
        provenance["note"] = note
    prepared = PreparedSystem(
        mm=mm,
        hybrid=hybrid,
        model_provenance=provenance,
        motion=motion,
        expected_density=_expected_density(config, mm),
    )
    narration.tell_time_step(config, limit, factor)
    return prepared


def _check_charge(prepared: ModelFile, path: Path | None, charge: int) -> None:
    """Check that the region has the same charge in the force field and in its model.json.

    Raises:
        RegionError: they differ.
    """
    if prepared.formal_charge is not None and prepared.formal_charge != charge:
        raise RegionError(
            f"the region was prepared with a charge of {prepared.formal_charge:+d} e ({path}), but "
            f"the force field gives it {charge:+d} e; correct one of the two"
        )


def _charge_note(model: Potential, charge: int) -> str | None:
    """Return a warning if the network ignores the charge of its region."""
    if not isinstance(model, IgnoringCharge):
        return None
    return (
        f"allow_charged: true: {model.name}, trained on neutral molecules, does not see the charge "
        f"of the region, {charge:+d} e in all"
    )


def _check_surroundings(config: RunConfig, mm: MMSystem, region: NDArray[np.int64]) -> None:
    """Refuse a time step that is too long with any network, before the network is loaded."""
    limit = surroundings_limit(mm.system, mm.topology, region)
    if limit.cause != "bonded terms":  # before coupling, these include the region's
        setting = "timestep" if config.integrator.inner is None else "integrator.inner"
        check_timestep(limit, config.integrator.inner or config.timestep, setting=setting)


def _scale_masses(
    config: RunConfig, mm: MMSystem, hybrid: HybridSystem
) -> tuple[RegionMotion, float, TimestepLimit]:
    """Scale the region's masses according to the settings, and check the time steps.

    Returns:
        The region's motion with these masses, their factor, and the limit of the longest step.
    """
    system, region, respa = hybrid.system, hybrid.region, config.integrator.type == "respa"

    def surroundings(impulse: bool) -> TimestepLimit:
        return surroundings_limit(system, mm.topology, region.atoms, impulse=impulse)

    # Scaling the region's masses does not raise the limit that its surroundings set.
    outside = check_time_steps(config, surroundings)
    motion = bound_region_motion(system, mm.topology, region, hybrid.evaluator, mm.positions)
    factor = choose_mass_factor(motion, config.region.mass_factor, config.timestep, respa=respa)
    scale_masses(system, region.atoms.tolist(), factor)
    scaled = motion.scaled(factor)
    inside = check_time_steps(config, lambda impulse: region_limit(scaled, impulse=impulse))
    return scaled, factor, min(outside, inside, key=lambda limit: limit.longest)


def _coupling(
    config: RunConfig, mm: MMSystem, region: NDArray[np.int64], name: str, model: Potential
) -> Coupling:
    """Return the coupling that the settings describe."""
    settings = config.region
    inside: Replaced | MultipleTimeSteps = Replaced()
    if config.integrator.type == "respa":
        inside = MultipleTimeSteps(_inner_potential(config, mm, region, name, model))
    return create_coupling(
        config.coupling,
        constraints=settings.constraints,
        boundary=link_atoms(config),
        inside=inside,
    )


def link_atoms(config: RunConfig) -> LinkAtoms | None:
    """Return the link atoms of the settings or the prepared file, or None.

    Raises:
        ConfigError: an unknown kind of bond, or an impossible distance to a hydrogen.
    """
    settings = config.region.link_atoms
    if settings is not None:
        return LinkAtoms(settings.bonds, settings.distances, settings.charges)
    prepared = _model_file(config)
    return LinkAtoms(prepared.link_bonds) if prepared and prepared.link_bonds else None


def _model_file(config: RunConfig) -> ModelFile | None:
    """Return the content of the settings' model.json, if they name one."""
    from nnpmm.models import read_model_file

    path = config.region.nnpfile
    return None if path is None else read_model_file(path)


def _expected_density(config: RunConfig, mm: MMSystem) -> ExpectedDensity | None:
    """Return the density that a built box should have, or None for other systems."""
    source = config.system
    if not isinstance(source, BuildSystem):
        return None
    return expected_density(mm.topology, mm.system, source.water_model, config.ensemble)


def load_network(config: RunConfig, name: str, members: tuple[int, ...] | None = None) -> Potential:
    """Load the settings' network, or some of its members.

    Args:
        config: settings of the run.
        name: of the network, or its file, as returned by `load_region`.
        members: of the ensemble, instead of those in the settings.

    Raises:
        NnpmmError: see `nnpmm.load_model`.
    """
    from nnpmm.models.registry import find_family, load_model

    settings = config.region
    _, family = find_family(name)
    model = load_model(
        name,
        members=settings.members if members is None else members,
        backend=settings.backend,
        device=settings.device,
        precision=settings.precision,
        # ANI's CPU kernels use as many threads as OpenMM's CPU platform; other models have no such
        # option.
        threads=config.platform.threads if "threads" in family.options else None,
        weights=settings.weights,
    )
    return IgnoringCharge(model) if settings.allow_charged and model.neutral_only else model


def _inner_potential(
    config: RunConfig,
    mm: MMSystem,
    region: NDArray[np.int64],
    name: str,
    model: Potential,
) -> InnerTerms | Potential | None:
    """Return the inner potential of multiple time steps, None for the force field's terms."""
    if config.integrator.inner_potential == "force-field":
        return None
    if config.integrator.inner_potential == "fit":
        boundary = link_atoms(config)
        bound = bind_region(mm.system, mm.topology, region, model, boundary=boundary)
        charge = bound.region.charge
        return fit_inner_potential(model, mm.topology, region, mm.positions, charge=charge)
    members = config.region.members
    if config.region.nnpfile is not None or (members is not None and len(members) < 2):
        raise ConfigError(
            "integrator.inner_potential: found network, which needs region.model with two members "
            "or more; use force-field or fit"
        )
    return load_network(config, name, (0,) if members is None else members[:1])


def load_region(config: RunConfig) -> tuple[MMSystem, NDArray[np.int64], str]:
    """Load the MM system; return it with the region's atoms and the name or file of its network.

    Raises:
        NnpmmError: an input or the selection is not usable.
    """
    mm = _load_system(config)
    return mm, *_region(config, mm)


def _load_system(config: RunConfig) -> MMSystem:
    narration.working(narration.describe_system_source(config.system))
    return load_run_system(config)


def _region(config: RunConfig, mm: MMSystem) -> tuple[NDArray[np.int64], str]:
    """Return the region's atoms and the name or file of its network."""
    from nnpmm.structures.selection import select_atoms

    settings, model_file = config.region, _model_file(config)
    if model_file is not None:
        model_file.check_topology(mm.topology)
        return np.asarray(model_file.atoms, dtype=np.int64), str(settings.nnpfile)
    if settings.model is None:
        raise ConfigError("region: give either 'nnpfile', or 'selection' and 'model'")
    if settings.selection is not None:
        atoms = select_atoms(mm.topology, settings.selection)
        # A selection by residue includes lone pairs, which the network does not see.
        selected = np.array([k for k in atoms.tolist() if not mm.system.isVirtualSite(k)])
        _check_group(config, mm, selected)
        return selected, settings.model
    if mm.ligand_atoms is None:
        raise ConfigError(
            "region.selection: is missing; the system contains no built ligand, and no key file "
            "assigns a group to the network (mlpot embedding)"
        )
    return mm.ligand_atoms, settings.model


def _check_group(config: RunConfig, mm: MMSystem, selected: NDArray[np.int64]) -> None:
    """Refuse a selection other than the group that Tinker's key file assigns to a network."""
    group = mm.ligand_atoms
    if isinstance(config.system, TinkerSystem) and group is not None:
        if not np.array_equal(np.sort(selected), group):
            raise ConfigError(
                f"region.selection: selects {len(selected)} atoms, the key file's group 1 has "
                f"{len(group)} others: leave out one of the two"
            )


def run(
    config: RunConfig | str | Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = True,
) -> RunResult:
    """Run or resume a hybrid NNP/MM simulation.

    Args:
        config: settings, or the YAML file that contains them.
        resume: continue the run in ``output.directory`` from its last checkpoint, or from the
            beginning if it has none. The MM system is read from this folder.
        overwrite: replace the run in that folder.
        progress: show progress on stderr.

    Raises:
        NnpmmError: wrong settings or input, or a simulation that cannot continue.
    """
    settings = config if isinstance(config, RunConfig) else load_config(config)
    resuming = storage.check_directory(settings, resume=resume, overwrite=overwrite)
    narration.tell_settings(settings, None if isinstance(config, RunConfig) else Path(config))
    mm = storage.load_mm_system(settings.output.directory) if resuming else None
    prepared = prepare_system(settings, mm)
    result = run_prepared(prepared, settings, resume=resume, overwrite=overwrite, progress=progress)
    _write_ligand(settings, prepared, result)
    return result


def _write_ligand(settings: RunConfig, prepared: PreparedSystem, result: RunResult) -> None:
    """Write the ligand's last structure, if the settings ask for it and the run is complete."""
    source, mm, final = settings.system, prepared.mm, result.final_structure
    if not settings.output.ligand_sdf or not isinstance(source, BuildSystem) or final is None:
        return
    if mm.ligand_atoms is not None:
        path = settings.output.directory / LIGAND_FILE
        write_ligand(path, source, settings.seed, final, mm.ligand_atoms)
