"""The backbone "sleap": whatever network a SLEAP model has, as options of a configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from napari_animalpose.config import Config
from napari_animalpose.errors import ConfigError, ModelError
from napari_animalpose.nn.geometry import Layer
from napari_animalpose.nn.sleap_graph import Graph, unet_graph

__all__ = ["SleapOptions"]


@dataclass(frozen=True)
class SleapOptions(Config):
    """A network that was first trained by SLEAP (`animalpose train --resume FOLDER`).

    Parameters
    ----------
    graph : dict
        Its layers, as `sleap_graph.Graph.to_dict` gives them: the run needs no other file.
        Without any, the U-Net of SLEAP's baseline profile for gray frames.
    """

    graph: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            _ = self.network.shapes
        except ModelError as error:
            raise ConfigError(f"{error} (SleapOptions.graph)") from None

    @cached_property
    def network(self) -> Graph:
        """The checked graph."""
        return Graph.from_dict(self.graph) if self.graph else unet_graph()

    @property
    def max_stride(self) -> int:
        """Input px between two cells of the deepest layer."""
        return self.network.max_stride

    @property
    def stem_stride(self) -> int:
        """The least output stride that it has."""
        strides = (shape.stride for shape in self._decoder_shapes())
        return int(min(stride for stride in strides if stride is not None))

    def _decoder_shapes(self) -> list[Any]:
        """Shapes from the deepest layer on."""
        names = list(self.network.shapes)
        return [self.network.shapes[name] for name in names[names.index(self.network.deepest) :]]

    def layers(self, output_stride: int) -> list[Layer]:
        """Return the layers on the longest path from the input to a confidence map."""
        return self.network.longest_path(self.network.last_at(output_stride))
