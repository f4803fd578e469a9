"""One SLEAP model, whole: its description, its network and its weights."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

from napari_animalpose.config import ModelConfig
from napari_animalpose.errors import ModelError
from napari_animalpose.nn.legacy.description import HEAD_NAMES, Description, read_description
from napari_animalpose.nn.legacy.files import ModelFiles, find_models
from napari_animalpose.nn.legacy.keras_config import KerasModel
from napari_animalpose.nn.legacy.weights import Weights, read_network

__all__ = ["SleapModel", "load_sleap_models"]

FilePath = str | PathLike[str]
OUTPUT_LAYERS = {
    "OffsetRefinementHead": "offsets",
    "PartAffinityFieldsHead": "pafs",
    "ClassMapsHead": "classmaps",
    "ClassVectorsHead": "classes",
    "CentroidConfmapsHead": "centroids",
    "ConfmapsHead": "confmaps",
}
"""What an output is, by a part of the name of its layer; the first that fits."""


@dataclass(frozen=True)
class SleapModel:
    """A model of SLEAP.

    Parameters
    ----------
    path : str
        Where it was read from, for messages.
    description : Description
    network : KerasModel
    weights : Weights
    outputs : dict of str to str
        Layers by what they give: "confmaps" or "centroids", and of "offsets", "pafs",
        "classmaps" and "classes" those that there are.
    """

    path: str
    description: Description
    network: KerasModel
    weights: Weights
    outputs: dict[str, str]

    @property
    def head_name(self) -> str:
        """The name in `nn.heads.HEADS` of what the network is asked for."""
        return HEAD_NAMES[self.description.head]

    @property
    def maps_name(self) -> str:
        """The name of the output that holds the confidence maps."""
        return "centroids" if self.description.head == "centroid" else "confmaps"

    def make_config(self) -> ModelConfig:
        """Return what describes the network to the rest of the program.

        Its graph ends where the confidence maps are read from: without the outputs.
        """
        known, graph = self.description, self.network.graph
        feature = graph.by_name[self.outputs[self.maps_name]].inputs[0]
        return ModelConfig(
            backbone="sleap",
            backbone_options={"graph": graph.upto([feature]).to_dict()},
            channels=graph.channels,
            input_scale=min(1.0, known.input_scale),
            output_stride=known.strides["confmaps"],
            sigma_px=known.sigma_px,
            crop_px=known.crop_px,
            anchor=known.anchor if known.anchor in known.skeleton.nodes else "",
            classes=known.classes,
        )


def load_sleap_models(path: FilePath) -> list[SleapModel]:
    """Read the model of a folder, or all models of a zip.

    Parameters
    ----------
    path : path
        As `files.find_models` takes it.

    Raises
    ------
    ModelError
        If a file is missing, damaged, or not one of SLEAP up to 1.4.
    """
    return [_load(files) for files in find_models(path)]


def _load(files: ModelFiles) -> SleapModel:
    where = str(files.path) if files.path.is_dir() else f"{files.path}: {files.config}"
    description = read_description(files.read_config(), where)
    with files.open_weights() as file:
        network, weights = read_network(file, where)
    model = SleapModel(where, description, network, weights, _name_outputs(network))
    _check_outputs(model)
    return model


def _name_outputs(network: KerasModel) -> dict[str, str]:
    """Tell the outputs by the names of their layers; of several alike, the last counts.

    A stacked network has the maps of each stack as outputs.
    """
    named = {}
    for layer in network.outputs:
        name = next((name for part, name in OUTPUT_LAYERS.items() if part in layer), None)
        if name is not None:
            named[name] = layer
    return named


def _check_outputs(model: SleapModel) -> None:
    """Check that the network gives what the configuration says.

    Raises
    ------
    ModelError
        If an output is missing or has other channels or strides.
    """
    known = model.description
    n_nodes = 1 if known.head == "centroid" else len(known.skeleton)
    channels = {
        model.maps_name: n_nodes,
        "offsets": 2 * n_nodes,
        "pafs": 2 * len(known.skeleton.edges),
        "classmaps": len(known.classes),
        "classes": len(known.classes),
    }
    needed = {model.maps_name, *(set(known.strides) - {"confmaps"})}
    if known.head == "multi_class_topdown":
        needed.add("classes")
    shapes = model.network.graph.shapes
    for name in sorted(needed | set(model.outputs)):
        layer = model.outputs.get(name)
        received = "nothing" if layer is None else f"{shapes[layer].channels} channels"
        if layer is None or shapes[layer].channels != channels[name]:
            raise ModelError(
                f"Expected {channels[name]} channels of {name} from the network in "
                f"{model.path!r}; received {received}. Its two files are not of one model."
            )
        stride = known.strides.get("confmaps" if name == "centroids" else name)
        if stride is not None and shapes[layer].stride != stride:
            raise ModelError(
                f"Expected the output stride {stride} for {name} from the network in "
                f"{model.path!r}; received {shapes[layer].stride}. Its two files are not of one "
                "model."
            )
