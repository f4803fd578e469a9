"""What a trained model is, read from its small files: no weights, no TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import AnimalPoseError, ConfigError, ModelError
from napari_animalpose.io.run_zip import open_run
from napari_animalpose.io.runs import RunFolder, read_json
from napari_animalpose.nn.heads import PIPELINES
from napari_animalpose.nn.legacy import is_sleap_model
from napari_animalpose.nn.legacy.composition import SETS
from napari_animalpose.nn.legacy.description import Description, read_description
from napari_animalpose.nn.legacy.files import find_models

__all__ = ["ModelInfo", "describe_model", "explain_mismatch", "list_models"]

FilePath = str | PathLike[str]


@dataclass(frozen=True)
class ModelInfo:
    """A model that can predict: one of our runs, or models of SLEAP that work together.

    Parameters
    ----------
    paths : tuple of Path
        What `predict` takes.
    pipeline : str
        Name in `nn.heads.PIPELINES`.
    skeleton : Skeleton
        Of what it predicts.
    is_sleap : bool
    missing : str
        The kind of model of SLEAP that it is meant to work with and that is not there:
        "centroid" (without it, labels have to say where the animals are) or
        "centered_instance" (without it, animals are one point); "" if nothing is missing.
    error_px : float
        Median error on the held-out frames of the run; NaN where it is not known.
    """

    paths: tuple[Path, ...]
    pipeline: str
    skeleton: Skeleton
    is_sleap: bool = False
    missing: str = ""
    error_px: float = math.nan

    @property
    def name(self) -> str:
        """A short name for lists."""
        return " + ".join(path.stem if path.suffix == ".zip" else path.name for path in self.paths)

    @property
    def joins_lines(self) -> bool:
        """Whether animals are put together from points along part affinity fields."""
        return self.pipeline == "bottomup"

    @property
    def identifies(self) -> bool:
        """Whether it tells which animal is which."""
        return PIPELINES.get(self.pipeline).identifies

    @property
    def needs_labels(self) -> bool:
        """Whether labels have to say where the animals are."""
        return self.missing == "centroid"


def describe_model(paths: FilePath | Sequence[FilePath]) -> ModelInfo:
    """Read what a model is.

    Parameters
    ----------
    paths : path or sequence of paths
        A run folder or a zip of one; or models of SLEAP that work together.

    Raises
    ------
    ModelError
        If there is no such thing, it is damaged, a network is not trained, or models of
        SLEAP do not go together.
    ConfigError
        If no path is named, or a run together with something else.
    """
    given = [paths] if isinstance(paths, str | PathLike) else list(paths)
    found = tuple(Path(path) for path in given)
    if not found:
        raise ConfigError("Expected a run folder or models of SLEAP; received none. Choose one.")
    if all(is_sleap_model(path) for path in found):
        return _describe_sleap(found)
    if len(found) > 1:
        raise ConfigError(
            f"Expected models of SLEAP to put together; received {', '.join(map(str, found))}. "
            "A run of this program holds all its networks: choose it alone."
        )
    return _describe_run(found[0])


def list_models(folder: FilePath) -> list[ModelInfo]:
    """Return the models that lie in a folder, such as `models` beside a project, newest first.

    Folders that are no model, are damaged or not trained yet are left out.
    """
    root, found = Path(folder), []
    for path in root.iterdir() if root.is_dir() else ():
        config = path / "config.json"
        if not config.is_file():
            continue
        try:
            found.append((config.stat().st_mtime, _describe_run(path)))
        except (AnimalPoseError, OSError):
            continue
    found.sort(key=lambda pair: (pair[0], pair[1].name), reverse=True)
    return [info for _, info in found]


def explain_mismatch(model: Skeleton, project: Skeleton) -> str:
    """Say how the points of a model and those of a project differ; "" where they do not.

    The order of points does not matter, nor do edges. A project without points takes any.
    """
    lacks = [node for node in project.nodes if node not in model.nodes]
    extra = [node for node in model.nodes if node not in project.nodes]
    if not project.nodes or not (lacks or extra):
        return ""
    parts = [f"lacks {_list(lacks)}"] * bool(lacks) + [f"also has {_list(extra)}"] * bool(extra)
    return (
        f"This model has other points than the project: it {' and '.join(parts)}. Choose another "
        "model, or change the points in the Skeleton dock."
    )


def _list(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _describe_run(path: Path) -> ModelInfo:
    if not path.exists():
        raise ModelError(f"Expected a run folder; received {str(path)!r}, which does not exist.")
    folder = open_run(path)
    config = folder.read_config()
    missing = folder.untrained()
    if missing:
        raise ModelError(
            f"Expected a trained run; received {path.name}, of which {', '.join(missing)} is not "
            "trained. Wait for its training, or go on from it."
        )
    skeleton = folder.read_skeleton()
    return ModelInfo((path,), config.pipeline, skeleton, error_px=_read_error(folder))


def _read_error(folder: RunFolder) -> float:
    try:
        metrics = read_json(folder.path / "metrics.json")
    except AnimalPoseError:
        return math.nan
    figures = metrics.get("validation") or metrics.get("test") or {}
    value = figures.get("error_p50")
    return math.nan if value is None else float(value)


def _describe_sleap(paths: tuple[Path, ...]) -> ModelInfo:
    known: list[Description] = [
        read_description(files.read_config(), str(files.path))
        for path in paths
        for files in find_models(path)
    ]
    heads = [each.head for each in known]
    pipeline = SETS.get(frozenset(heads))
    if pipeline is None or len(set(heads)) < len(heads):
        raise ModelError(
            "Expected one model of SLEAP, or a centroid model with a model of centered animals; "
            f"received {', '.join(heads)}. Choose one of each kind."
        )
    skeleton, missing = known[-1].skeleton, ""
    if heads == ["centroid"]:
        skeleton, missing = Skeleton((known[0].anchor or "centroid",)), "centered_instance"
    elif "centroid" not in heads and known[0].is_centred:
        missing = "centroid"
    return ModelInfo(paths, pipeline, skeleton, is_sleap=True, missing=missing)
