"""The card of a permeation model: which lipids and simulations it was trained on."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from nnpmm.learning import DataSummary, ModelCard
from nnpmm.permeation.runs.protocol import ProtocolSettings

__all__ = ["PermeationCard", "PermeationData"]


class PermeationData(DataSummary):
    """What a permeation model was trained on; samples are named ``lipid/solute``."""

    lipids: tuple[str, ...] = Field(description="lipids of the training data")
    protocol: ProtocolSettings | None = Field(
        None, description="protocol of the simulations, which predictions must repeat"
    )


class PermeationCard(ModelCard):
    """All about a permeation model except its weights; its errors are in kcal/mol."""

    data: PermeationData

    @model_validator(mode="before")
    @classmethod
    def _rename_per_bead(cls, record: Any) -> Any:
        """Accept ``per_bead``, the name of ``extensive`` in models of older versions."""
        network = record.get("network") if isinstance(record, dict) else None
        if not isinstance(network, dict) or "per_bead" not in network or "extensive" in network:
            return record
        renamed = {("extensive" if key == "per_bead" else key): network[key] for key in network}
        return {**record, "network": renamed}
