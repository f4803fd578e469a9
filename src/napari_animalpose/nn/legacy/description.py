"""What a SLEAP model is for and how it sees frames, from its training_config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import DataError, ModelError

__all__ = ["HEAD_NAMES", "Description", "read_description"]

HEAD_NAMES = {
    "single_instance": "single_instance",
    "centroid": "centroid",
    "centered_instance": "centered_instance",
    "multi_instance": "multi_instance",
    "multi_class_topdown": "centered_instance_id",
    "multi_class_bottomup": "multi_instance_id",
}
"""The six head types of SLEAP, with the name in `nn.heads.HEADS` of what each asks for."""

OUTPUTS = {
    "confmaps": "confmaps",
    "pafs": "pafs",
    "class_maps": "classmaps",
    "class_vectors": "classes",
}
IMAGENET_MODES = ("tf", "caffe", "torch")


@dataclass(frozen=True)
class Description:
    """One model of SLEAP; lengths in px of the network input unless said otherwise.

    Parameters
    ----------
    head : str
        One of `HEAD_NAMES`.
    skeleton : Skeleton
        With the K nodes of the confidence maps, in their order, and the edges of the
        part affinity fields in theirs.
    anchor : str
        Node that stands for the place of an animal; "" for the middle of its box.
    classes : tuple of str
        Identities, in the order of the channels.
    strides : dict of str to int
        Input px between two cells of each map, by "confmaps", "pafs" and "classmaps".
    sigma_px : float
        Standard deviation of the confidence maps.
    paf_sigma : float
        Of the part affinity fields, whose weight is ``exp(-d**4 / (2 paf_sigma**2))``.
    input_scale : float
        Frames are resized by this factor.
    pad_to_stride : int
        Frames are padded to multiples of this; 0 for the largest stride of the network.
    crop_px : int
        Side of the windows around one animal, 0 where there are none.
    target_size : (int, int) or None
        (height, width) in px of the frame that all frames are made to have first.
    imagenet_mode : str
        How intensities are changed before the network: "", "tf", "caffe" or "torch".
    version : str
        Of SLEAP; "" where the file does not say (before 1.1).
    """

    head: str
    skeleton: Skeleton
    anchor: str = ""
    classes: tuple[str, ...] = ()
    strides: dict[str, int] = field(default_factory=dict)
    sigma_px: float = 5.0
    paf_sigma: float = 15.0
    input_scale: float = 1.0
    pad_to_stride: int = 0
    crop_px: int = 0
    target_size: tuple[int, int] | None = None
    imagenet_mode: str = ""
    version: str = ""

    @property
    def is_centred(self) -> bool:
        """Whether the network looks at one animal in the middle of a window."""
        return self.head in ("centered_instance", "multi_class_topdown")


def read_description(values: Mapping[str, Any], where: str) -> Description:
    """Read a configuration of any version of SLEAP up to 1.4.

    Keys that older versions did not write have the value that those versions worked with.

    Parameters
    ----------
    values : mapping
        The JSON of training_config.json.
    where : str
        The model, for messages.

    Raises
    ------
    ModelError
        If it says nothing about a head or a skeleton, or not what can be used.
    """
    try:
        return _read(values)
    except (DataError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        reason = f"no {error.args[0]!r}" if isinstance(error, KeyError) else str(error)
        raise ModelError(
            f"Expected the configuration of a SLEAP model in {where!r}; received {reason}. "
            "Give the folder that SLEAP 1.4 or older made."
        ) from None


def _read(values: Mapping[str, Any]) -> Description:
    head, parts = _choose_head(values["model"]["heads"])
    maps = parts["confmaps"]
    data = values["data"]
    preprocessing = data.get("preprocessing") or {}
    cropping = data.get("instance_cropping") or {}
    crop_px = int(cropping.get("crop_size") or 0)
    if head in ("centered_instance", "multi_class_topdown") and crop_px < 1:
        raise ValueError("no crop size")
    scale = float(preprocessing.get("input_scaling") or 1.0)
    if not 0 < scale <= 16:
        raise ValueError(f"the input scale {scale}")
    identities = parts.get("classmaps") or parts.get("classes") or {}
    return Description(
        head=head,
        skeleton=_read_skeleton(data["labels"], maps, parts.get("pafs") or {}),
        anchor=str(maps.get("anchor_part") or cropping.get("center_on_part") or ""),
        classes=tuple(str(name) for name in identities.get("classes") or ()),
        strides={name: _read_stride(part) for name, part in parts.items() if name != "classes"},
        sigma_px=float(maps.get("sigma") or 5.0),
        paf_sigma=float((parts.get("pafs") or {}).get("sigma") or 15.0),
        input_scale=scale,
        pad_to_stride=int(preprocessing.get("pad_to_stride") or 0),
        crop_px=crop_px,
        target_size=_read_target(preprocessing),
        imagenet_mode=_read_mode(preprocessing),
        version=str(values.get("sleap_version") or ""),
    )


def _choose_head(heads: Mapping[str, Any]) -> tuple[str, dict[str, Mapping[str, Any]]]:
    """Return the one head that is set, with what it says about each output."""
    given = {name: part for name, part in heads.items() if part}
    if len(given) != 1 or next(iter(given)) not in HEAD_NAMES:
        raise ValueError(f"the heads {', '.join(given) or '(none)'}")
    ((head, part),) = given.items()
    if "confmaps" not in part:
        return head, {"confmaps": part}
    return head, {OUTPUTS[name]: part[name] for name in OUTPUTS if part.get(name)}


def _read_stride(part: Mapping[str, Any]) -> int:
    stride = int(part.get("output_stride") or 1)
    if not 1 <= stride <= 256:
        raise ValueError(f"the output stride {stride}")
    return stride


def _read_target(preprocessing: Mapping[str, Any]) -> tuple[int, int] | None:
    height, width = (preprocessing.get(f"target_{side}") for side in ("height", "width"))
    if not preprocessing.get("resize_and_pad_to_target") or not height or not width:
        return None
    return int(height), int(width)


def _read_mode(preprocessing: Mapping[str, Any]) -> str:
    mode = str(preprocessing.get("imagenet_mode") or "")
    if mode and mode not in IMAGENET_MODES:
        raise ValueError(f"the imagenet_mode {mode!r}")
    return mode


def _read_skeleton(
    labels: Mapping[str, Any], maps: Mapping[str, Any], pafs: Mapping[str, Any]
) -> Skeleton:
    """Return the skeleton with nodes and edges in the order of the channels."""
    from sleap_io.io.skeleton import SkeletonDecoder

    (first, *_) = SkeletonDecoder().decode(list(labels["skeletons"]))
    nodes = [str(name) for name in maps.get("part_names") or [n.name for n in first.nodes]]
    edges = pafs.get("edges") or [(edge.source.name, edge.destination.name) for edge in first.edges]
    pairs = [tuple(node.name for node in symmetry.nodes) for symmetry in first.symmetries]
    known = set(nodes)
    return Skeleton.from_names(
        nodes,
        [(a, b) for a, b in edges if {a, b} <= known],
        sorted((min(a, b), max(a, b)) for a, b in pairs if {a, b} <= known),
        str(first.name or "skeleton"),
    )
