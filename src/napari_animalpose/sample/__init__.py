"""The embedded data set: an articulated-animal video with exact ground truth."""

from napari_animalpose.sample.config import SampleConfig
from napari_animalpose.sample.dataset import Sample, SampleVideo, make_sample
from napari_animalpose.sample.plan import SPECIES

__all__ = ["SPECIES", "Sample", "SampleConfig", "SampleVideo", "make_sample"]
