"""What to look at: suspected errors in poses and identities, and frames worth labelling."""

from napari_animalpose.review.find import FINDERS, find_errors
from napari_animalpose.review.findings import Findings, write_findings

__all__ = ["FINDERS", "Findings", "find_errors", "write_findings"]
