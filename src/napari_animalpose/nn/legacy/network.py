"""The Keras network of a SLEAP model, with its weights."""

from __future__ import annotations

from typing import Any

import keras

from napari_animalpose.nn.legacy.loading import SleapModel
from napari_animalpose.nn.models.network import dtype_policy
from napari_animalpose.nn.models.sleap import connect_graph

__all__ = ["build_sleap_network"]


def build_sleap_network(model: SleapModel, precision: str) -> Any:
    """Build the network of a model file.

    Parameters
    ----------
    model : SleapModel
    precision : {"float32", "bfloat16", "float16"}
        Of the layers. Weights and outputs are float32 whatever it is.

    Returns
    -------
    keras.Model
        Takes float images (B, H, W, C); gives a dict of float32 maps by the names of
        `SleapModel.outputs`.

    Raises
    ------
    ModelError
        If weights behind flattened maps are those for another size of the image.
    """
    graph = model.network.graph.upto(model.outputs.values())
    policy = dtype_policy(precision)
    image = keras.Input((*(graph.size or (None, None)), graph.channels), name="image")
    tensors = connect_graph(graph, image, policy, model.weights)
    outputs = {
        name: keras.layers.Activation("linear", dtype="float32", name=f"{name}_out")(tensors[layer])
        for name, layer in model.outputs.items()
    }
    network = keras.Model(image, outputs, name="sleap")
    for name in graph.by_name:
        if name in model.weights:
            network.get_layer(name).set_weights(model.weights[name])
    return network
