"""A new network answers its images with channels of mean 0 and deviation 1."""

import keras
import numpy as np
import pytest

from napari_animalpose.config import ModelConfig
from napari_animalpose.nn.models.balance import LEAST_SHARE, balance_layers
from napari_animalpose.nn.models.network import build_network


def look(network, name, images):
    layer = network.get_layer(name)
    seen = np.asarray(keras.Model(network.input, layer.output)(images))
    return seen.mean(axis=(0, 1, 2)), seen.std(axis=(0, 1, 2))


@pytest.fixture
def images():
    """A bright floor with small dark things, as cameras see flies."""
    rng = np.random.default_rng(0)
    images = np.full((4, 32, 32, 1), 0.85, np.float32)
    images += rng.normal(0, 0.02, images.shape).astype(np.float32)
    images[:, 10:14, 12:20] = 0.1
    return images


@pytest.fixture
def network():
    keras.utils.set_random_seed(0)
    config = ModelConfig(
        backbone="unet", backbone_options={"filters": 4, "down_blocks": 2}, channels=1
    )
    return build_network(config, {"maps": 3})


def test_every_channel_has_mean_0_and_deviation_1(network, images):
    output = [weight.copy() for weight in network.get_layer("maps").get_weights()]
    layers = [x for x in network.layers if isinstance(x, keras.layers.Conv2D) and x.name != "maps"]
    assert balance_layers(network, images, ("maps",)) == len(layers) > 5
    for layer in layers:
        mean, deviation = look(network, layer.name, images)
        np.testing.assert_allclose(mean, 0, atol=1e-3)
        # a channel that was quieter than a tenth of the others is made louder only so far
        assert (deviation < 1.01).all()
        assert np.median(deviation) == pytest.approx(1, abs=0.01)
    for before, after in zip(output, network.get_layer("maps").get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_a_quiet_channel_is_not_made_of_noise(network, images):
    first = next(x for x in network.layers if isinstance(x, keras.layers.Conv2D))
    kernel, bias = first.get_weights()
    kernel[..., 0] = 0.0
    first.set_weights([kernel, bias])
    balance_layers(network, images, ("maps",))
    after = first.get_weights()[0]
    assert (after[..., 0] == 0).all()
    assert np.isfinite(after).all()
    assert 0 < LEAST_SHARE < 1


def test_black_images_change_nothing(network):
    before = network.get_weights()
    assert balance_layers(network, np.zeros((2, 32, 32, 1), np.float32), ("maps",)) == 0
    for one, other in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_networks_that_normalise_batches_stay(images):
    config = ModelConfig(
        backbone="unet", channels=1,
        backbone_options={"filters": 4, "down_blocks": 2, "normalization": "batch"},
    )  # fmt: skip
    network = build_network(config, {"maps": 3})
    before = network.get_weights()
    assert balance_layers(network, images, ("maps",)) == 0
    for one, other in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_weights_do_not_explode_where_there_is_hardly_any_contrast(network, images):
    largest = max(np.abs(weight).max() for weight in network.get_weights())
    assert balance_layers(network, 0.5 + 0.002 * images, ("maps",)) > 5
    assert max(np.abs(weight).max() for weight in network.get_weights()) < 25 * largest
