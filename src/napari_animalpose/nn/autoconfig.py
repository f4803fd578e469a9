"""Choosing a network for an animal from its labels, and saying why.

Numbers measured on the labels (`measure_labels`) go in; a configuration and the
sentences that justify it come out (`choose_config`). Nothing here is trained or tried:
the rules are the ones that `benchmarks/NOTES.md` reports on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import AugmentConfig, ModelConfig, RunConfig, TrainConfig
from napari_animalpose.data.poses import Poses, Visibility
from napari_animalpose.errors import ConfigError, DataError
from napari_animalpose.nn.backbones import UNetOptions, backbone_options, model_receptive_field
from napari_animalpose.nn.heads import PIPELINES
from napari_animalpose.nn.identity import named_tracks

__all__ = [
    "CONFIGURATORS",
    "PRESETS",
    "Choice",
    "Configurator",
    "LabelMeasures",
    "choose_config",
    "measure_labels",
]

SCALES = (1.0, 0.75, 0.5, 1 / 3, 0.25, 1 / 6, 0.125)
UNKNOWN_SIZE = 0.1  # of the shorter side of the frame: an animal of which one point is known
SMALL_ANIMAL = 0.3  # of the shorter side of the frame
SMALLEST_ANIMAL_PX = 60  # of network input: below, the points of an animal run together
COARSE_FROM_PX = 150  # of network input: from here an output stride of 4 loses nothing
SIGMA_CELLS = 1.5  # of the confidence map: wide enough for the sub-pixel fit
ALL_ROUND_DEG = 60.0  # circular standard deviation; seen from above it is larger
WINDOW_ANIMALS = 1.15  # side of a training window in lengths of a large animal
CENTROID_ANIMAL_PX = 32  # length of an animal that is only to be found
CENTROID_CONTEXT = 2.0  # receptive field of the network that finds it, in its lengths
CENTROID_WINDOW = 4.0  # side of a training window of that network, in lengths
WHOLE_FROM = 0.6  # share of the frame from which windows gain nothing over whole frames
CROP_BUDGET = 0.18  # px of a crop over those of a whole frame that a preset can afford
COARSE_CROP_PX = 250  # of network input: from here an output stride of 4 loses nothing
WINDOW_NEIGHBOURS = 1.5  # the same where an animal must be told from its neighbours
IDENTITY_SCALE = 0.97, 1.03  # magnifications where size tells animals apart
IDENTITY_CHANGE = 0.5  # of contrast, brightness and gamma, where tone may do so
PAF_CELLS = 1.0, 2.5  # least and largest half-width of a part affinity field


@dataclass(frozen=True)
class LabelMeasures:
    """What the labels say about the animal and its place in the frame; lengths in px.

    Parameters
    ----------
    n_frames, n_instances : int
        Labelled frames and labelled animals in them.
    n_nodes : int
    animals_per_frame : int
        The most in one frame.
    frame_height, frame_width : int
        Of the largest labelled frame.
    channels : int
        1 for gray, 3 for colour.
    size_px : float
        Median length of the diagonal of an animal's bounding box.
    large_size_px : float
        The 95th percentile of it.
    spacing_px : float
        Median distance from a point to the next point of the same animal.
    orientation_spread_deg : float
        Circular standard deviation of the directions in which animals lie; above about
        80 they lie in all directions, as seen from above.
    points_labelled : float
        Share of all points that have a position.
    longest_edge_px : float
        The 99th percentile of the length of an animal's longest edge; 0 without edges.
    identities : tuple of str
        Names of the tracks of the labelled animals.
    n_empty_frames : int
        Frames that were marked as empty.
    n_sizes : int
        Different sizes of the frames that were looked at.
    gray_and_colour : bool
        Whether some of these are gray and others not.
    points_occluded : float
        Share of the labelled points that are occluded.
    """

    n_frames: int
    n_instances: int
    n_nodes: int
    animals_per_frame: int
    frame_height: int
    frame_width: int
    channels: int
    size_px: float
    large_size_px: float
    spacing_px: float
    orientation_spread_deg: float
    points_labelled: float
    longest_edge_px: float = 0.0
    identities: tuple[str, ...] = ()
    n_empty_frames: int = 0
    n_sizes: int = 1
    gray_and_colour: bool = False
    points_occluded: float = 0.0

    @property
    def share_of_frame(self) -> float:
        """Length of an animal over the shorter side of the frame."""
        return self.size_px / min(self.frame_height, self.frame_width)


def measure_labels(
    labels: Poses,
    sizes: Sequence[tuple[int, int]],
    channels: int | Sequence[int],
    n_empty_frames: int = 0,
) -> LabelMeasures:
    """Measure the labelled animals.

    Parameters
    ----------
    labels : Poses
        Labelled instances only.
    sizes : sequence of (int, int)
        (height, width) of the videos or frames that hold them.
    channels : int or sequence of int
        1 for gray frames, 3 for colour; one number for all of them, or one for each size.
        Of gray and colour together the network sees the gray that they have in common:
        a place then looks alike in both.
    n_empty_frames : int
        Passed on.

    Raises
    ------
    DataError
        If there is no labelled point at all.
    """
    xy = labels.xy.astype(np.float64)
    placed = np.isfinite(xy[..., 0])
    rows = placed.any(axis=1)
    if not rows.any():
        raise DataError(
            "Expected labelled points to learn from; received labels without a single point. "
            "Label some frames first."
        )
    xy, placed = xy[rows], placed[rows]
    sides = np.nanmax(xy, axis=1) - np.nanmin(xy, axis=1)  # (N, 2)
    diagonal = np.hypot(sides[:, 0], sides[:, 1])
    frames, counts = np.unique(
        np.stack([labels.video[rows], labels.frame[rows]]), axis=1, return_counts=True
    )
    seen = {channels} if isinstance(channels, int) else set(channels)
    # Single points have no size: take the animal for a tenth of the frame.
    unknown = UNKNOWN_SIZE * min(min(size) for size in sizes)
    return LabelMeasures(
        n_frames=frames.shape[1],
        n_instances=int(rows.sum()),
        n_nodes=labels.n_nodes,
        animals_per_frame=int(counts.max()),
        frame_height=max(size[0] for size in sizes),
        frame_width=max(size[1] for size in sizes),
        channels=min(seen),
        size_px=float(np.median(diagonal)) or unknown,
        large_size_px=float(np.percentile(diagonal, 95)) or unknown,
        spacing_px=_spacing(xy),
        orientation_spread_deg=_orientation_spread(xy),
        points_labelled=float(placed.mean()),
        longest_edge_px=_longest_edge(xy, labels.skeleton.edge_array),
        identities=named_tracks(labels.select(rows)),
        n_empty_frames=n_empty_frames,
        n_sizes=len(set(sizes)),
        gray_and_colour=len(seen) > 1,
        points_occluded=float((labels.visibility[rows][placed] == Visibility.OCCLUDED).mean()),
    )


def _spacing(xy: NDArray[np.float64]) -> float:
    """Median distance of a point to the next one of the same animal, (N, K, 2); inf for K = 1."""
    distance = np.linalg.norm(xy[:, :, None] - xy[:, None], axis=-1)  # (N, K, K)
    distance[:, np.arange(xy.shape[1]), np.arange(xy.shape[1])] = np.inf
    nearest = np.where(np.isnan(distance), np.inf, distance).min(axis=2)
    nearest = nearest[np.isfinite(nearest)]
    return float(np.median(nearest)) if nearest.size else math.inf


def _longest_edge(xy: NDArray[np.float64], edges: NDArray[np.int32]) -> float:
    """99th percentile of the longest edge (E, 2) of each animal (N, K, 2); 0 without any."""
    if not len(edges):
        return 0.0
    lengths = np.linalg.norm(xy[:, edges[:, 0]] - xy[:, edges[:, 1]], axis=-1)  # (N, E)
    longest = np.where(np.isnan(lengths), 0.0, lengths).max(axis=1)
    return float(np.percentile(longest, 99))


def _orientation_spread(xy: NDArray[np.float64]) -> float:
    """Circular standard deviation in degrees of the animals' orientations.

    The orientation is the rotation that best brings the animals' mean shape onto each
    of them (Procrustes, Kabsch 1976), the mean shape being refined from the first
    complete animal.
    """
    centred = xy - np.nanmean(xy, axis=1, keepdims=True)
    shapes = np.nan_to_num(centred[..., 0] + 1j * centred[..., 1])  # (N, K); missing: 0
    template = shapes[np.argmax(np.isfinite(xy[..., 0]).sum(axis=1))]
    angles = np.zeros(len(shapes))
    for _ in range(5):
        angles = np.angle((shapes * template.conj()).sum(axis=1))
        template = (shapes * np.exp(-1j * angles)[:, None]).mean(axis=0)
    length = abs(np.exp(1j * angles).mean())
    return float(np.rad2deg(math.sqrt(max(0.0, -2 * math.log(max(length, 1e-9))))))


@dataclass(frozen=True)
class Choice:
    """A configuration and why it was chosen.

    Parameters
    ----------
    config : RunConfig
    reasons : tuple of str
        One sentence for each decision, for biologists.
    receptive_field_px : float
        Side of the receptive field of the last network in px of the full frame.
    """

    config: RunConfig
    reasons: tuple[str, ...]
    receptive_field_px: float


@dataclass(frozen=True)
class _Preset:
    input_pixels: float  # px of network input a frame that training can afford
    filters: int
    summary: str


PRESETS: dict[str, _Preset] = {
    "fast": _Preset(110e3, 16, "small input and network: minutes on a CPU"),
    "balanced": _Preset(220e3, 16, "the default"),
    "accurate": _Preset(900e3, 24, "large input and network: for a GPU or patience"),
}


def choose_config(
    measures: LabelMeasures, preset: str = "balanced", pipeline: str = "auto"
) -> Choice:
    """Choose pipeline, scale, depth, strides and augmentation for an animal.

    Parameters
    ----------
    measures : LabelMeasures
    preset : {"fast", "balanced", "accurate"}
        How much input and how many filters the network may have.
    pipeline : str
        A name in `nn.heads.PIPELINES`, or "auto".

    Raises
    ------
    ConfigError
        If the preset or the pipeline is unknown.
    """
    if preset not in PRESETS:
        raise ConfigError(f"Expected one of the presets {', '.join(PRESETS)}; received {preset!r}.")
    reasons = [_describe(measures), *_describe_peculiarities(measures)]
    if pipeline == "auto":
        pipeline = _choose_pipeline(measures, reasons)
    heads = PIPELINES.get(pipeline).heads
    networks, training = CONFIGURATORS[pipeline](measures, PRESETS[preset], reasons)
    last = networks[heads[-1]]
    augment = _choose_augmentation(measures, reasons)
    if PIPELINES.get(pipeline).identifies:
        augment = _spare_identities(augment, reasons)
    return Choice(
        RunConfig(
            pipeline=pipeline,
            networks=networks,
            augment=augment,
            train=training,
        ),
        tuple(reasons),
        model_receptive_field(last) / last.input_scale,
    )


def _describe(m: LabelMeasures) -> str:
    spacing = f" about {m.spacing_px:.0f} px from one to the next" if m.n_nodes > 1 else ""
    animals = "one animal" if m.animals_per_frame == 1 else f"up to {m.animals_per_frame} animals"
    up_to = f"{m.n_sizes} sizes up to " if m.n_sizes > 1 else ""
    return (
        f"{m.n_frames} labelled frames of {up_to}{m.frame_width} x {m.frame_height} px with "
        f"{animals} each; an animal is {m.size_px:.0f} px long ({m.share_of_frame:.0%} of the "
        f"shorter side) with {m.n_nodes} points{spacing}, of which {m.points_labelled:.0%} are "
        "labelled."
    )


def _describe_peculiarities(m: LabelMeasures) -> list[str]:
    """Say what is made of labels and frames that are not all alike."""
    said = []
    if m.n_empty_frames:
        said.append(
            f"{m.n_empty_frames} frames marked as empty are learned from as well: there the "
            "network is to find nothing."
        )
    if m.gray_and_colour:
        said.append(
            "Some frames are gray and some have colours: the network sees all of them in gray, "
            "so that an animal looks alike in both. To use the colours all the same: "
            "--set model.channels=3"
        )
    if m.points_occluded:
        said.append(
            f"{m.points_occluded:.0%} of the labelled points are marked as occluded. They are "
            "learned like the others, so the network will place what it cannot see."
        )
    return said


def _choose_pipeline(m: LabelMeasures, reasons: list[str]) -> str:
    if m.animals_per_frame == 1:
        reasons.append("Pipeline single: never more than one animal is labelled in a frame.")
        return "single"
    small = m.share_of_frame < SMALL_ANIMAL
    better = "topdown" if small else "bottomup"
    reasons.append(
        f"Pipeline {better}: several animals in a frame that "
        + (
            "are small beside it, so each is found first and then looked at closely."
            if small
            else "fill much of it and may touch, so all points are found at once and joined."
        )
    )
    return better


def _choose_model(m: LabelMeasures, preset: _Preset, reasons: list[str]) -> ModelConfig:
    scale = _choose_scale(m, preset, reasons)
    size = m.large_size_px * scale
    stride = 4 if size >= COARSE_FROM_PX else 2
    sigma = SIGMA_CELLS * stride
    reasons.append(
        f"Output stride {stride} with sigma {sigma:g} px (of the network input): fine enough "
        "that the sub-pixel fit, and not the map, limits the precision."
    )
    options = UNetOptions(filters=preset.filters, stem_stride=2 if size >= COARSE_FROM_PX else 1)
    for depth in range(2, 7):
        options = options.replace(down_blocks=depth)
        model = ModelConfig(
            backbone="unet",
            backbone_options=options.to_dict(),
            channels=m.channels,
            input_scale=scale,
            output_stride=stride,
            sigma_px=sigma,
        )
        field = model_receptive_field(model)
        if field >= size:
            break
    reasons.append(
        f"U-Net with {options.down_blocks} halvings"
        + (f" after a stem of stride {options.stem_stride}" if options.stem_stride > 1 else "")
        + f" and {options.filters} filters: it sees {field / scale:.0f} px of the frame around "
        f"each place, enough for the whole animal (95 % are shorter than {m.large_size_px:.0f} px)."
    )
    return model


def _choose_training(
    m: LabelMeasures, model: ModelConfig, reasons: list[str], animals: float = WINDOW_ANIMALS
) -> TrainConfig:
    """Windows of so many animals' length where these are much smaller than the frame."""
    multiple = backbone_options(model).max_stride
    side = math.ceil(animals * m.large_size_px * model.input_scale / multiple) * multiple
    frame = m.frame_height * m.frame_width * model.input_scale**2
    if side * side > 0.6 * frame:
        reasons.append("Training on whole frames: the animal fills much of them.")
        return TrainConfig(batch_size=4)
    reasons.append(
        f"Training on windows of {side / model.input_scale:.0f} px around the animal, which is "
        f"{frame / side**2:.0f} times faster than on whole frames; prediction looks at whole ones."
    )
    return TrainConfig(batch_size=8, window_px=side)


def _choose_scale(m: LabelMeasures, preset: _Preset, reasons: list[str]) -> float:
    """Largest of the simple scales that the budget allows and the animal does not need less of."""
    pixels = m.frame_height * m.frame_width
    affordable = math.sqrt(preset.input_pixels / pixels)
    needed = SMALLEST_ANIMAL_PX / m.size_px
    wanted = min(1.0, max(affordable, needed))
    scale = min(SCALES, key=lambda s: abs(math.log(s / wanted)))
    if scale == 1:
        reasons.append("Input scale 1: the frame is small enough to be used as it is.")
    elif needed > affordable:
        reasons.append(
            f"Input scale {scale:.3g}: smaller, and the animal would be less than "
            f"{SMALLEST_ANIMAL_PX} px long; training will take its time."
        )
    else:
        reasons.append(
            f"Input scale {scale:.3g}: the animal is still {m.size_px * scale:.0f} px long, and "
            f"training is {1 / scale**2:.0f} times faster."
        )
    return scale


def _choose_augmentation(m: LabelMeasures, reasons: list[str]) -> AugmentConfig:
    if m.orientation_spread_deg >= ALL_ROUND_DEG:
        reasons.append("Rotation by any angle: the animals lie in all directions.")
        return AugmentConfig(rotation_deg=180.0)
    if m.animals_per_frame > 1:
        reasons.append(
            "Rotation by any angle: animals that meet turn around each other sooner or later, "
            f"though the labelled ones keep their direction within {m.orientation_spread_deg:.0f} "
            "degrees."
        )
        return AugmentConfig(rotation_deg=180.0)
    rotation = float(max(15, round(m.orientation_spread_deg)))
    reasons.append(
        f"Rotation by up to {rotation:.0f} degrees: the animals keep their direction within "
        f"about {m.orientation_spread_deg:.0f} degrees."
    )
    return AugmentConfig(rotation_deg=rotation)


def _spare_identities(augment: AugmentConfig, reasons: list[str]) -> AugmentConfig:
    """Change size and brightness less: an animal must not be made to look like another."""
    spared = augment.replace(
        scale_min=IDENTITY_SCALE[0], scale_max=IDENTITY_SCALE[1],
        contrast=IDENTITY_CHANGE * augment.contrast, gamma=IDENTITY_CHANGE * augment.gamma,
        brightness=IDENTITY_CHANGE * augment.brightness,
    )  # fmt: skip
    reasons.append(
        f"Training changes the size of the animals by no more than {spared.scale_max - 1:.0%} and "
        "their brightness less than usual: by these they may be told apart."
    )
    return spared


# ------------------------------------------------------------- one entry for each pipeline
Configurator = Callable[
    [LabelMeasures, _Preset, list[str]], tuple[dict[str, ModelConfig], TrainConfig]
]
"""From measures and a preset to the networks of a pipeline, by the name of their head and
in the order in which they run, and how they are trained; appends its reasons."""


def _configure_single(
    m: LabelMeasures, preset: _Preset, reasons: list[str]
) -> tuple[dict[str, ModelConfig], TrainConfig]:
    model = _choose_model(m, preset, reasons)
    return {"single_instance": model}, _choose_training(m, model, reasons)


def _configure_bottomup(
    m: LabelMeasures, preset: _Preset, reasons: list[str]
) -> tuple[dict[str, ModelConfig], TrainConfig]:
    model = _choose_model(m, preset, reasons)
    scale, stride = model.input_scale, model.output_stride
    narrowest, widest = (cells * stride for cells in PAF_CELLS)
    half_width = round(min(max(0.5 * m.spacing_px * scale, narrowest), widest), 1)
    reasons.append(
        f"Part affinity fields, which join points to animals, have a half-width of "
        f"{half_width:g} px (of the network input): as wide as the spacing of the points "
        f"allows, so that the fields of neighbouring limbs stay apart, and never narrower "
        f"than a cell of the map. Points further apart than {m.longest_edge_px:.0f} px, the "
        f"longest edge in the labels, need better evidence to be joined."
    )
    model = model.replace(
        max_peaks=max(10, 2 * m.animals_per_frame),
        paf_half_width_px=half_width,
        max_edge_px=round(m.longest_edge_px * scale, 1),
    )
    training = _choose_training(m, model, reasons, WINDOW_NEIGHBOURS)
    return {"multi_instance": model}, training


def _configure_topdown(
    m: LabelMeasures, preset: _Preset, reasons: list[str]
) -> tuple[dict[str, ModelConfig], TrainConfig]:
    networks = {
        "centroid": _choose_centroid_model(m, preset, reasons),
        "centered_instance": _choose_crop_model(m, preset, reasons),
    }
    return networks, TrainConfig(batch_size=8)


def _configure_topdown_id(
    m: LabelMeasures, preset: _Preset, reasons: list[str]
) -> tuple[dict[str, ModelConfig], TrainConfig]:
    _explain_identities(m, reasons)
    networks, training = _configure_topdown(m, preset, reasons)
    closer = networks.pop("centered_instance").replace(classes=m.identities)
    return {**networks, "centered_instance_id": closer}, training


def _configure_bottomup_id(
    m: LabelMeasures, preset: _Preset, reasons: list[str]
) -> tuple[dict[str, ModelConfig], TrainConfig]:
    _explain_identities(m, reasons)
    model = _choose_model(m, preset, reasons)
    reasons.append(
        "Points are joined by whose they are, seen from the whole animal around them. No point "
        f"belongs to an animal whose middle is more than {m.large_size_px:.0f} px away: 95 % of "
        "the animals are shorter than that from end to end."
    )
    model = model.replace(
        classes=m.identities,
        max_peaks=max(10, 2 * m.animals_per_frame),
        max_reach_px=round(m.large_size_px * model.input_scale, 1),
    )
    return {"multi_instance_id": model}, _choose_training(m, model, reasons, WINDOW_NEIGHBOURS)


def _explain_identities(m: LabelMeasures, reasons: list[str]) -> None:
    more = len(m.identities) > m.animals_per_frame
    reasons.append(
        f"Identities are the {len(m.identities)} tracks of the labels: {', '.join(m.identities)}."
        + (
            f" No frame has more than {m.animals_per_frame} of them together: if some are pieces "
            "of the track of one animal, join these first, or the network will learn to tell "
            "the animal from itself."
            if more
            else ""
        )
    )


def _choose_centroid_model(m: LabelMeasures, preset: _Preset, reasons: list[str]) -> ModelConfig:
    """Find animals in frames so small that this costs little and they are still animals."""
    scale = _nearest_scale(CENTROID_ANIMAL_PX / m.size_px)
    size = m.large_size_px * scale
    model = _deepen_unet(
        UNetOptions(filters=preset.filters),
        ModelConfig(channels=m.channels, input_scale=scale, sigma_px=2 * SIGMA_CELLS),
        CENTROID_CONTEXT * size,
    )
    frame = m.frame_height * m.frame_width * scale**2
    side = _round_up(CENTROID_WINDOW * size, model)
    if side * side > WHOLE_FROM * frame:
        side = 0
    field = model_receptive_field(model) / scale
    shown = f"windows of {side / scale:.0f} px of the frame" if side else "whole frames"
    reasons.append(
        f"Centroid network at input scale {scale:.3g}: an animal {m.size_px * scale:.0f} px long "
        f"is enough to see where it is; it looks at {field:.0f} px of the frame around each "
        f"place and learns from {shown}."
    )
    return model.replace(crop_px=side)


def _choose_crop_model(m: LabelMeasures, preset: _Preset, reasons: list[str]) -> ModelConfig:
    """Look at each animal as closely as the preset can afford."""
    length = WINDOW_ANIMALS * m.large_size_px
    affordable = math.sqrt(CROP_BUDGET * preset.input_pixels)
    scale = next((s for s in SCALES if s * length <= affordable), SCALES[-1])
    stride = 4 if length * scale >= COARSE_CROP_PX else 2
    model = _deepen_unet(
        UNetOptions(filters=preset.filters),
        ModelConfig(
            channels=m.channels, input_scale=scale, output_stride=stride,
            sigma_px=SIGMA_CELLS * stride,
        ),
        length * scale,
    )  # fmt: skip
    side = _round_up(length * scale, model)
    reasons.append(
        f"Centred network on crops of {side / scale:.0f} px of the frame at input scale "
        f"{scale:.3g}: 95 % of the animals are shorter than {m.large_size_px:.0f} px, and the "
        "margin covers what the centroid may be off."
    )
    reasons.append(
        f"Output stride {stride} with sigma {model.sigma_px:g} px and a U-Net with "
        f"{backbone_options(model).down_blocks} halvings: each place of the crop sees "
        f"{model_receptive_field(model) / scale:.0f} px of the frame, so all of the animal."
    )
    return model.replace(crop_px=side)


def _nearest_scale(wanted: float) -> float:
    return min(SCALES, key=lambda scale: abs(math.log(scale / min(1.0, wanted))))


def _deepen_unet(options: UNetOptions, model: ModelConfig, reach_px: float) -> ModelConfig:
    """Give a model the shallowest U-Net whose receptive field is `reach_px` of its input."""
    for depth in range(2, 7):
        options = options.replace(down_blocks=depth)
        model = model.replace(backbone="unet", backbone_options=options.to_dict())
        if model_receptive_field(model) >= reach_px:
            break
    return model


def _round_up(side_px: float, model: ModelConfig) -> int:
    """Return a side in px rounded up to a multiple that the backbone can take."""
    multiple: int = backbone_options(model).max_stride
    return math.ceil(side_px / multiple) * multiple


CONFIGURATORS: dict[str, Configurator] = {
    "single": _configure_single,
    "bottomup": _configure_bottomup,
    "topdown": _configure_topdown,
    "topdown-id": _configure_topdown_id,
    "bottomup-id": _configure_bottomup_id,
}
