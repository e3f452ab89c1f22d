"""Settings of variables of every type, and the variables of a structure from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from nnpmm.core.errors import ConfigError
from nnpmm.sampling.variables.geometric import Angle, Distance, Position, Torsion
from nnpmm.sampling.variables.learned import LearnedVariable
from nnpmm.sampling.variables.neighbours import Coordination
from nnpmm.sampling.variables.puckering import Puckering
from nnpmm.sampling.variables.rmsd import Rmsd
from nnpmm.sampling.variables.variable import Structure, Variable

__all__ = ["RESERVED", "VariableSettings", "bind_variables", "check_names"]

#: The settings of a variable; ``type`` selects the class.
VariableSettings = Annotated[
    Torsion | Distance | Angle | Coordination | Rmsd | Puckering | Position | LearnedVariable,
    Field(discriminator="type"),
]
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
#: Columns of a record that are no variables, so that no variable may have such a name.
RESERVED = ("step", "bias_kj_mol", "height_kj_mol")


def check_names(variables: Mapping[str, VariableSettings]) -> None:
    """Refuse names that cannot be the name of a column in a CSV file.

    Raises:
        ConfigError: a name is not allowed.
    """
    for name in variables:
        if not _NAME.fullmatch(name) or name in RESERVED:
            raise ConfigError(
                f"found the variable {name!r}, allowed: letters, digits and _, beginning with a "
                f"letter, and not {', '.join(RESERVED)}"
            )


def bind_variables(
    variables: Mapping[str, VariableSettings], structure: Structure
) -> dict[str, Variable]:
    """Return the variables of a structure by name.

    Args:
        variables: settings by name.
        structure: the structure whose atoms the settings select.

    Raises:
        VariableError: atoms do not exist or do not fit the variable.
        SelectionError: a selection cannot be read or matches nothing.
        InputFileError: a reference structure cannot be read, or has other atoms.
    """
    check_names(variables)
    return {name: settings.bind(name, structure) for name, settings in variables.items()}
