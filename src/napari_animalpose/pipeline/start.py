"""What a training goes on from: a run folder, or models of SLEAP."""

from __future__ import annotations

import math
from collections.abc import Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Protocol

from napari_animalpose.config import ModelConfig, RunConfig
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import ConfigError, DataError, ModelError
from napari_animalpose.io.run_zip import open_run
from napari_animalpose.io.runs import RunFolder, read_json
from napari_animalpose.nn.autoconfig import LabelMeasures, choose_config
from napari_animalpose.nn.backbones import backbone_options
from napari_animalpose.pipeline.held_out import read_split_of

if TYPE_CHECKING:
    from napari_animalpose.nn.legacy.composition import Composition

__all__ = ["Start", "choose_gentle", "name_start", "open_start"]

FilePath = str | PathLike[str]
GENTLER = 4  # the learning rate is so many times lower for networks that others have trained
SHORTER = 2  # training that goes on is so many times shorter


class Start(Protocol):
    """Networks that have learned something already."""

    def configure(self, measures: LabelMeasures, preset: str) -> tuple[RunConfig, tuple[str, ...]]:
        """Return the configuration to go on with, and sentences about it."""
        ...

    def check_skeleton(self, skeleton: Skeleton) -> None:
        """Refuse labels that the networks cannot go on with; comes before all else."""
        ...

    def knows(self, name: str) -> bool:
        """Whether the network of this name has learned anything."""
        ...

    def restore(self, trainer: Any, name: str) -> None:
        """Give the network of a `nn.training.Trainer` what it has learned."""
        ...

    @property
    def finished(self) -> dict[str, RunFolder]:
        """Networks that are not trained again but taken over as they are, and from where."""
        ...

    def read_split(self, project: Project) -> dict[str, list[tuple[int, int]]] | None:
        """Return which (video, frame) of a project were held out, and which learned from."""
        ...


def choose_gentle(measures: LabelMeasures, preset: str, pipeline: str) -> tuple[RunConfig, str]:
    """Return what suits the labels where others have trained the networks, and a sentence.

    It is what is chosen for new networks of the pipeline, but for a lower learning rate.
    """
    config = choose_config(measures, preset, pipeline).config
    rate = config.train.learning_rate / GENTLER
    return config.replace(train=config.train.replace(learning_rate=rate)), (
        f"Learning rate {rate:g}, a quarter of the usual: the networks have learned before."
    )


def name_start(resume: FilePath | Sequence[FilePath] | None) -> str | list[str] | None:
    """Return what was named as plain data, for the records of a run."""
    if resume is None or isinstance(resume, str | PathLike):
        return None if resume is None else fspath(resume)
    return [fspath(path) for path in resume]


def open_start(resume: FilePath | Sequence[FilePath]) -> Start:
    """Open a run folder or a zip of one, or models of SLEAP that work together.

    Raises
    ------
    ModelError
        If there is neither, or it is damaged.
    ConfigError
        If what is named does not go together.
    """
    from napari_animalpose.nn.legacy import is_sleap_model

    paths = [resume] if isinstance(resume, str | PathLike) else list(resume)
    from_sleap = [path for path in paths if is_sleap_model(path)]
    if paths and len(from_sleap) == len(paths):
        return _SleapStart(paths)
    if len(paths) != 1:
        raise ConfigError(
            f"Expected one run folder, or models of SLEAP, to go on with; received {len(paths)} "
            f"paths of which {len(from_sleap)} are models of SLEAP. A run holds all its networks."
        )
    return _RunStart(open_run(paths[0]))


class _RunStart:
    """A run folder: the same networks, weights and optimizers.

    A run that was stopped before all its networks were trained is completed: those that it
    has are taken over. Otherwise all of them are trained on, for half the time.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.known = self.skeleton = Skeleton(())

    def configure(self, measures: LabelMeasures, preset: str) -> tuple[RunConfig, tuple[str, ...]]:
        """Return the configuration of the run, for half the time if it was not so before."""
        config, said = self._follow_edges(self.folder.read_config(), measures)
        if self.finished:
            return config, (
                f"The run {self.folder.path} was stopped before "
                f"{', '.join(self.folder.untrained())} was trained: "
                f"{', '.join(self.finished)} is taken over as it is.",
            )
        if self._was_short():
            return config, said
        train = config.train.replace(
            epochs=math.ceil(config.train.epochs / SHORTER),
            max_minutes=config.train.max_minutes / SHORTER,
        )
        minutes = f" and {train.max_minutes:g} minutes" if train.max_minutes else ""
        reason = (
            f"At most {train.epochs} epochs{minutes}, half of what the run before was given: the "
            "networks have learned already."
        )
        if not said:
            reason += (
                " They are kept as they were unless they become better on the validation frames."
            )
        return config.replace(train=train), (reason, *said)

    def _follow_edges(
        self, config: RunConfig, measures: LabelMeasures
    ) -> tuple[RunConfig, tuple[str, ...]]:
        """Return a configuration for edges that the run did not have, and what is said of them."""
        new = [edge for edge in self.skeleton.edges if edge not in self.known.edges]
        model = config.networks.get("multi_instance")
        if model is None or not new:
            return config, ()
        longest_px = round(measures.longest_edge_px * model.input_scale, 1)
        if model.max_edge_px:  # 0 is no limit
            model = model.replace(max_edge_px=max(model.max_edge_px, longest_px))
        nodes = self.skeleton.nodes
        named = ", ".join(f"{nodes[a]} - {nodes[b]}" for a, b in new)
        return config.replace(networks={**config.networks, "multi_instance": model}), (
            f"Edges that the run before did not have: {named}. How points are joined along them "
            "is learned from the start; all else goes on from what that run has learned.",
        )

    def _was_short(self) -> bool:
        """Whether the run went on from another one, and so is shorter already."""
        try:
            return bool(read_json(self.folder.path / "initial_config.json").get("resume"))
        except ModelError:
            return False

    def check_skeleton(self, skeleton: Skeleton) -> None:
        """Refuse other nodes; other edges are taken note of."""
        known = self.folder.read_skeleton()
        if known.nodes != skeleton.nodes:
            raise DataError(
                f"Expected labels with the nodes {', '.join(known.nodes)} of the run to go on "
                f"with; received {', '.join(skeleton.nodes)}. Train from the start instead."
            )
        self.known, self.skeleton = known, skeleton

    def knows(self, name: str) -> bool:
        return name in self.folder.trained()

    @property
    def finished(self) -> dict[str, RunFolder]:
        """All that is trained, where something is not."""
        trained = self.folder.trained() if self.folder.untrained() else []
        return dict.fromkeys(trained, self.folder)

    def read_split(self, project: Project) -> dict[str, list[tuple[int, int]]] | None:
        return read_split_of(self.folder, project)

    def restore(self, trainer: Any, name: str) -> None:
        from napari_animalpose.nn.training import Checkpoint

        if not self.knows(name):
            trainer.start_anew()
        elif "pafs" in trainer.head.n_outputs and self.known.edges != self.skeleton.edges:
            self._restore_other_edges(trainer, name)
        else:
            shapes = [weight.shape for weight in trainer.network.weights]
            weights = self.folder.read_weights(name, shapes)
            trainer.restore(Checkpoint(weights, *self.folder.read_state(name)))

    def _restore_other_edges(self, trainer: Any, name: str) -> None:
        """Give a network all but the fields of edges that the run did not have.

        Its optimizer begins anew: it is one for other fields.
        """
        from napari_animalpose.nn.models.transfer import carry_fields, find_fields
        from napari_animalpose.nn.training import Checkpoint

        known, edges = self.known.edges, self.skeleton.edges
        shapes = [tuple(weight.shape) for weight in trainer.network.weights]
        for number in find_fields(trainer.network):
            shapes[number] = (*shapes[number][:-1], 2 * len(known))
        weights = self.folder.read_weights(name, shapes)
        carried = carry_fields(trainer.network, weights, known, edges)
        trainer.restore(Checkpoint(carried), () if set(edges) <= set(known) else ("pafs",))


class _SleapStart:
    """Models of SLEAP: their networks and weights, trained on in our way.

    The skeleton may be another one: maps of nodes that the models do not know are learned
    from the start.
    """

    def __init__(self, paths: Sequence[FilePath]) -> None:
        from napari_animalpose.nn.legacy.composition import compose
        from napari_animalpose.nn.legacy.loading import load_sleap_models

        self.composition: Composition = compose(
            [model for path in paths for model in load_sleap_models(path)]
        )
        self.skeleton = Skeleton(())

    def configure(self, measures: LabelMeasures, preset: str) -> tuple[RunConfig, tuple[str, ...]]:
        """Return the networks of the models, and all else as it suits the labels."""
        from napari_animalpose.nn.legacy.start import adapt_config

        chosen, gentler = choose_gentle(measures, preset, self.composition.pipeline)
        networks = dict(chosen.networks)
        for name, model in self.composition.models.items():
            networks[name] = adapt_config(model, networks[name])
        anchor = next((m.anchor for m in networks.values() if m.anchor), "")
        training = chosen.train.replace(window_px=_adapt_window(chosen, networks))
        config = chosen.replace(
            networks={name: model.replace(anchor=anchor) for name, model in networks.items()},
            train=training,
        )
        reasons = [
            f"The network {name} is that of {model.path}: {len(model.network.graph.layers)} "
            f"layers, input scale {model.description.input_scale:g}."
            for name, model in self.composition.models.items()
        ]
        return config, (*reasons, gentler)

    def check_skeleton(self, skeleton: Skeleton) -> None:
        """Take note of the nodes; none of them has to be known to the models."""
        self.skeleton = skeleton

    def knows(self, name: str) -> bool:
        return name in self.composition.models

    @property
    def finished(self) -> dict[str, RunFolder]:
        """None: they are always trained on."""
        return {}

    def read_split(self, project: Project) -> dict[str, list[tuple[int, int]]] | None:
        return None

    def restore(self, trainer: Any, name: str) -> None:
        from napari_animalpose.nn.legacy.start import transfer_weights
        from napari_animalpose.nn.training import Checkpoint

        model = self.composition.models.get(name)
        if model is None:
            trainer.start_anew()
            return
        anew = transfer_weights(trainer.network, model, self.skeleton)
        trainer.restore(Checkpoint(trainer.network.get_weights()), anew)


def _adapt_window(chosen: RunConfig, networks: dict[str, ModelConfig]) -> int:
    """Return the side of training windows that shows as much of the frame as was chosen."""
    if not chosen.train.window_px:
        return 0
    name = next(iter(networks))
    stride = math.lcm(*(backbone_options(model).max_stride for model in networks.values()))
    ratio = networks[name].input_scale / chosen.networks[name].input_scale
    return math.ceil(chosen.train.window_px * ratio / stride) * stride
