"""How good are predictions: object keypoint similarity, precision, distances, PCK.

The constants and definitions are those of SLEAP and COCO, so that figures compare with
published ones; wherever a figure differs from SLEAP's, its docstring says how.
"""

from napari_animalpose.data.oks import compute_areas, compute_oks
from napari_animalpose.nn.metrics.centroids import CentroidMatches, match_centroids
from napari_animalpose.nn.metrics.comparing import evaluate, reorder_nodes
from napari_animalpose.nn.metrics.evaluation import Evaluation
from napari_animalpose.nn.metrics.matching import Matches, match_frames, match_instances
from napari_animalpose.nn.metrics.naming import Naming, measure_naming
from napari_animalpose.nn.metrics.precision import (
    OKS_THRESHOLDS,
    PrecisionRecall,
    compute_precision_recall,
)

__all__ = [
    "OKS_THRESHOLDS",
    "CentroidMatches",
    "Evaluation",
    "Matches",
    "Naming",
    "PrecisionRecall",
    "compute_areas",
    "compute_oks",
    "compute_precision_recall",
    "evaluate",
    "match_centroids",
    "match_frames",
    "match_instances",
    "measure_naming",
    "reorder_nodes",
]
