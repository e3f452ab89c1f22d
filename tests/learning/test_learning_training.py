"""Training on synthetic samples: accuracy, reproducibility, leaks between parts, and bad input."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from nnpmm.core.errors import ConfigError, InputFileError, WeightsError
from nnpmm.learning import (
    Ensemble,
    LabelledSamples,
    ModelCard,
    NetworkSettings,
    TrainingSettings,
    calibrate,
    load_ensemble,
    make_split,
    model_files,
    raw_errors,
    split_frames,
    train,
)

KINDS = ["model-l", "model-la", "dnn", "response"]
NAMES = ("a", "b", "c")


def _samples(count=40, frames=6, seed=1):
    """Labels are linear in the means of two features and independent of the third."""
    rng = np.random.default_rng(seed)
    means = rng.uniform(-1, 1, size=(count, 3))
    features = means[:, None] + 0.1 * rng.normal(size=(count, frames, 3))
    features = (features * [1.0, 50.0, 1e3] + [0.0, 7.0, -1e5]).astype(np.float32)
    labels = 3.0 * means[:, 0] - 2.0 * means[:, 1]
    names = tuple(f"sample {n}" for n in range(count))
    return LabelledSamples(names, features, labels, np.full(count, 0.05), NAMES)


def _save(model, folder):
    folder.mkdir(exist_ok=True)
    for name, content in model_files(model).items():
        (folder / name).write_bytes(content)


def _small(kind):
    return NetworkSettings(
        kind=kind, features=NAMES, lstm_width=8, dense_width=8, dnn_width=16, lstm_dropout=0.1
    )


def _quick(**changes):
    return TrainingSettings(**({"epochs": 3, "batch_size": 8} | changes))


@pytest.fixture(scope="module")
def trained():
    return train(_samples(), _small("model-la"), _quick()).model


@pytest.mark.parametrize("kind", KINDS)
def test_a_linear_relation_is_learned(kind):
    data = _samples(count=100)
    settings = _quick(epochs=120, batch_size=16, learning_rate=1e-2)
    result = train(data, _small(kind).model_copy(update={"dnn_dropout": 0.0}), settings)
    test = result.model.card.metrics["test"]
    assert np.std(data.labels) > 1.5  # what a constant would miss by
    assert test.mae < 0.3 and test.r2 > 0.95 and test.pearson > 0.97


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_settles_everything(kind):
    data = _samples()
    before = torch.random.get_rng_state()
    first, again, other = (train(data, _small(kind), _quick(seed=s)) for s in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(first.curves, again.curves)
    assert not np.array_equal(first.curves, other.curves)
    assert first.model.card == again.model.card
    assert np.array_equal(*(r.model.predict(data.features, NAMES) for r in (first, again)))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_test_samples_leaks(kind):
    """Features and labels of test samples affect neither the scaler, the weights nor the epoch."""
    data = _samples()
    test = make_split("random", {}, len(data), seed=1).test
    features, labels = data.features.copy(), data.labels.copy()
    features[test] = features[test] * 1e3 + 1e7
    labels[test] = -1e3
    spoiled = replace(data, features=features, labels=labels)
    one, other = (train(d, _small(kind), _quick(epochs=5)).model for d in (data, spoiled))
    assert (one.card.minimum, one.card.maximum) == (other.card.minimum, other.card.maximum)
    assert one.card.kept_epochs == other.card.kept_epochs
    assert np.array_equal(*(m.predict(data.features, NAMES) for m in (one, other)))
    assert one.card.metrics["test"] != other.card.metrics["test"]


def test_validation_samples_do_not_reach_the_scaler():
    data = _samples()
    split = make_split("random", {}, len(data), seed=1)
    card = train(data, _small("model-la"), _quick()).model.card
    rows = data.features[split.train].astype(float).reshape(-1, 3)
    assert card.minimum == tuple(rows.min(axis=0)) and card.maximum == tuple(rows.max(axis=0))
    card = train(data, _small("dnn"), _quick()).model.card
    means = data.features[split.train].astype(float).mean(axis=1)
    np.testing.assert_allclose(card.minimum, means.min(axis=0), rtol=1e-12)


def test_the_best_epoch_is_kept():
    calls = []
    settings = _quick(epochs=30, learning_rate=0.1)  # which goes up and down
    result = train(_samples(), _small("dnn"), settings, progress=lambda *now: calls.append(now))
    card, validation = result.model.card, result.curves[0, :, 1]
    assert calls == [(n, 30) for n in range(1, 31)] and result.curves.shape == (1, 30, 2)
    assert card.kept_epochs[0] == validation.argmin() + 1 != 30
    assert card.metrics["validation"].mae == pytest.approx(validation.min(), abs=1e-5)
    assert validation[-1] > validation.min() + 1e-3


def test_the_card_says_what_was_done(trained):
    data, card = _samples(), trained.card
    split = make_split("random", {}, len(data), seed=1)
    assert card.data.sha256 == data.digest() and card.network.features == NAMES
    assert card.data.test == tuple(data.names[n] for n in split.test)
    parts = card.data.parts((data.names[split.train[0]], data.names[split.test[0]], "other"))
    assert parts == ("train", "test", "new")
    changed = data.labels.copy()
    changed[0] += 1e-9
    assert replace(data, labels=changed).digest() != data.digest()


@pytest.mark.parametrize("kind", KINDS)
def test_save_and_load(tmp_path, kind):
    data = _samples()
    model = train(data, _small(kind), _quick()).model
    _save(model, tmp_path / "model")
    found = load_ensemble(tmp_path / "model", ModelCard)
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == [
        "model.json",
        "model.safetensors",
    ]
    assert found.card == model.card
    for features in (data.features, data.features[:2, :1], np.repeat(data.features, 3, axis=1)):
        predicted = found.predict(features, NAMES)
        assert predicted.shape == (len(features),)
        assert np.array_equal(predicted, model.predict(features, NAMES))


def test_attention_of_a_trained_model(trained):
    weights = trained.attention(_samples().features[:4], NAMES)
    assert weights.shape == (4, 6)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=0, atol=1e-6)
    dnn = train(_samples(), _small("dnn"), _quick(epochs=1)).model
    with pytest.raises(ConfigError, match="only model-la has attention"):
        dnn.attention(_samples().features, NAMES)


@pytest.mark.parametrize(
    ("shape", "names", "words"),
    [
        ((2, 6, 4), NAMES, "expected .samples, frames, 3"),
        ((2, 0, 3), NAMES, "at least one of each"),
        ((6, 3), NAMES, "expected .samples, frames, 3"),
        ((2, 6, 3), ("a", "c", "d"), "features a, c, d, the network needs b too"),
    ],
)
def test_features_of_another_kind(trained, shape, names, words):
    with pytest.raises(ConfigError, match=words):
        trained.predict(np.zeros(shape), names)
    with pytest.raises(ConfigError, match="not finite"):
        trained.predict(np.full((2, 6, 3), np.nan), NAMES)


def test_features_are_found_by_name(trained):
    features = _samples().features
    other = np.concatenate([features[:, :, [1]], np.full_like(features, np.nan), features], axis=2)
    names = ("b", "x", "y", "z", "a", "other", "c")
    np.testing.assert_array_equal(trained.predict(other, names), trained.predict(features, NAMES))


def _change_json(folder, change):
    record = json.loads((folder / "model.json").read_text())
    change(record)
    (folder / "model.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r.update(schema_version=2), "schema_version"),
        (lambda r: r["network"].update(features=["a", "b"]), "3 maxima for a network of 2"),
        (lambda r: r.update(minimum=[1.0]), "1 minima"),
        (lambda r: r.update(minimum=r["maximum"]), "minimum that is not below"),
        (lambda r: r.update(maximum=[float("nan")] * 3), "maximum.0"),
        (lambda r: r.update(extra=1), "extra"),
        (lambda r: r.pop("weights"), "not a readable model"),
    ],
)
def test_a_damaged_card(trained, tmp_path, change, words):
    _save(trained, tmp_path)
    _change_json(tmp_path, change)
    with pytest.raises(InputFileError, match=words):
        load_ensemble(tmp_path, ModelCard)


def test_no_model_and_no_json(trained, tmp_path):
    with pytest.raises(InputFileError, match=r"found no model.json; train a model"):
        load_ensemble(tmp_path, ModelCard)
    _save(trained, tmp_path)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(InputFileError, match="not a readable model"):
        load_ensemble(tmp_path, ModelCard)


@pytest.mark.parametrize("cut", [None, 5, -1])
def test_damaged_weights(trained, tmp_path, cut):
    _save(trained, tmp_path)
    path = tmp_path / "model.safetensors"
    content = bytearray(path.read_bytes())
    if cut is None:
        content[-3] ^= 1  # one bit of a weight
    path.write_bytes(content[:cut])
    with pytest.raises(WeightsError, match="sha256"):
        load_ensemble(tmp_path, ModelCard)
    path.unlink()
    with pytest.raises(WeightsError, match="No such file"):
        load_ensemble(tmp_path, ModelCard)


def test_weights_of_another_architecture(trained, tmp_path):
    _save(trained, tmp_path)
    _change_json(tmp_path, lambda r: r["network"].update(lstm_width=9))
    with pytest.raises(WeightsError, match="does not fit the model-la network"):
        load_ensemble(tmp_path, ModelCard)


def test_weights_that_lack_a_layer(trained, tmp_path):
    _save(trained, tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    tensors.pop("0.head.0.bias")
    save_file(tensors, path)
    import hashlib

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    _change_json(tmp_path, lambda r: r["weights"].update(sha256=digest))
    with pytest.raises(WeightsError, match=r"0\.head\.0\.bias"):
        load_ensemble(tmp_path, ModelCard)


def test_training_that_cannot_be():
    data = _samples()
    with pytest.raises(ConfigError, match="a, b, c, the network needs d"):
        train(data, NetworkSettings(kind="dnn", features=("a", "d")), _quick())
    with pytest.raises(ConfigError, match="diverged in epoch 1"):
        labels = np.where(np.arange(40) >= 0, 1e39, 0.0)  # beyond single precision
        train(replace(data, labels=labels), _small("dnn"), _quick())
    with pytest.raises(ConfigError, match="no sizes"):
        train(data, _small("dnn").model_copy(update={"extensive": True}), _quick())
    single = replace(data, features=data.features[:, :1])
    with pytest.raises(ConfigError, match="at least two frames"):
        train(single, _small("dnn"), _quick())


def test_extensive_quantities():
    """Labels are sizes times a function of the features, and predictions scale with the size."""
    data = _samples(count=100)
    sizes = np.tile([1.0, 2.0, 5.0, 10.0], 25)
    data = replace(data, labels=data.labels * sizes, sizes=sizes)
    network = _small("response").model_copy(update={"extensive": True})
    model = train(data, network, _quick(epochs=120, learning_rate=1e-2)).model
    assert model.card.metrics["test"].r2 > 0.95
    one, three = (model.predict(data.features, NAMES, sizes=np.full(100, s)) for s in (1.0, 3.0))
    np.testing.assert_allclose(three, 3.0 * one, rtol=1e-12)


def test_members_are_averaged():
    data = _samples()
    model = train(data, _small("dnn"), _quick(members=3)).model
    alone = [
        Ensemble(model.card, (network,)).predict(data.features, NAMES) for network in model.networks
    ]
    assert len(alone) == len(model.card.kept_epochs) == 3
    assert not np.array_equal(alone[0], alone[1])
    np.testing.assert_allclose(
        model.predict(data.features, NAMES), np.mean(alone, axis=0), rtol=0, atol=1e-12
    )


def test_splits_by_a_group_of_the_samples():
    data = replace(_samples(), groups={"kind": ["x", "y", "z", "z"] * 10})
    card = train(data, _small("dnn"), _quick(split="kind:y")).model.card
    assert card.data.test == tuple(data.names[1::4])
    with pytest.raises(ConfigError, match="allowed: random, kind, kind:VALUE"):
        train(data, _small("dnn"), _quick(split="other"))


def test_curves_are_errors_of_all_samples_with_dropout_while_learning():
    """A tiny learning rate leaves the initial weights almost unchanged."""
    still = _quick(batch_size=5, learning_rate=1e-12)
    plain = _small("dnn").model_copy(update={"dnn_dropout": 0.0})
    result = train(_samples(), plain, still)
    metrics = result.model.card.metrics
    expected = [[metrics["train"].mae, metrics["validation"].mae]] * 3
    np.testing.assert_allclose(result.curves[0], expected, rtol=1e-5)
    training, validation = train(_samples(), _small("dnn"), still).curves[0].T
    assert np.ptp(training[1:]) > 1e-3 and np.ptp(validation) < 1e-6


def test_weights_decay():
    sizes = []
    for decay in (0.0, 1.0):
        settings = _quick(weight_decay=decay, learning_rate=1e-2, epochs=10)
        (network,) = train(_samples(), _small("response"), settings).model.networks
        sizes.append(sum((weights**2).sum().item() for weights in network.parameters()))
    assert sizes[1] < 0.8 * sizes[0]


def test_errors_are_calibrated_on_the_validation_samples():
    data = replace(_samples(), label_errors=np.full(40, 1e-3))
    model = train(data, _small("dnn"), _quick(members=3)).model
    some = data.take(make_split("random", {}, len(data), seed=1).validation)
    members = np.array(
        [Ensemble(model.card, (n,)).predict(some.features, NAMES) for n in model.networks]
    )
    blocks = np.array([model.predict(part, NAMES) for part in split_frames(some.features)])
    raw = raw_errors(members, blocks)
    predicted, errors = model.predict_with_error(some.features, NAMES)
    scale = calibrate(predicted - some.labels, raw, some.label_errors)
    assert model.card.error_scale == pytest.approx(scale) and scale > 1.5
    np.testing.assert_allclose(errors, scale * raw, rtol=1e-9)


def test_many_samples_at_once(trained):
    features = np.concatenate([_samples(seed=n).features for n in range(8)])
    parts = [trained.predict(part, NAMES) for part in np.array_split(features, 8)]
    np.testing.assert_allclose(
        trained.predict(features, NAMES), np.concatenate(parts), rtol=0, atol=1e-6
    )
