"""What a network learns to draw of identities: whose points are where.

As in `nn.targets`, the array namespace `xp` is `numpy` or `keras.ops`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_animalpose.nn.identity import NO_CLASS
from napari_animalpose.nn.targets import confidence_maps

__all__ = ["class_maps"]


def class_maps(
    xy: Any,
    classes: Any,
    n_classes: int,
    height: int,
    width: int,
    stride: int,
    sigma_px: float,
    xp: Any = np,
) -> tuple[Any, Any]:
    """Draw the shares of the identities, and how much each cell counts.

    Every identity has a map b with a Gaussian bump on each of its points, the maximum where
    several meet. The shares are ``b / sum(b)`` over the identities; a cell counts as much as
    the highest b in it, times ``1 - u`` with u the same map of the animals whose identity is
    not known. So nothing is learned where there is no animal, nor at the points of an
    animal without a name. (SLEAP learns the bumps themselves, with zero everywhere else:
    most of its loss is about the background, which prediction never asks about.)

    Parameters
    ----------
    xy : array of float, shape (..., I, K, 2)
        (x, y) of I >= 1 instances in px of the network input; NaN = missing.
    classes : array of int, shape (..., I)
        Number of each instance's identity; -1 = not known.
    n_classes : int
        C.
    height, width, stride, sigma_px, xp
        As in `nn.targets.confidence_maps`.

    Returns
    -------
    shares : array, shape (..., h, w, C)
        Between 0 and 1, of sum 1 where an identity is in reach and 0 elsewhere.
    weights : array, shape (..., h, w)
        Between 0 and 1.
    """

    def draw(number: int) -> Any:
        own = xp.equal(classes, number)[..., None, None]
        points = xp.where(own, xy, xp.full_like(xy, np.nan))
        return xp.max(confidence_maps(points, height, width, stride, sigma_px, xp=xp), axis=-1)

    maps = xp.stack([draw(number) for number in range(n_classes)], axis=-1)  # (..., h, w, C)
    total = xp.sum(maps, axis=-1, keepdims=True)
    # Far away the bumps underflow: below this no identity is in reach.
    shares = xp.where(total > 1e-20, maps / xp.maximum(total, 1e-20), xp.zeros_like(maps))
    return shares, xp.max(maps, axis=-1) * (1.0 - draw(NO_CLASS))
