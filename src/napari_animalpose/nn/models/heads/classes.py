"""What the heads that tell identities share."""

from __future__ import annotations

from napari_animalpose.config import ModelConfig
from napari_animalpose.errors import ConfigError

__all__ = ["check_classes"]


def check_classes(config: ModelConfig, head: str) -> None:
    """Check that there are identities to tell apart.

    Raises
    ------
    ConfigError
        With fewer than two.
    """
    if len(config.classes) < 2:
        raise ConfigError(
            f"Expected at least two classes for a network that tells animals apart; received "
            f"{list(config.classes)}. Name the tracks of the labels: "
            f'--set networks.{head}.classes=["male", "female"]'
        )
