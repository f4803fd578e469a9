"""Reading best_model.h5: the description of the network and its weights, as arrays."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.errors import ModelError
from napari_animalpose.nn.legacy.keras_config import KerasModel, read_keras_config
from napari_animalpose.nn.sleap_graph import MOST_PARAMETERS, Graph

__all__ = ["Weights", "read_network"]

Weights = dict[str, list[NDArray[np.float32]]]
"""Arrays of each layer that has any, in the order of `Graph.weights`."""


def read_network(file: BinaryIO, where: str) -> tuple[KerasModel, Weights]:
    """Read the network of a model file.

    Parameters
    ----------
    file : seekable binary file
        HDF5, as Keras 2 wrote it.
    where : str
        Its name, for messages.

    Raises
    ------
    ModelError
        If it is damaged, has other layers than networks of SLEAP have, weights of other
        shapes than they need, or more of them than any network of SLEAP.
    """
    import h5py

    try:
        with h5py.File(file, "r") as content:
            model = read_keras_config(_read_config(content), where)
            stored = _find_arrays(content["model_weights"])
            weights = _read_arrays(model.graph, model.sources, stored)
    except ModelError:
        raise
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"Expected the weights of a Keras model in {where!r}; received a damaged file "
            f"({str(error)[:120]}). Copy the model again."
        ) from None
    return model, weights


def _read_config(content: Any) -> Any:
    text = content.attrs["model_config"]
    return json.loads(text.decode("utf-8") if isinstance(text, bytes) else str(text))


def _find_arrays(weights: Any) -> dict[tuple[str, str, str], Any]:
    """Return the arrays of a file by group, layer and name; links are not followed."""
    import h5py

    found: dict[tuple[str, str, str], Any] = {}

    def add(path: str, item: Any) -> None:
        parts = path.split("/")
        if isinstance(item, h5py.Dataset) and len(parts) >= 3:
            found[parts[0], parts[-2], parts[-1].partition(":")[0]] = item

    weights.visititems(add)  # goes neither into other files nor back to where it was
    return found


def _read_arrays(
    graph: Graph,
    sources: Mapping[str, tuple[str, str]],
    stored: Mapping[tuple[str, str, str], Any],
) -> Weights:
    """Read what the layers of a graph need, shapes being compared before anything is read."""
    wanted: dict[str, list[Any]] = {}
    for layer in graph.layers:
        arrays = []
        for name, shape in graph.weights(layer.name).items():
            array = stored.get((*sources[layer.name], name))
            received = "none" if array is None else str(array.shape)
            if array is None or not _fits(array.shape, shape):
                raise ModelError(
                    f"Expected the weights {name!r} of the layer {layer.name!r} with the shape "
                    f"{shape}; received {received}. Copy the model again."
                )
            if array.dtype.kind != "f" or array.is_virtual or array.external:
                raise ModelError(
                    f"Expected numbers in the file itself as weights of {layer.name!r}; "
                    "received something else. Do not use this file."
                )
            arrays.append(array)
        if arrays:
            wanted[layer.name] = arrays
    # What follows flattened maps may have any length, and a small file may claim a huge one.
    count = sum(math.prod(array.shape) for arrays in wanted.values() for array in arrays)
    if count > MOST_PARAMETERS:
        raise ModelError(
            f"Expected at most {MOST_PARAMETERS:,} numbers as weights of a network; received "
            f"{count:,}. Do not use this file."
        )
    return {
        name: [np.asarray(array[...], np.float32) for array in arrays]
        for name, arrays in wanted.items()
    }


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether a shape is the wanted one, in which 0 stands for what is not known."""
    return len(shape) == len(wanted) and all(
        a == b or b == 0 for a, b in zip(shape, wanted, strict=True)
    )
