"""The networks: their shapes, their numbers of weights, and what they must not depend on."""

import numpy as np
import pytest
import torch

from nnpmm.core.errors import ConfigError
from nnpmm.learning import NetworkSettings, create_network, feature_columns, size_factors
from nnpmm.learning.networks import AdditiveAttention, AttentionLSTM

KINDS = ["model-l", "model-la", "dnn", "response"]
NAMES = tuple("abcdefgh")


def _settings(kind, **changes):
    return NetworkSettings(kind=kind, features=NAMES, **changes)


@pytest.fixture(autouse=True)
def _own_generator():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        yield


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frames", [1, 7, 100])
def test_any_number_of_frames(kind, frames):
    network = create_network(_settings(kind))
    assert network(torch.rand(5, frames, 8)).shape == (5,)


def _lstm(n_in, width):
    return 4 * width * (n_in + width + 2)  # torch keeps two biases


HEAD = 100 * 100 + 100 + 100 + 1


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("model-l", _lstm(8, 100) + _lstm(100, 100) + HEAD),
        ("model-la", _lstm(8, 100) + (100 * 100 + 100) + 100 * 100 + 100 + HEAD),
        ("dnn", 8 * 128 + 128 + 128 * 128 + 128 + 128 + 1),
        ("response", 8 + 1 + 8 * 32 + 32 + 32),
    ],
)
def test_published_sizes(kind, parameters):
    network = create_network(_settings(kind))
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize(
    ("kind", "rates"), [("model-l", [0.5]), ("model-la", []), ("dnn", [0.3] * 2)]
)
def test_published_dropout(kind, rates):
    network = create_network(_settings(kind))
    assert [m.p for m in network.modules() if isinstance(m, torch.nn.Dropout)] == rates


def test_attention_is_a_distribution_over_frames():
    network = AttentionLSTM(_settings("model-la"))
    features = torch.rand(4, 30, 8)
    energies, weights = network.forward_with_weights(features)
    assert weights.shape == (4, 30) and torch.all(weights > 0)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(4), rtol=0, atol=1e-6)
    assert torch.equal(energies, network(features))


def test_attention_is_the_published_formula():
    attention = AdditiveAttention(6).double()
    query, states = torch.randn(2, 6).double(), torch.randn(2, 5, 6).double()
    context, weights = (x.detach().numpy() for x in attention(query, states))
    w, b = (p.detach().numpy() for p in attention.states.parameters())
    u, v = attention.query.weight.detach().numpy(), attention.score.weight.detach().numpy()[0]
    for sample in range(2):
        h, q = states[sample].numpy(), query[sample].numpy()
        scores = np.array([v @ np.tanh(w @ h_t + u @ q + b) for h_t in h])
        expected = np.exp(scores) / np.exp(scores).sum()
        np.testing.assert_allclose(weights[sample], expected, rtol=0, atol=1e-12)
        np.testing.assert_allclose(context[sample], expected @ h, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_do_not_meet(kind):
    network = create_network(_settings(kind)).eval()
    features = torch.rand(6, 20, 8)
    alone = torch.cat([network(sample[None]) for sample in features])
    torch.testing.assert_close(network(features), alone, rtol=0, atol=1e-5)


def test_order_of_frames():
    features = torch.rand(3, 20, 8)
    for kind, sees_order in zip(KINDS, (True, True, False, False), strict=True):
        network = create_network(_settings(kind)).eval()
        difference = (network(features) - network(features.flip(1))).abs().max().item()
        assert (difference > 1e-5) is sees_order


def test_response_is_linear_far_outside():
    """Outside the correction is constant, so equal steps give equal differences."""
    network = create_network(_settings("response")).double()
    start, step = torch.rand(1, 5, 8).double(), 1e3 * torch.randn(8).double()
    energies = torch.cat([network(start + n * step) for n in (1, 2, 3)])
    torch.testing.assert_close(
        energies.diff()[0], (network.linear.weight @ step)[0], rtol=1e-9, atol=0
    )
    torch.testing.assert_close(energies.diff()[0], energies.diff()[1], rtol=1e-9, atol=0)


def test_response_is_a_mean_over_frames():
    network = create_network(_settings("response")).double()
    features = torch.rand(2, 30, 8).double()
    parts = torch.stack([network(part) for part in features.split(10, dim=1)])
    torch.testing.assert_close(parts.mean(dim=0), network(features), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(3, 0, 8), (20, 8)])
def test_shapes_that_are_refused(kind, shape):
    with pytest.raises(ConfigError, match="at least one frame"):
        create_network(_settings(kind))(torch.zeros(shape))


def test_columns_are_found_by_name():
    network = NetworkSettings(kind="dnn", features=("c", "a"))
    assert feature_columns(network, ("a", "b", "c")) == [2, 0]
    with pytest.raises(ConfigError, match="features a, b, the network needs c too"):
        feature_columns(network, ("a", "b"))


def test_sizes_of_samples():
    extensive = _settings("response", extensive=True)
    assert size_factors(extensive, [2, 0.5], 2).tolist() == [2.0, 0.5]
    assert size_factors(_settings("response"), None, 3).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        (None, "no sizes"),
        ([3], "for 2 samples: give one"),
        ([2, 0], "positive"),
        ([2, np.nan], "positive"),
        ([2, np.inf], "positive"),
        ([[2, 2]], "for 2 samples"),
    ],
)
def test_sizes_that_are_refused(sizes, words):
    with pytest.raises(ConfigError, match=words):
        size_factors(_settings("response", extensive=True), sizes, 2)
