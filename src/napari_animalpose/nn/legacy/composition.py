"""Which models of SLEAP go together, and what they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from napari_animalpose.config import RunConfig
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import ModelError
from napari_animalpose.nn.legacy.loading import SleapModel

__all__ = ["Composition", "compose"]

SETS = {
    frozenset({"single_instance"}): "single",
    frozenset({"multi_instance"}): "bottomup",
    frozenset({"multi_class_bottomup"}): "bottomup-id",
    frozenset({"centroid"}): "topdown",
    frozenset({"centered_instance"}): "topdown",
    frozenset({"multi_class_topdown"}): "topdown-id",
    frozenset({"centroid", "centered_instance"}): "topdown",
    frozenset({"centroid", "multi_class_topdown"}): "topdown-id",
}
"""Head types that work together, with the pipeline that they are (a part of)."""


@dataclass(frozen=True)
class Composition:
    """Models of SLEAP that work together.

    Parameters
    ----------
    pipeline : str
        Name in `nn.heads.PIPELINES`.
    models : dict of str to SleapModel
        By the name of their head in `nn.heads.HEADS`, the centroid model first.
    """

    pipeline: str
    models: dict[str, SleapModel]

    @property
    def is_centroid_alone(self) -> bool:
        """Whether animals are found as one point each."""
        return list(self.models) == ["centroid"]

    @property
    def needs_anchors(self) -> bool:
        """Whether somebody has to say where the animals are."""
        return "centroid" not in self.models and self._last.description.is_centred

    @property
    def _last(self) -> SleapModel:
        return list(self.models.values())[-1]

    @property
    def skeleton(self) -> Skeleton:
        """What the instances have: all nodes, or the one of a centroid model alone."""
        if self.is_centroid_alone:
            return Skeleton((self._last.description.anchor or "centroid",))
        return self._last.description.skeleton

    @property
    def target_size(self) -> tuple[int, int] | None:
        """(height, width) in px that all frames are made to have, as the first model says."""
        return next(iter(self.models.values())).description.target_size

    def make_run_config(self) -> RunConfig:
        """Return the same in the words of our own runs, for frames that are not resized."""
        networks = {name: model.make_config() for name, model in self.models.items()}
        anchor = list(networks.values())[-1].anchor
        return RunConfig(
            self.pipeline,
            {
                name: config.replace(anchor=anchor, input_scale=1.0)
                for name, config in networks.items()
            },
        )


def compose(models: Sequence[SleapModel]) -> Composition:
    """Put models together.

    Raises
    ------
    ModelError
        If they do not make one pipeline, or are for different skeletons.
    """
    heads = [model.description.head for model in models]
    pipeline = SETS.get(frozenset(heads))
    if pipeline is None or len(set(heads)) < len(heads):
        received = ", ".join(f"{m.description.head} ({m.path})" for m in models) or "none"
        raise ModelError(
            "Expected one model of SLEAP, or a centroid model with a centered_instance or "
            f"multi_class_topdown model; received {received}. Name one model of each kind."
        )
    first, last = models[0].description.skeleton, models[-1].description.skeleton
    if set(first.nodes) != set(last.nodes):
        raise ModelError(
            f"Expected models for one skeleton; received one for {', '.join(first.nodes)} "
            f"({models[0].path}) and one for {', '.join(last.nodes)} ({models[-1].path}). "
            "Name models that were trained on the same labels."
        )
    ordered = sorted(models, key=lambda model: model.description.head != "centroid")
    return Composition(pipeline, {model.head_name: model for model in ordered})
