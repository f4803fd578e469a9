"""How good are predictions: object keypoint similarity, precision, distances, PCK.

The constants and definitions are those of SLEAP and COCO, so that figures compare with
published ones; wherever a figure differs from SLEAP's, its docstring says how.
"""

from napari_animalpose.data.oks import compute_areas, compute_oks
from napari_animalpose.nn.metrics.evaluation import Evaluation, evaluate
from napari_animalpose.nn.metrics.matching import Matches, match_frames, match_instances
from napari_animalpose.nn.metrics.precision import (
    OKS_THRESHOLDS,
    PrecisionRecall,
    compute_precision_recall,
)

__all__ = [
    "OKS_THRESHOLDS",
    "Evaluation",
    "Matches",
    "PrecisionRecall",
    "compute_areas",
    "compute_oks",
    "compute_precision_recall",
    "evaluate",
    "match_frames",
    "match_instances",
]
