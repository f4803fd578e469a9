"""How many filters a layer has: whole groups of eight, which is what vector units take."""

from __future__ import annotations

__all__ = ["filters_at", "scale_filters"]


def filters_at(filters: int, rate: float, depth: int) -> int:
    """Return the number of filters of a block, rounded to a multiple of eight.

    Vector units take channels in groups of eight or sixteen; the remainder would cost
    as much as a full group.
    """
    return max(8, round(filters * rate**depth / 8) * 8)


def scale_filters(exact: float) -> int:
    """Return the number of filters for filters times a width multiplier.

    A multiple of eight, to nearest with halves up and never more than a tenth below the
    exact product: the rule of MobileNetV2 (Sandler et al. 2018), on which it depends
    whether a file of weights fits.
    """
    rounded = max(8, int(exact + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * exact else rounded
