"""Folders of the user in which the program may keep files between two starts."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder", "state_folder"]

_NAME = "napari-animalpose"


def cache_folder() -> Path:
    """Return where files may be kept that can be made again; it need not exist.

    ``ANIMALPOSE_CACHE`` in the environment names another one.
    """
    from platformdirs import user_cache_path

    return Path(os.environ.get("ANIMALPOSE_CACHE") or user_cache_path(_NAME, appauthor=False))


def state_folder() -> Path:
    """Return where files are kept that must not be lost, such as journals; see there."""
    from platformdirs import user_state_path

    return Path(user_state_path(_NAME, appauthor=False))
