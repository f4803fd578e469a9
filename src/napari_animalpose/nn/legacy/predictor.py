"""Models of SLEAP, ready for frames, with the interface of our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.config import ModelConfig, PredictConfig
from napari_animalpose.data.poses import Poses
from napari_animalpose.errors import DataError
from napari_animalpose.nn.heads import CENTRED_HEADS, Detections, Detector
from napari_animalpose.nn.inference import Predictor
from napari_animalpose.nn.inspection import Findings, Inspector
from napari_animalpose.nn.legacy.composition import Composition, compose
from napari_animalpose.nn.legacy.detectors import (
    AnchoredDetector,
    Anchors,
    CentroidDetector,
    SleapBottomUpDetector,
)
from napari_animalpose.nn.legacy.exact import make_exact_detector
from napari_animalpose.nn.legacy.forward import SleapForward
from napari_animalpose.nn.legacy.frames import match_size
from napari_animalpose.nn.legacy.heads import make_head
from napari_animalpose.nn.legacy.loading import SleapModel, load_sleap_models
from napari_animalpose.nn.legacy.network import build_sleap_network
from napari_animalpose.nn.models.detectors.bottomup_id import BottomUpIdDetector
from napari_animalpose.nn.models.detectors.single import SingleDetector
from napari_animalpose.nn.models.detectors.topdown import TopDownDetector
from napari_animalpose.nn.models.heads.centroid import locate_anchors
from napari_animalpose.nn.models.network import resolve_precision

__all__ = ["SleapPredictor", "load_sleap"]

DETECTORS: Mapping[str, Any] = {
    "single": SingleDetector,
    "topdown": TopDownDetector,
    "topdown-id": TopDownDetector,
    "bottomup": SleapBottomUpDetector,
    "bottomup-id": BottomUpIdDetector,
}


class SleapPredictor(Predictor):
    """Networks that SLEAP trained, ready for frames.

    Parameters
    ----------
    composition : Composition
    config : PredictConfig
        With `sleap_exact`, points are where SLEAP 1.4 puts them, and `min_points`,
        `min_mean_confidence`, `min_class_probability`, `refinement` and `precision` have
        no effect: SLEAP has no such thing, or another.
    """

    def __init__(self, composition: Composition, config: PredictConfig) -> None:
        self.composition = composition
        self.run_config = composition.make_run_config()
        self.skeleton = composition.skeleton
        self.config = config
        self.needs_anchors = composition.needs_anchors
        self._anchors = Anchors()
        self._labels: Poses | None = None
        self._inspector: Inspector | None = None
        precision = "float32" if config.sleap_exact else resolve_precision(config.precision)
        networks = {
            name: build_sleap_network(model, precision)
            for name, model in composition.models.items()
        }
        if config.sleap_exact:
            self.forwards = {}
            anchors = self._anchors if self.needs_anchors else None
            self._detector: Detector = make_exact_detector(composition, networks, anchors, config)
        else:
            self.forwards = {
                name: self._make_forward(name, model, networks[name])
                for name, model in composition.models.items()
            }
            self._detector = self._make_detector()

    def _make_forward(self, name: str, model: SleapModel, network: Any) -> SleapForward:
        config: ModelConfig = self.run_config.networks[name]
        head = make_head(name, config, model.description)
        return SleapForward(
            network, head, config, self.config.refinement, model.description,
            model.network.graph.max_stride,
        )  # fmt: skip

    def _make_detector(self) -> Detector:
        if self.composition.is_centroid_alone:
            return CentroidDetector(self.forwards, self.config)
        if self.needs_anchors:
            return AnchoredDetector(self.forwards, self.config, self._anchors)
        detector: Detector = DETECTORS[self.composition.pipeline](self.forwards, self.config)
        return detector

    # ------------------------------------------------------------------ given anchors
    def use_labels(self, labels: Poses) -> None:
        """Take where the animals are from labels, as a centered model alone needs it.

        Parameters
        ----------
        labels : Poses
            Of the videos that are looked at next; frames without labels will have no
            animals. Where there are no labels but predictions, these are meant.

        Raises
        ------
        DataError
            If there are none, or their skeleton lacks the anchor node.
        """
        chosen = labels.labels_or_all()
        if not len(chosen):
            raise _explain_anchors(self.composition)
        self._labels = chosen

    def _places(self, video: int, frame: int) -> NDArray[np.float32]:
        """Return the anchors (I, 2) of the labelled animals of a frame, in px."""
        if self._labels is None:
            raise _explain_anchors(self.composition)
        name = next(name for name in self.run_config.networks if name in CENTRED_HEADS)
        anchor = self.run_config.networks[name].anchor
        skeleton = self._labels.skeleton
        index = skeleton.index(anchor) if anchor else None
        places = locate_anchors(self._labels.at(video, frame).xy.astype(np.float64), index)
        return np.asarray(places[np.isfinite(places[:, 0])], np.float32)

    def _look(
        self, inspector: Inspector, frames: NDArray[np.uint8], video: int, number: int
    ) -> Findings:
        frames, ratio = match_size(frames, self.composition.target_size)
        if self.needs_anchors:
            self._anchors.set([ratio * self._places(video, number)])
        return super()._look(inspector, frames, video, number).resized(1.0 / ratio)

    def _detect(self, frames: NDArray[np.uint8], video: int, numbers: Sequence[int]) -> Detections:
        frames, ratio = match_size(frames, self.composition.target_size)
        if self.needs_anchors:
            self._anchors.set([ratio * self._places(video, number) for number in numbers])
        found = super()._detect(frames, video, numbers)
        return found._replace(points=found.points / np.float32(ratio))


def _explain_anchors(composition: Composition) -> DataError:
    (model,) = composition.models.values()
    return DataError(
        f"Expected a centroid model beside the {model.description.head} model {model.path}, or "
        "labels that say where the animals are; received neither. Add -m CENTROID_FOLDER, or "
        "predict on a label file."
    )


def load_sleap(paths: Sequence[str | PathLike[str]], config: PredictConfig) -> SleapPredictor:
    """Load model folders, or zips of them, that work together.

    Raises
    ------
    ModelError
        If one of them is not a model of SLEAP up to 1.4, or they do not go together.
    """
    models = [model for path in paths for model in load_sleap_models(path)]
    return SleapPredictor(compose(models), config)
