"""Choosing a network for an animal from its labels, and saying why.

Numbers measured on the labels (`measure_labels`) go in; a configuration and the
sentences that justify it come out (`choose_config`). Nothing here is trained or tried:
the rules are the ones that `benchmarks/NOTES.md` reports on.
"""

from napari_animalpose.nn.autoconfig.choice import Choice, choose_config
from napari_animalpose.nn.autoconfig.crops import fit_crops
from napari_animalpose.nn.autoconfig.measures import LabelMeasures, measure_labels
from napari_animalpose.nn.autoconfig.models import PRESETS
from napari_animalpose.nn.autoconfig.pipelines import CONFIGURATORS, Configurator

__all__ = [
    "CONFIGURATORS",
    "PRESETS",
    "Choice",
    "Configurator",
    "LabelMeasures",
    "choose_config",
    "fit_crops",
    "measure_labels",
]
