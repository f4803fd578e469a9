"""Models that were trained by SLEAP up to 1.4 (TensorFlow), read as data.

A model folder or zip is `training_config.json` and `best_model.h5`. Nothing in them is
executed: the graph of layers is checked against a white-list (`nn.sleap_layers`), weights
are read as arrays, a zip is read in memory.
"""

from __future__ import annotations

from napari_animalpose.nn.legacy.files import is_sleap_model

__all__ = ["is_sleap_model"]
