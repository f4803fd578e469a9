"""One confidence map a node, of the animal in the middle of a window and of no other."""

from __future__ import annotations

from napari_animalpose.config import ModelConfig
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import ConfigError
from napari_animalpose.nn.models.heads.centroid import anchor_index
from napari_animalpose.nn.models.heads.single_instance import SingleInstanceHead

__all__ = ["CenteredInstanceHead"]


class CenteredInstanceHead(SingleInstanceHead):
    """Finds the points of the animal that a window is centred on.

    Maps, loss and decoder are those of a single animal. What makes it the centred one is
    what the network is shown: windows of `ModelConfig.crop_px` around the anchor of one
    animal with the points of that animal alone, so that its neighbours are background.

    Parameters
    ----------
    config : ModelConfig
    skeleton : Skeleton

    Raises
    ------
    ConfigError
        If the configuration has no crop size.
    DataError
        If the skeleton lacks the anchor node of the configuration.
    """

    name = "centered_instance"

    def __init__(self, config: ModelConfig, skeleton: Skeleton) -> None:
        super().__init__(config, skeleton)
        if not config.crop_px:
            raise ConfigError(
                "Expected a crop size for a network that looks at one animal at a time; "
                "received crop_px 0. Set it to somewhat more than the animal's length: "
                f"--set networks.{self.name}.crop_px=160"
            )
        self.anchor = anchor_index(config, skeleton)
