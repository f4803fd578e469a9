"""Model folders as SLEAP wrote them, with networks whose answers are known by hand.

The networks read the colours of a frame: red is where the node A is, green the node B and
blue tells the animals apart. Maps have the stride 2: cell i is the pixel 2 i.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np

NODES = ("A", "B")
CLASSES = ["blue", "black"]
STRIDE = 2
RED, GREEN, BLUE = np.eye(3, dtype=np.float32)


# ------------------------------------------------------------------------ Keras 2 as JSON
def layer(name: str, kind: str, *inputs: str, **config: Any) -> dict[str, Any]:
    return {
        "class_name": kind,
        "config": {"name": name, "trainable": True, "dtype": "float32", **config},
        "name": name,
        "inbound_nodes": [[[source, 0, 0, {}] for source in inputs]],
    }


def conv(name: str, source: str, filters: int, **changes: Any) -> dict[str, Any]:
    options = {
        "filters": filters, "kernel_size": [1, 1], "strides": [1, 1], "padding": "same",
        "data_format": "channels_last", "dilation_rate": [1, 1], "groups": 1,
        "activation": "linear", "use_bias": True, "kernel_regularizer": None,
        "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}},
        "bias_initializer": {"class_name": "Zeros", "config": {}}, "bias_constraint": None,
    }  # fmt: skip
    return layer(name, "Conv2D", source, **(options | changes))


def every_second_pixel(name: str, source: str) -> dict[str, Any]:
    return layer(
        name, "MaxPooling2D", source, pool_size=[1, 1], strides=[2, 2], padding="valid",
        data_format="channels_last",
    )  # fmt: skip


def image(channels: int = 3, size: tuple[int, int] = (64, 64)) -> dict[str, Any]:
    start = layer("input", "InputLayer", batch_input_shape=[None, *size, channels], sparse=False)
    return start | {"inbound_nodes": []}


def model_json(layers: list[Any], outputs: list[str], channels: int = 3) -> dict[str, Any]:
    return {
        "class_name": "Functional",
        "config": {
            "name": "model",
            "layers": [image(channels), *layers],
            "input_layers": [["input", 0, 0]],
            "output_layers": [[name, 0, 0] for name in outputs],
        },
    }


def write_h5(path: Path, model: Any, weights: dict[str, dict[str, Any]]) -> Path:
    """Write a model; weights by layer (or ``group/layer``) and name."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.7.0"
        file.attrs["model_config"] = json.dumps(model)
        root = file.create_group("model_weights")
        for name, arrays in weights.items():
            group, _, inner = name.partition("/")
            for variable, values in arrays.items():
                values = np.asarray(values, np.float32)
                root.create_dataset(f"{group}/{inner or group}/{variable}:0", data=values)
    return path


def weigh(*columns: Any, bias: Any = None) -> dict[str, Any]:
    """Weights of a 1 x 1 convolution with one column of input weights for each filter."""
    kernel = np.stack([np.asarray(column, np.float32) for column in columns], axis=-1)
    bias = np.zeros(len(columns)) if bias is None else bias
    return {"kernel": kernel[None, None], "bias": bias}


# ---------------------------------------------------------------------- training_config
def skeleton_json(nodes: tuple[str, ...] = NODES) -> dict[str, Any]:
    """A chain of nodes as jsonpickle wrote it: objects once, then by their number."""
    seen: list[str] = []

    def refer(name: str) -> dict[str, Any]:
        if name in seen:
            return {"py/id": seen.index(name) + 1}
        seen.append(name)
        return {"py/object": "sleap.skeleton.Node", "py/state": {"py/tuple": [name, 1.0]}}

    links = []
    for number, (a, b) in enumerate(pairwise(nodes)):
        link = {"edge_insert_idx": number, "key": 0, "source": refer(a), "target": refer(b)}
        if "EdgeType" in seen:
            link["type"] = {"py/id": seen.index("EdgeType") + 1}
        else:
            seen.append("EdgeType")
            kind = {"py/type": "sleap.skeleton.EdgeType"}
            link["type"] = {"py/reduce": [kind, {"py/tuple": [1]}]}
        links.append(link)
    return {
        "directed": True,
        "graph": {"name": "Skeleton-0", "num_edges_inserted": len(links)},
        "links": links,
        "multigraph": True,
        "nodes": [{"id": refer(name)} for name in nodes],
    }


HEAD_JSON: dict[str, dict[str, Any]] = {
    "single_instance": {"part_names": list(NODES)},
    "centroid": {"anchor_part": "A"},
    "centered_instance": {"anchor_part": "A", "part_names": list(NODES)},
    "multi_instance": {
        "confmaps": {"part_names": list(NODES)},
        "pafs": {"edges": [["A", "B"]], "sigma": 75, "output_stride": 4},
    },
    "multi_class_bottomup": {
        "confmaps": {"part_names": list(NODES)},
        "class_maps": {"classes": CLASSES, "output_stride": STRIDE},
    },
    "multi_class_topdown": {
        "confmaps": {"anchor_part": "A", "part_names": list(NODES)},
        "class_vectors": {"classes": CLASSES, "output_stride": 2},
    },
}


def config_json(head: str, scale: float = 1.0, crop: int = 0, **changes: Any) -> dict[str, Any]:
    part = json.loads(json.dumps(HEAD_JSON[head]))
    part.get("confmaps", part).update({"sigma": 2.5, "output_stride": STRIDE, **changes})
    return {
        "data": {
            "labels": {"skeletons": [skeleton_json()]},
            "preprocessing": {"input_scaling": scale, "pad_to_stride": None},
            "instance_cropping": {"center_on_part": None, "crop_size": crop or None},
        },
        "model": {"heads": {name: part if name == head else None for name in HEAD_JSON}},
        "sleap_version": "1.3.3",
    }


# --------------------------------------------------------------------- the six networks
def network(head: str, offsets: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    """The JSON and the weights of the network for a head type."""
    layers = [every_second_pixel("pool", "input")]
    maps = {
        "single_instance": "SingleInstanceConfmapsHead_0",
        "centroid": "CentroidConfmapsHead",
        "centered_instance": "CenteredInstanceConfmapsHead",
        "multi_class_topdown": "CenteredInstanceConfmapsHead",
    }.get(head, "MultiInstanceConfmapsHead")
    columns = [RED] if head == "centroid" else [RED, GREEN]
    layers.append(conv(maps, "pool", len(columns)))
    outputs, weights = [maps], {maps: weigh(*columns)}
    if offsets:  # the point is a quarter of a cell to the right of its cell
        layers.append(conv("OffsetRefinementHead", "pool", 2 * len(columns)))
        outputs.append("OffsetRefinementHead")
        nothing = np.zeros((3, 2 * len(columns)))
        weights["OffsetRefinementHead"] = weigh(*nothing.T, bias=[0.25, 0.0] * len(columns))
    if head == "multi_instance":  # everywhere to the right
        layers += [
            every_second_pixel("pool2", "pool"), conv("PartAffinityFieldsHead_0", "pool2", 2),
        ]  # fmt: skip
        outputs.append("PartAffinityFieldsHead_0")
        weights["PartAffinityFieldsHead_0"] = weigh(*np.zeros((2, 3)), bias=[1.0, 0.0])
    if head == "multi_class_bottomup":
        layers.append(conv("ClassMapsHead", "pool", 2))
        outputs.append("ClassMapsHead")
        weights["ClassMapsHead"] = weigh(BLUE, -BLUE, bias=[0.0, 1.0])
    if head == "multi_class_topdown":
        layers += [
            layer("top", "GlobalMaxPooling2D", "pool", data_format="channels_last"),
            layer("flat", "Flatten", "top", data_format="channels_last"),
            layer("ClassVectorsHead", "Dense", "flat", units=2, activation="softmax",
                  use_bias=True, kernel_initializer=None),
        ]  # fmt: skip
        outputs.append("ClassVectorsHead")
        kernel = np.stack([10 * BLUE, -10 * BLUE], axis=-1)
        weights["ClassVectorsHead"] = {"kernel": kernel, "bias": [-5.0, 5.0]}
    return model_json(layers, outputs), weights


def write_model(folder: Path, head: str, *, offsets: bool = False, **config: Any) -> Path:
    """Write the model folder of a head type."""
    folder.mkdir(parents=True, exist_ok=True)
    if head in ("centered_instance", "multi_class_topdown"):
        config.setdefault("crop", 33)  # its middle is a pixel
    write_h5(folder / "best_model.h5", *network(head, offsets))
    values = config_json(head, **config)
    (folder / "training_config.json").write_text(json.dumps(values))
    return folder


def draw_frame(
    animals: Any, blue: Any = (), size: tuple[int, int] = (64, 96), sigma: float = 2.5
) -> np.ndarray:
    """Draw animals (I, 2, 2): a red and a green dot each, and blue around the first ones."""
    y, x = np.mgrid[: size[0], : size[1]]
    frame = np.zeros((*size, 3))
    for number, points in enumerate(np.asarray(animals, float)):
        for node, (px, py) in enumerate(points):
            dot = np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2))
            frame[..., node] = np.maximum(frame[..., node], dot)
            if number < len(blue) and blue[number]:
                near = np.hypot(x - px, y - py) < 8
                frame[..., 2] = np.maximum(frame[..., 2], near)
    return np.round(255 * frame).astype(np.uint8)
