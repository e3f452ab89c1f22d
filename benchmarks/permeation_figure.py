"""Draw the picture of `nnpmm permeation predict` for octanol in DOPC, from stored simulations.

Run: python benchmarks/permeation_figure.py
"""

from __future__ import annotations

from common import ROOT, save_image

from nnpmm.permeation.dataset.folder import load_features
from nnpmm.permeation.networks.regressor import load_default_regressor
from nnpmm.permeation.prediction import molecule_from_smiles
from nnpmm.permeation.prediction.applicability import check_solute
from nnpmm.permeation.prediction.figures import prediction_figure
from nnpmm.permeation.prediction.predictor import predict_features

LIPID = "DOPC"


def main() -> None:
    model, molecule = load_default_regressor(), molecule_from_smiles("CCCCCCCCO", "octanol")
    data = load_features(ROOT / "data" / "permeation")
    (row,) = [
        n
        for n, sample in enumerate(zip(data.lipids, data.solutes, strict=True))
        if sample == (LIPID, molecule.graph)
    ]
    verdict = check_solute(model.card, molecule.graph, LIPID)
    found = predict_features(molecule, LIPID, model, data.features[row], verdict)
    print(save_image(prediction_figure(found, model.card), "permeation_prediction"))


if __name__ == "__main__":
    main()
