"""The use cases, one function each; the command line, the window and scripts call these.

None of these modules imports keras when it is imported; training and prediction do when
they are called.
"""

from __future__ import annotations

from napari_animalpose.pipeline.evaluation import evaluate
from napari_animalpose.pipeline.files import parse_frames, read, write
from napari_animalpose.pipeline.packaging import package, zip_run
from napari_animalpose.pipeline.prediction import load_predictor, predict
from napari_animalpose.pipeline.review import find_likely_errors, suggest
from napari_animalpose.pipeline.tracking import track
from napari_animalpose.pipeline.training import choose, train

__all__ = [
    "choose",
    "evaluate",
    "find_likely_errors",
    "load_predictor",
    "package",
    "parse_frames",
    "predict",
    "read",
    "suggest",
    "track",
    "train",
    "write",
    "zip_run",
]
