"""`describe(labels)`: a `sleap_io.Labels` as plain nested data, to compare field by field.

Objects that others point to (instances, tracks, videos, ...) become their position, so
that two descriptions are equal exactly if the labels say the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import numpy as np

__all__ = ["describe", "load_sleap"]


def load_sleap(path: Path | str) -> dict[str, Any]:
    """Read a file with SLEAP's own reader, with objects, and describe it."""
    import sleap_io

    return describe(sleap_io.load_slp(str(path), lazy=False))


def describe(labels: Any) -> dict[str, Any]:
    names: dict[int, str] = {}
    for kind in ("videos", "tracks", "skeletons", "identities", "categories", "event_types"):
        for number, item in enumerate(getattr(labels, kind)):
            names[id(item)] = f"{kind} {number}"
    for number, frame in enumerate(labels.labeled_frames):
        names[id(frame)] = f"frame {number}"
        for place, instance in enumerate(frame.instances):
            names[id(instance)] = f"instance {number}:{place}"
    provenance = {key: value for key, value in labels.provenance.items() if key != "filename"}
    parts = ("videos", "skeletons", "tracks", "identities", "categories", "labeled_frames")
    parts += ("suggestions", "sessions", "event_types", "events", "static_rois")
    described: dict[str, Any] = {
        part: [_plain(item, names, {}) for item in getattr(labels, part)] for part in parts
    }
    instances = [instance for frame in labels.labeled_frames for instance in frame.instances]
    described["instances"] = [_plain(instance, names, {}) for instance in instances]
    return described | {"provenance": provenance}


def _plain(item: Any, names: dict[int, str], seen: dict[int, int], top: bool = True) -> Any:
    if isinstance(item, np.ndarray):
        return _plain_array(item)
    if isinstance(item, np.generic):
        item = item.item()
    if isinstance(item, dict):
        pairs = [
            (_plain(k, names, seen, False), _plain(v, names, seen, False)) for k, v in item.items()
        ]
        return sorted(pairs, key=lambda pair: str(pair[0]))
    if isinstance(item, set):  # of symmetric nodes: no order
        return sorted((_plain(child, names, seen, False) for child in item), key=str)
    if isinstance(item, list | tuple):
        return [_plain(child, names, seen, False) for child in item]
    if isinstance(item, float):
        return "nan" if np.isnan(item) else item
    if not attrs.has(type(item)):
        return item if item is None or isinstance(item, str | int | bytes) else str(item)
    if not top and id(item) in names:
        return names[id(item)]
    if id(item) in seen:
        return f"seen {seen[id(item)]}"
    seen[id(item)] = len(seen)
    fields = {field.name: field for field in attrs.fields(type(item))}
    skipped = {"backend", "open_backend", "_exists_cache", "_url_headers", "_url_stream_mode"}
    skipped |= {
        "_name_to_node_cache",
        "_node_to_ind_cache",
        "_camera_by_video",
        "_instance_idx",
        "_pixel_loader",
        "_lazy_loader",
    }
    content = {
        name: _plain(getattr(item, name), names, seen, False)
        for name in fields
        if name not in skipped
    }
    return {"type": type(item).__name__, **content}


def _plain_array(array: np.ndarray) -> Any:
    if array.dtype.names:
        return {name: _plain_array(array[name]) for name in array.dtype.names}
    if array.dtype.kind == "f":
        return [array.shape, ["nan" if np.isnan(v) else v for v in array.reshape(-1).tolist()]]
    return [array.shape, array.reshape(-1).tolist()]
