"""What can be chosen, as frozen dataclasses: checked, saved as JSON, shown as forms.

Units are in the names. Every class refuses unknown keys and values outside their range
with one sentence, so that a typing error in a file or on the command line never turns
into a default.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeVar

from napari_animalpose.errors import ConfigError

__all__ = [
    "AugmentConfig",
    "Config",
    "IdentityConfig",
    "ModelConfig",
    "PredictConfig",
    "ReviewConfig",
    "RunConfig",
    "SmoothConfig",
    "StitchConfig",
    "TrackConfig",
    "TrainConfig",
    "override",
]

AnyConfig = TypeVar("AnyConfig", bound="Config")
Precision = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Config:
    """Base of all configurations: conversion from and to plain JSON data."""

    def to_dict(self) -> dict[str, Any]:
        """Return nested plain data that `from_dict` reads back to an equal object."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from plain data; missing keys keep their defaults.

        Raises
        ------
        ConfigError
            For unknown keys, values of another type and values out of range.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"Expected keys with values for {cls.__name__}; received {values!r}.")
        hints = typing.get_type_hints(cls)
        known = {f.name: hints[f.name] for f in dataclasses.fields(cls)}
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ConfigError(
                f"Expected the keys {', '.join(known)} in {cls.__name__}; "
                f"received {', '.join(unknown)}."
            )
        return cls(
            **{
                name: _convert(value, known[name], f"{cls.__name__}.{name}")
                for name, value in values.items()
            }
        )

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some values changed and checked."""
        return dataclasses.replace(self, **changes)

    def _require(self, condition: bool, name: str, expected: str) -> None:
        if not condition:
            raise ConfigError(
                f"Expected {expected} for {type(self).__name__}.{name}; "
                f"received {getattr(self, name)!r}."
            )


def _convert(value: Any, annotation: Any, where: str) -> Any:
    """Check one value from JSON against its annotation, converting where nothing is lost."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        inner = next(a for a in arguments if a is not type(None))
        return _convert(value, inner, where)
    if origin is Literal:
        if value in arguments:
            return value
        raise ConfigError(f"Expected one of {arguments} for {where}; received {value!r}.")
    if origin is tuple and isinstance(value, list | tuple):  # JSON knows only lists
        return tuple(_convert(v, arguments[0], where) for v in value)
    if origin is dict and isinstance(value, Mapping):
        inner = arguments[1]
        return {key: v if inner is Any else _convert(v, inner, where) for key, v in value.items()}
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        if isinstance(value, annotation):
            return value
        if isinstance(value, Mapping) and issubclass(annotation, Config):
            return annotation.from_dict(value)
    if annotation is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    is_flag = annotation is int and isinstance(value, bool)  # a bool is an int to Python
    if isinstance(annotation, type) and isinstance(value, annotation) and not is_flag:
        return value
    name = getattr(annotation, "__name__", str(annotation))
    raise ConfigError(f"Expected a value of type {name} for {where}; received {value!r}.")


@dataclass(frozen=True)
class ModelConfig(Config):
    """One network and what it is asked for.

    Parameters
    ----------
    backbone : str
        Name in `nn.backbones.BACKBONES`.
    backbone_options : dict
        Options of that backbone; those left out keep its defaults.
    channels : int
        1 to learn from gray frames, 3 from colour.
    input_scale : float
        Frames are resized by this factor before anything else, in (0, 1].
    output_stride : int
        Input px between two cells of a confidence map; a power of two.
    sigma_px : float
        Standard deviation of the confidence maps in px of the network input.
    crop_px : int
        Side of the squares of network input that this network is trained on, rounded up
        to what its backbone can take; 0 means `TrainConfig.window_px`. A network for one
        centred animal sees nothing but such a square in prediction, too, and needs one.
    anchor : str
        The node that stands for the place of an animal; where it is missing, and without
        one (""), that is the middle of the box around the animal's points.
    max_peaks : int
        Peaks that a network for many animals keeps for each node, the highest ones.
    paf_half_width_px : float
        Distance from an edge, in px of the network input, at which a part affinity field
        has fallen to one half.
    paf_loss_weight : float
        Of the error of the fields beside that of the confidence maps.
    max_edge_px : float
        Length of the longest edge in the labels in px of the network input: points further
        apart are joined only with better evidence. 0 means no such limit.
    max_reach_px : float
        Distance from the middle of an animal, in px of the network input, beyond which no
        point is its own, where points are joined by whose they are. 0 means no such limit.
    classes : tuple of str
        Identities that the network tells apart, by the names of their tracks; empty for a
        network that tells none.
    class_loss_weight : float
        Of the error about identities beside that of the confidence maps.
    class_units : int
        Width of the dense layer between the features of a window and its identity.
    """

    backbone: str = "unet"
    backbone_options: dict[str, Any] = field(default_factory=dict)
    channels: int = 1
    input_scale: float = 1.0
    output_stride: int = 2
    sigma_px: float = 2.5
    crop_px: int = 0
    anchor: str = ""
    max_peaks: int = 20
    paf_half_width_px: float = 5.0
    paf_loss_weight: float = 0.25
    max_edge_px: float = 0.0
    max_reach_px: float = 0.0
    classes: tuple[str, ...] = ()
    class_loss_weight: float = 0.02
    class_units: int = 64

    def __post_init__(self) -> None:
        self._require(self.channels in (1, 3), "channels", "1 (gray) or 3 (colour)")
        self._require(0 < self.input_scale <= 1, "input_scale", "a factor in (0, 1]")
        stride = self.output_stride
        self._require(stride >= 1 and stride & (stride - 1) == 0, "output_stride", "a power of two")
        self._require(self.sigma_px > 0, "sigma_px", "a positive number")
        self._require(self.crop_px >= 0, "crop_px", "a whole number of at least 0")
        self._require(self.max_peaks >= 1, "max_peaks", "a whole number of at least 1")
        for name in ("paf_half_width_px", "paf_loss_weight", "class_loss_weight"):
            self._require(getattr(self, name) > 0, name, "a positive number")
        for name in ("max_edge_px", "max_reach_px"):
            self._require(getattr(self, name) >= 0, name, "a number of at least 0")
        self._require(self.class_units >= 1, "class_units", "a whole number of at least 1")
        unique = len(set(self.classes)) == len(self.classes) and all(self.classes)
        self._require(unique, "classes", "a different name for each identity")


@dataclass(frozen=True)
class AugmentConfig(Config):
    """Random changes to every training example; all ranges are symmetric or low to high.

    Parameters
    ----------
    rotation_deg : float
        Rotation about the centre of the window, uniform in -rotation_deg..rotation_deg.
    scale_min, scale_max : float
        Magnification, log-uniform between the two.
    translate_fraction : float
        Shift, uniform up to this fraction of the window in both directions.
    flip : {"none", "horizontal", "vertical", "both"}
        Mirror with probability one half; symmetric nodes change places.
    contrast : float
        The image is stretched about its mean by a factor log-uniform in
        1/(1+contrast)..1+contrast.
    brightness : float
        Added to all pixels, uniform in -brightness..brightness, of full scale 1.
    gamma : float
        Exponent log-uniform in 1/(1+gamma)..1+gamma.
    noise : float
        Standard deviation of Gaussian noise, uniform in 0..noise, of full scale 1.
    cutout_probability : float
        Chance that a grey rectangle hides a part of the window (occlusion).
    """

    rotation_deg: float = 15.0
    scale_min: float = 0.9
    scale_max: float = 1.1
    translate_fraction: float = 0.05
    flip: Literal["none", "horizontal", "vertical", "both"] = "none"
    contrast: float = 0.25
    brightness: float = 0.1
    gamma: float = 0.25
    noise: float = 0.03
    cutout_probability: float = 0.0

    def __post_init__(self) -> None:
        self._require(0 <= self.rotation_deg <= 180, "rotation_deg", "degrees from 0 to 180")
        self._require(0 < self.scale_min <= 1, "scale_min", "a factor in (0, 1]")
        self._require(self.scale_max >= 1, "scale_max", "a factor of at least 1")
        for name in ("translate_fraction", "brightness", "noise", "cutout_probability"):
            self._require(0 <= getattr(self, name) <= 1, name, "a number from 0 to 1")
        for name in ("contrast", "gamma"):
            self._require(getattr(self, name) >= 0, name, "a number of at least 0")


@dataclass(frozen=True)
class TrainConfig(Config):
    """How the network learns.

    Parameters
    ----------
    seed : int
        Of the split, the initial weights, the order of examples and augmentation.
    batch_size : int
        Examples in one step.
    epochs : int
        The most epochs.
    steps_per_epoch : int
        Steps between two validations; 0 means once through the training frames, but at
        least 50 steps.
    max_minutes : float
        Wall-clock limit in minutes, from the start to the finished run folder; the
        learning rate is annealed to reach its end just then. 0 means no limit.
    learning_rate : float
        At its peak, after the warm-up and before cosine annealing.
    warmup_steps : int
        Steps over which the learning rate rises from zero.
    foreground_weight : float
        Squared errors weigh 1 + foreground_weight * target: a map is almost everywhere
        zero, and without this the network first learns to say "nothing anywhere".
    weight_decay : float
        Decoupled, as in AdamW.
    ema_momentum : float
        Validation and the saved model use an exponential moving average of the weights
        with this momentum; 0 uses the weights themselves.
    patience_epochs : int
        Stop after so many validated epochs without a better accuracy; 0 never.
    validation_fraction, test_fraction : float
        Shares of the labelled frames that are held out: validation chooses the best
        epoch, test is not looked at.
    precision : {"auto", "float32", "bfloat16", "float16"}
        Of the layers; ``auto`` chooses the fastest that the device handles well.
    window_px : int
        Side of the squares of network input that training looks at: around an animal or,
        in a share `background_fraction` of the examples, anywhere in the frame. The
        network is fully convolutional and works on whole frames all the same. 0 means
        whole frames.
    background_fraction : float
        See `window_px`.
    cache_gb : float
        Training frames above this size are kept in a file instead of in memory.
    """

    seed: int = 0
    batch_size: int = 4
    epochs: int = 200
    steps_per_epoch: int = 0
    max_minutes: float = 0.0
    learning_rate: float = 2e-3
    warmup_steps: int = 50
    foreground_weight: float = 20.0
    weight_decay: float = 1e-4
    ema_momentum: float = 0.99
    patience_epochs: int = 0
    validation_fraction: float = 0.15
    test_fraction: float = 0.0
    precision: Precision = "auto"
    window_px: int = 0
    background_fraction: float = 0.15
    cache_gb: float = 1.5

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs"):
            self._require(getattr(self, name) >= 1, name, "a whole number of at least 1")
        for name in (
            "seed", "steps_per_epoch", "max_minutes", "warmup_steps", "foreground_weight",
            "weight_decay", "patience_epochs", "window_px", "cache_gb",
        ):  # fmt: skip
            self._require(getattr(self, name) >= 0, name, "a number of at least 0")
        self._require(self.seed < 2**32, "seed", "a whole number below 2**32")
        self._require(self.learning_rate > 0, "learning_rate", "a positive number")
        self._require(0 <= self.ema_momentum < 1, "ema_momentum", "a number in [0, 1)")
        for name in ("validation_fraction", "test_fraction", "background_fraction"):
            self._require(0 <= getattr(self, name) < 1, name, "a fraction in [0, 1)")
        held_out = self.validation_fraction + self.test_fraction
        self._require(held_out < 1, "test_fraction", "some frames left for training")


@dataclass(frozen=True)
class PredictConfig(Config):
    """How a trained network is used.

    Parameters
    ----------
    batch_size : int
        Frames in one step; 0 chooses from the size of the frames.
    peak_threshold : float
        Points whose confidence is lower are missing.
    refinement : {"gaussian", "integral", "none"}
        Sub-pixel estimate around a maximum.
    max_instances : int
        The most animals in a frame, the best ones; 0 means as many as are found.
    min_line_score : float
        Two points are joined only where the part affinity field along the line between
        them has at least this mean; the field of an ideal network has 1.
    min_points : int
        Animals that are joined from fewer points are left out.
    min_mean_confidence : float
        Animals whose points (those that are not missing) have a lower mean confidence are
        left out: one faint point of an animal is likely, an animal of faint points is not.
        For the pipelines that find points first: single and bottom-up.
    min_instance_score : float
        Animals with a lower score are left out. Top-down, it is the confidence that an
        animal is there, times the mean confidence of all its points; bottom-up the mean of
        all its points and edges. What is missing counts as 0: a few faint points are dirt.
        For the pipelines topdown, topdown-id and bottomup.
    min_class_probability : float
        An animal is given an identity only where it has at least this probability, and
        is left without one otherwise.
    precision : {"auto", "float32", "bfloat16", "float16"}
        Of the layers.
    sleap_exact : bool
        For models of SLEAP: give the coordinates of SLEAP 1.4, half a pixel off where it is,
        instead of those that the network was taught.
    """

    batch_size: int = 0
    peak_threshold: float = 0.2
    refinement: Literal["gaussian", "integral", "none"] = "gaussian"
    max_instances: int = 0
    min_line_score: float = 0.25
    min_points: int = 2
    min_mean_confidence: float = 0.4
    min_instance_score: float = 0.1
    min_class_probability: float = 0.2
    precision: Precision = "auto"
    sleap_exact: bool = False

    def __post_init__(self) -> None:
        for name in ("batch_size", "max_instances"):
            self._require(getattr(self, name) >= 0, name, "a whole number of at least 0")
        for name in (
            "peak_threshold", "min_line_score", "min_mean_confidence", "min_instance_score",
            "min_class_probability",
        ):  # fmt: skip
            self._require(0 <= getattr(self, name) <= 1, name, "a number from 0 to 1")
        self._require(self.min_points >= 1, "min_points", "a whole number of at least 1")


@dataclass(frozen=True)
class TrackConfig(Config):
    """How poses become individuals.

    Frames count as steps between frames that were looked at: of a video predicted at
    every eighth frame, eight frames are one.

    Parameters
    ----------
    tracker : str
        Name in `tracking.base.TRACKERS`: how the place of an animal is foreseen.
    max_animals : int
        How many animals there are, where that is known: never more identities, and an
        animal that appears takes over one that is free. 0 means unknown.
    costs : dict of str to float
        Names in `tracking.costs.COSTS` with their weights: what makes an instance unlike
        the one that a track expects. A cost that cannot tell counts nothing.
    assignment : str
        Name in `tracking.assignment.ASSIGNMENTS`: how instances are shared out to tracks.
    window_frames : int
        Past frames that the trackers ``window`` and ``flow`` look back at.
    body_length_px : float
        Diagonal of the box around a typical animal; 0 measures it as the video goes on.
        Skeletons of one point need it.
    motion_fraction : float
        Distance along one axis between a point and where it was expected one frame
        later, as a standard deviation in body lengths; 0 learns it as the video goes on.
    gate_spreads : float
        An instance farther from where a track expects it, in such deviations (which grow
        with the frames the animal was out of sight), is not that animal.
    max_gap_frames : int
        A track out of sight for longer ends; with `max_animals` its identity waits for an
        animal that appears anywhere.
    confirm_frames : int
        An animal that appears gets an identity once seen in so many frames without
        a break of as many, so that false detections get none; 1 = at once.
    min_points : int
        Instances with fewer points start no track (skeletons with fewer nodes need all);
        they may still continue one.
    min_score : float
        Likewise for instances of a lower score; without a score they may.
    user_tracks : {"anchor", "overwrite"}
        What a person said about identities is kept, and leads the tracks (``anchor``), or
        it is forgotten.
    use_identities : bool
        Take the tracks that predicted instances already have (from an identity model) as
        evidence, each as sure as its track score, for the cost ``appearance``.
    """

    tracker: str = "kalman"
    max_animals: int = 0
    costs: dict[str, float] = field(
        default_factory=lambda: {"oks": 1.0, "centroid": 0.2, "appearance": 2.0}
    )
    assignment: str = "hungarian"
    window_frames: int = 5
    body_length_px: float = 0.0
    motion_fraction: float = 0.0
    gate_spreads: float = 8.0
    max_gap_frames: int = 50
    confirm_frames: int = 3
    min_points: int = 2
    min_score: float = 0.0
    user_tracks: Literal["anchor", "overwrite"] = "anchor"
    use_identities: bool = False

    def __post_init__(self) -> None:
        whole = "a whole number of at least"
        for name in ("max_animals", "max_gap_frames"):
            self._require(getattr(self, name) >= 0, name, f"{whole} 0")
        for name in ("window_frames", "confirm_frames", "min_points"):
            self._require(getattr(self, name) >= 1, name, f"{whole} 1")
        for name in ("body_length_px", "motion_fraction", "min_score"):
            self._require(0 <= getattr(self, name) < math.inf, name, "a number of at least 0")
        self._require(0 < self.gate_spreads < math.inf, "gate_spreads", "a positive number")
        weights = self.costs.values()
        positive = any(w > 0 for w in weights) and all(0 <= w < math.inf for w in weights)
        self._require(positive, "costs", "weights of at least 0, one of them above,")


@dataclass(frozen=True)
class StitchConfig(Config):
    """How the tracks of a first pass are joined and cleaned.

    Costs are log-likelihood ratios in nats, so that weights of 1 are what theory says.
    Frames count as in `TrackConfig`.

    Parameters
    ----------
    max_animals : int
        How many animals there are, where that is known: never more tracks in a video,
        and no more instances in a frame. 0 means unknown.
    max_gap_frames : int
        Longest gap that motion is asked about; without `max_animals` also the longest
        that is bridged.
    motion_weight, shape_weight, appearance_weight : float
        Of where the animal would have got, of its limb lengths, and of the class
        probabilities, where there are any.
    gap_weight : float
        A gap costs this times the logarithm of its frames.
    same_track_bonus : float
        Nats for what had one track before.
    new_track_cost : float
        Nats of a new animal, the rarer the higher: successions that cost more are not
        made. Not used with `max_animals`.
    duplicate_oks : float
        Instances that are this alike are one when there are too many.
    min_track_frames : int
        Tracks of fewer frames are removed.
    """

    max_animals: int = 0
    max_gap_frames: int = 100
    motion_weight: float = 1.0
    shape_weight: float = 1.0
    appearance_weight: float = 1.0
    gap_weight: float = 0.5
    same_track_bonus: float = 6.0
    new_track_cost: float = 4.0
    duplicate_oks: float = 0.8
    min_track_frames: int = 1

    def __post_init__(self) -> None:
        for name in ("max_animals", "max_gap_frames"):
            self._require(getattr(self, name) >= 0, name, "a whole number of at least 0")
        for name in (
            "motion_weight", "shape_weight", "appearance_weight", "gap_weight", "same_track_bonus",
        ):  # fmt: skip
            self._require(getattr(self, name) >= 0, name, "a number of at least 0")
        self._require(0 < self.duplicate_oks <= 1, "duplicate_oks", "a similarity in (0, 1]")
        self._require(self.min_track_frames >= 1, "min_track_frames", "a whole number above 0")


@dataclass(frozen=True)
class SmoothConfig(Config):
    """How missing points are filled and noise is taken out.

    Frames count in steps of the frames that tracks have: of a video predicted at every
    eighth frame, eight frames are one.

    Parameters
    ----------
    method : str
        Name in `tracking.smoothing.SMOOTHERS`. ``linear`` and ``pchip`` fill gaps,
        ``median`` and ``savgol`` filter what is there, ``kalman`` does both and says how
        sure it is.
    max_gap_frames : int
        Longest gap of a point that ``linear``, ``pchip`` and ``kalman`` fill, in missing
        frames; longer ones stay, and nothing is carried across them.
    window_frames : int
        Width of the windows of ``median`` and ``savgol``; odd.
    polynomial_order : int
        Of ``savgol``, below the width of the window.
    keep_labels : bool
        Instances that a person made or confirmed guide their neighbours and stay as they
        are. Otherwise they are treated like predictions, and those that change become
        predictions.
    """

    method: str = "kalman"
    max_gap_frames: int = 10
    window_frames: int = 5
    polynomial_order: int = 2
    keep_labels: bool = True

    def __post_init__(self) -> None:
        self._require(self.max_gap_frames >= 0, "max_gap_frames", "a whole number of at least 0")
        odd = self.window_frames >= 1 and self.window_frames % 2 == 1
        self._require(odd, "window_frames", "an odd whole number of at least 1")
        order = self.polynomial_order
        fits = 0 <= order < self.window_frames
        self._require(fits, "polynomial_order", "a whole number from 0 to window_frames - 1")


@dataclass(frozen=True)
class IdentityConfig(Config):
    """Everything that happens to poses until they are individuals.

    Parameters
    ----------
    track : TrackConfig
        The first pass, frame by frame.
    stitch : StitchConfig
        What looks at the whole video afterwards.
    smooth : SmoothConfig
    stitching, smoothing : bool
        Whether to do these at all.
    """

    track: TrackConfig = field(default_factory=TrackConfig)
    stitch: StitchConfig = field(default_factory=StitchConfig)
    smooth: SmoothConfig = field(default_factory=SmoothConfig)
    stitching: bool = True
    smoothing: bool = False

    def with_animals(self, max_animals: int = 0, tracker: str | None = None) -> IdentityConfig:
        """Return a copy for a number of animals (0: as it was) and a tracker (None: likewise)."""
        track, stitch = self.track, self.stitch
        if tracker is not None:
            track = track.replace(tracker=tracker)
        if max_animals:
            track = track.replace(max_animals=max_animals)
            stitch = stitch.replace(max_animals=max_animals)
        return self.replace(track=track, stitch=stitch)


@dataclass(frozen=True)
class ReviewConfig(Config):
    """What counts as a suspected error.

    Parameters
    ----------
    expected_animals : int
        How many animals every frame shows; 0 means as many as most frames do.
    threshold_sd : float
        What lies so many standard deviations off is reported. They are estimated from the
        recording itself, so that a few errors do not move them.
    max_gap_frames : int
        Rows of one animal farther apart say nothing about each other.
    merge_gap_frames : int
        Suspicions of one kind about one animal, at most so far apart, are one episode.
    window_frames : int
        Rows before and after a meeting over which the looks of animals are compared.

    Notes
    -----
    Where a recording was predicted at every n-th frame, a frame here means n frames.
    """

    expected_animals: int = 0
    threshold_sd: float = 6.0
    max_gap_frames: int = 5
    merge_gap_frames: int = 5
    window_frames: int = 40

    def __post_init__(self) -> None:
        for name in ("expected_animals", "merge_gap_frames"):
            self._require(getattr(self, name) >= 0, name, "a whole number of at least 0")
        self._require(self.threshold_sd > 0, "threshold_sd", "a positive number")
        self._require(self.max_gap_frames >= 1, "max_gap_frames", "a whole number of at least 1")
        self._require(self.window_frames >= 5, "window_frames", "a whole number of at least 5")


@dataclass(frozen=True)
class RunConfig(Config):
    """Everything that a training run can be repeated from, apart from the labels.

    Parameters
    ----------
    pipeline : str
        Name in `nn.heads.PIPELINES`: the way from frames to instances.
    networks : dict of str to ModelConfig
        One for each head that the pipeline needs, by the name of the head.
    augment : AugmentConfig
    train : TrainConfig
    """

    pipeline: str = "single"
    networks: dict[str, ModelConfig] = field(
        default_factory=lambda: {"single_instance": ModelConfig()}
    )
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        anchors = sorted({model.anchor for model in self.networks.values()})
        if len(anchors) > 1:
            raise ConfigError(
                f"Expected one anchor for all networks of a run; received {anchors}. "
                "Set it for all of them: --set model.anchor=NODE"
            )

    @property
    def classes(self) -> tuple[str, ...]:
        """Identities that one of the networks tells apart; empty where none does."""
        return next((model.classes for model in self.networks.values() if model.classes), ())


def override(config: AnyConfig, assignments: Sequence[str]) -> AnyConfig:
    """Apply ``key=value`` or ``section.key=value`` texts, as the command line gives them.

    Values are read as JSON where they are JSON and as plain text otherwise:
    ``train.batch_size=8``, ``networks.centroid.input_scale=0.25``. The section ``model``
    stands for every network: ``model.backbone_options.filters=32``.

    Raises
    ------
    ConfigError
        For a text without ``=``, an unknown key or a value that is not allowed.
    """
    values = config.to_dict()
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"Expected section.key=value; received {assignment!r}.")
        head, *rest = path.strip().split(".")
        starts = [[head]]
        if head == "model" and isinstance(config, RunConfig):
            starts = [["networks", name] for name in config.networks]
        for start in starts:
            _assign(values, [*start, *rest], _parse(text))
    return type(config).from_dict(values)


def _assign(values: dict[str, Any], path: Sequence[str], value: Any) -> None:
    *parents, last = path
    section = values
    for name in parents:
        if not isinstance(section.get(name), dict):
            raise ConfigError(
                f"Expected one of the sections {', '.join(section)}; received {'.'.join(path)!r}."
            )
        section = section[name]
    section[last] = value
    if last == "backbone":  # the options of another architecture would mean nothing here
        section["backbone_options"] = {}


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text.strip()
