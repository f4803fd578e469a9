"""Going on with the network of a SLEAP model: what is kept, and a run that needs no other file."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from sleap_models import conv, every_second_pixel, model_json, write_h5, write_model

from napari_animalpose.config import ModelConfig, PredictConfig
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import ConfigError, ModelError
from napari_animalpose.io.runs import RunFolder
from napari_animalpose.nn.legacy.loading import load_sleap_models
from napari_animalpose.nn.legacy.network import build_sleap_network
from napari_animalpose.nn.legacy.start import adapt_config, transfer_weights
from napari_animalpose.nn.models.network import build_network
from napari_animalpose.pipeline import load_predictor, read, train


def load(folder, head, **config):
    return load_sleap_models(write_model(folder, head, **config))[0]


def random_image(size=(16, 24)):
    return tf.constant(np.random.default_rng(0).uniform(0, 1, (1, *size, 3)), tf.float32)


def test_maps_of_known_nodes_are_those_of_the_model(tmp_path):
    model = load(tmp_path, "multi_instance")
    skeleton = Skeleton(("new", "B", "A"), ((2, 1), (1, 0)))
    config = adapt_config(model, ModelConfig(max_peaks=7))
    network = build_network(config, {"confmaps": 3, "pafs": 4})
    before = network.get_layer("confmaps").get_weights()
    # One node is new, and the fields of the model are read from coarser features.
    assert transfer_weights(network, model, skeleton) == ("confmaps", "pafs")
    image = random_image()
    ours = np.asarray(network(image)["confmaps"])
    theirs = np.asarray(build_sleap_network(model, "float32")(image)["confmaps"])
    np.testing.assert_allclose(ours[..., [2, 1]], theirs, atol=1e-6)
    kernel, bias = network.get_layer("confmaps").get_weights()
    np.testing.assert_array_equal(kernel[..., 0], before[0][..., 0])
    assert bias[0] == 0.0


def test_fields_are_kept_where_they_are_read_from_the_same_features(tmp_path):
    folder = write_model(tmp_path, "multi_instance")
    maps, fields = "MultiInstanceConfmapsHead", "PartAffinityFieldsHead"
    layers = [every_second_pixel("pool", "input"), conv(maps, "pool", 2), conv(fields, "pool", 2)]
    rng = np.random.default_rng(1)
    weights = {
        name: {"kernel": rng.normal(size=(1, 1, 3, 2)), "bias": rng.normal(size=2)}
        for name in (maps, fields)
    }
    write_h5(folder / "best_model.h5", model_json(layers, [maps, fields]), weights)
    text = (folder / "training_config.json").read_text().replace('ride": 4', 'ride": 2')
    (folder / "training_config.json").write_text(text)
    (model,) = load_sleap_models(folder)
    network = build_network(adapt_config(model, ModelConfig()), {"confmaps": 3, "pafs": 4})
    transfer_weights(network, model, Skeleton(("A", "B", "C"), ((1, 2), (0, 1))))
    kernel, bias = network.get_layer("pafs").get_weights()
    np.testing.assert_allclose(kernel[..., 2:], weights[fields]["kernel"], rtol=1e-6)
    np.testing.assert_allclose(bias, [0, 0, *weights[fields]["bias"]], rtol=1e-6)
    same = build_network(adapt_config(model, ModelConfig()), {"confmaps": 2, "pafs": 2})
    assert transfer_weights(same, model, Skeleton(("A", "B"), ((0, 1),))) == ()
    turned = Skeleton(("A", "B"), ((1, 0),))
    assert transfer_weights(same, model, turned) == ("pafs",)


@pytest.mark.parametrize(
    ("head", "outputs", "anew"),
    [
        ("single_instance", {"confmaps": 2}, ()),
        ("centroid", {"centroids": 1}, ()),
        ("multi_instance", {"confmaps": 2, "pafs": 2}, ("pafs",)),
        ("multi_class_bottomup", {"confmaps": 2, "classmaps": 2}, ("classmaps",)),
    ],
)
def test_what_has_to_be_learned_anew_is_told(tmp_path, head, outputs, anew):
    model = load(tmp_path, head)
    network = build_network(adapt_config(model, ModelConfig()), outputs)
    assert transfer_weights(network, model, Skeleton(("A", "B"), ((0, 1),))) == anew


def test_the_configuration_keeps_what_sleap_says_and_what_the_labels_say(tmp_path):
    model = load(tmp_path, "multi_instance", scale=0.5)
    chosen = ModelConfig(input_scale=0.25, max_edge_px=10.0, max_peaks=33, crop_px=0)
    config = adapt_config(model, chosen)
    assert (config.input_scale, config.sigma_px, config.output_stride) == (0.5, 2.5, 2)
    assert (config.channels, config.max_peaks, config.max_edge_px) == (3, 33, 20.0)
    # exp(-d ** 4 / (2 * 75 ** 2)) is one half at 9.4 px
    assert config.paf_half_width_px == 9.4
    centroid = load(tmp_path / "c", "centroid", scale=0.5)
    config = adapt_config(centroid, ModelConfig(input_scale=0.25, crop_px=15))
    assert (config.crop_px, config.anchor) == (30, "A")
    with pytest.raises(ConfigError, match="a scale over 1"):
        adapt_config(load(tmp_path / "s", "single_instance", scale=2.0), ModelConfig())


@pytest.mark.slow
def test_a_run_goes_on_with_the_network_and_needs_the_model_no_more(
    tiny_labels, tiny_overrides, tmp_path
):
    folder = write_model(tmp_path / "model", "single_instance")
    overrides = [o for o in tiny_overrides if not o.startswith("model.")]
    overrides += ["train.learning_rate=1e-12", "train.weight_decay=0"]
    run = train(tiny_labels, tmp_path / "run", resume=[folder], overrides=overrides)
    assert run.config.networks["single_instance"].backbone == "sleap"
    assert run.config.networks["single_instance"].output_stride == 2
    shutil.rmtree(folder)
    predictor = load_predictor(run.path, PredictConfig(precision="float32"))
    assert predictor.skeleton == read(tiny_labels).skeleton
    predictor.predict(read(tiny_labels).videos[0], [0])
    again = train(tiny_labels, tmp_path / "again", resume=run.path, overrides=["train.epochs=3"])
    assert again.config.networks == run.config.networks


@pytest.mark.slow
def test_one_of_two_networks_may_come_from_sleap(tiny_labels, tiny_overrides, tmp_path):
    folder = write_model(tmp_path / "model", "centroid", anchor_part=None)
    settings = [o for o in tiny_overrides if o.startswith("train.")]
    run = train(tiny_labels, tmp_path / "run", resume=folder, overrides=settings)
    networks = {name: model.backbone for name, model in run.config.networks.items()}
    assert networks == {"centroid": "sleap", "centered_instance": "unet"}
    assert RunFolder(run.path).trained() == ["centered_instance", "centroid"]


def test_what_cannot_be_gone_on_with_is_refused(tiny_labels, tiny_run, tmp_path):
    folder = write_model(tmp_path / "model", "single_instance")
    with pytest.raises(ConfigError, match="2 paths of which 1 are models of SLEAP"):
        train(tiny_labels, tmp_path / "a", resume=[folder, tiny_run.path])
    with pytest.raises(ModelError, match="one model of each kind"):
        train(tiny_labels, tmp_path / "a", resume=[folder, folder])
    assert not (tmp_path / "a").exists()
