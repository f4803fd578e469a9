"""Animal pose: label a few frames, train a network for this animal, get its poses.

The public names are loaded when they are first used, so that importing the package
costs nothing and loads neither numpy nor TensorFlow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same names again, for type checkers and editors
    from napari_animalpose.data.poses import Origin as Origin
    from napari_animalpose.data.poses import Poses as Poses
    from napari_animalpose.data.poses import Visibility as Visibility
    from napari_animalpose.data.project import Project as Project
    from napari_animalpose.data.skeleton import Skeleton as Skeleton
    from napari_animalpose.data.video import Video as Video
    from napari_animalpose.errors import AnimalPoseError as AnimalPoseError
    from napari_animalpose.pipeline import evaluate as evaluate
    from napari_animalpose.pipeline import find_likely_errors as find_likely_errors
    from napari_animalpose.pipeline import load_predictor as load_predictor
    from napari_animalpose.pipeline import package as package
    from napari_animalpose.pipeline import predict as predict
    from napari_animalpose.pipeline import read as read
    from napari_animalpose.pipeline import suggest as suggest
    from napari_animalpose.pipeline import track as track
    from napari_animalpose.pipeline import train as train
    from napari_animalpose.pipeline import write as write
    from napari_animalpose.pipeline import zip_run as zip_run

    __version__: str

_LAZY = {
    "AnimalPoseError": "errors",
    "Origin": "data.poses",
    "Poses": "data.poses",
    "Project": "data.project",
    "Skeleton": "data.skeleton",
    "Video": "data.video",
    "Visibility": "data.poses",
    "evaluate": "pipeline",
    "find_likely_errors": "pipeline",
    "load_predictor": "pipeline",
    "package": "pipeline",
    "predict": "pipeline",
    "read": "pipeline",
    "suggest": "pipeline",
    "track": "pipeline",
    "train": "pipeline",
    "write": "pipeline",
    "zip_run": "pipeline",
}
__all__ = [*_LAZY]


def _read_version() -> str:
    """Return the version of the installed package; reading it costs 20 ms."""
    from importlib.metadata import version

    return version("napari-animalpose")


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name == "__version__":
        value: Any = _read_version()
    elif name in _LAZY:
        value = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *_LAZY, "__version__"})
