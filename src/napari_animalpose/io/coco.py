"""COCO keypoint files: images, categories with key points, annotations.

Visibility flags map one to one: 0 missing, 1 occluded (labelled, not seen), 2 visible.
Layout: the "Keypoint Detection" data format of COCO, https://cocodataset.org/#format-data.
Boxes and segmentations are for detectors and are not kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from napari_animalpose.data.poses import Origin, Poses, Visibility
from napari_animalpose.data.project import Project
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.data.video import Video
from napari_animalpose.errors import FileFormatError, VideoError
from napari_animalpose.io.atomic import atomic_path
from napari_animalpose.io.slp_videos import find_images, image_paths
from napari_animalpose.io.video import LazyVideo

__all__ = ["read_coco", "write_coco"]


def read_coco(path: Path, video_dirs: Sequence[str | PathLike[str]] = ()) -> Project:
    """Read a COCO keypoint file.

    Parameters
    ----------
    path : Path
        A `.json` file with `images`, `annotations` and `categories`.
    video_dirs : sequence of paths
        Folders in which to look for images that are not beside the file.

    Returns
    -------
    Project
        With one video whose frames are the images in the order of the file. Tracks come
        from `attributes.object_id` or `track_id`. Annotations with a score count as
        predicted.

    Raises
    ------
    FileFormatError
        If the file is damaged, or its categories have different key points.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return _read(data, path, video_dirs)
    except (KeyError, TypeError, IndexError, ValueError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(
            f"Expected COCO key points with images, annotations and categories; received "
            f"{str(path)!r} with an error ({type(error).__name__}: {error}). Export it again.",
            path,
        ) from error


def _read(data: dict[str, Any], path: Path, video_dirs: Sequence[str | PathLike[str]]) -> Project:
    skeleton, categories = _read_skeleton(data["categories"], path)
    images = data["images"]
    frame_of = {image["id"]: number for number, image in enumerate(images)}
    annotations = [
        item
        for item in data["annotations"]
        if item["category_id"] in categories and item.get("keypoints")
    ]
    flat = np.array([item["keypoints"] for item in annotations], np.float64)
    points = flat.reshape(len(annotations), len(skeleton), 3)
    track_ids = [_track_of(item) for item in annotations]
    names = tuple(dict.fromkeys(name for name in track_ids if name is not None))
    number = {name: index for index, name in enumerate(names)}
    score = np.array([item.get("score", np.nan) for item in annotations], np.float64)
    visibility = points[..., 2].astype(np.uint8)
    poses = Poses.from_arrays(
        skeleton,
        frame=np.array([frame_of[item["image_id"]] for item in annotations], np.int64),
        xy=np.where((visibility > 0)[..., None], points[..., :2], np.nan),
        visibility=visibility,
        track=np.array([-1 if name is None else number[name] for name in track_ids], np.int64),
        origin=np.where(np.isnan(score), Origin.USER, Origin.PREDICTED),
        score=score,
        track_names=names,
    )
    files = [image["file_name"] for image in images]
    folder = path.absolute().parent
    source = find_images(files, folder, [folder / "images", *video_dirs])
    videos = (LazyVideo(source),) if source else ()
    return Project(videos, poses, path=str(path))


def _read_skeleton(categories: list[dict[str, Any]], path: Path) -> tuple[Skeleton, set[int]]:
    """Return the skeleton and the identifiers of the categories that have it."""
    found = [category for category in categories if category.get("keypoints")]
    layouts = {tuple(category["keypoints"]) for category in found}
    if len(layouts) != 1:
        listed = "; ".join(", ".join(layout) for layout in sorted(layouts)) or "none"
        raise FileFormatError(
            f"Expected one set of key points in the categories of {str(path)!r}; received "
            f"{len(layouts)}: {listed}. Keep the categories of one of them.",
            path,
        )
    pairs = [(int(a), int(b)) for a, b in found[0].get("skeleton") or ()]
    # The format counts from 1; some exporters count from 0 and show it by using 0.
    base = 0 if any(0 in pair for pair in pairs) else 1
    edges = dict.fromkeys((a - base, b - base) for a, b in pairs)
    skeleton = Skeleton(tuple(found[0]["keypoints"]), tuple(edges), name=found[0]["name"])
    return skeleton, {category["id"] for category in found}


def _track_of(annotation: dict[str, Any]) -> str | None:
    value = (annotation.get("attributes") or {}).get("object_id", annotation.get("track_id"))
    return None if value is None else str(value)


def write_coco(project: Project, path: Path) -> None:
    """Write all instances as COCO key points.

    Images of an image list keep their names relative to `path`; frames of a video are
    named ``VIDEO_frame_NNNNNN.png``, the names that an export of frames uses. Frames
    without instances are listed if a person marked them as empty.

    The file cannot hold scores of points or empty tracks. Symmetries are left out.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    poses, skeleton = project.poses, project.skeleton
    frames = np.unique(np.concatenate([poses.frame_keys(), project.negative_frames]), axis=0)
    images = [
        {"id": number + 1, **_describe_image(project.videos[video], frame, path)}
        for number, (video, frame) in enumerate(frames.tolist())
    ]
    image_of = {(video, frame): i + 1 for i, (video, frame) in enumerate(frames.tolist())}
    category = {
        "id": 1,
        "name": skeleton.name,
        "keypoints": list(skeleton.nodes),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton.edges],
    }
    annotations = [_describe_instance(poses, row, image_of) for row in range(len(poses))]
    data = {"images": images, "annotations": annotations, "categories": [category]}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(data), encoding="utf-8")


def _describe_image(video: Video, frame: int, path: Path) -> dict[str, Any]:
    """Return name and, if the video can be opened, size of the image of a frame."""
    paths = image_paths(video)
    if paths:
        file = paths[frame].absolute()
        folder = path.absolute().parent
        inside = file.is_relative_to(folder)
        name = (file.relative_to(folder) if inside else file).as_posix()
    else:
        stem = Path(video.source.partition("::")[0]).stem
        name = f"{stem}_frame_{frame:06d}.png"
    try:
        # Images of a list may differ in size; frames of a video do not.
        height, width = video[frame].shape[:2] if paths else video.shape[1:3]
    except VideoError:
        return {"file_name": name}  # the format allows to leave the size out
    return {"file_name": name, "width": int(width), "height": int(height)}


def _describe_instance(
    poses: Poses, row: int, image_of: dict[tuple[int, int], int]
) -> dict[str, Any]:
    visibility = poses.visibility[row]
    xy = poses.xy[row].astype(np.float64)
    labelled = visibility != Visibility.MISSING
    low, high = np.zeros(2), np.zeros(2)
    if labelled.any():
        low, high = xy[labelled].min(axis=0), xy[labelled].max(axis=0)
    width, height = (high - low).tolist()
    points = np.concatenate([np.where(labelled[:, None], xy, 0.0), visibility[:, None]], axis=1)
    annotation: dict[str, Any] = {
        "id": row + 1,
        "image_id": image_of[int(poses.video[row]), int(poses.frame[row])],
        "category_id": 1,
        "keypoints": [
            int(value) if number % 3 == 2 else value
            for number, value in enumerate(points.reshape(-1).tolist())
        ],
        "num_keypoints": int(labelled.sum()),
        "bbox": [*low.tolist(), width, height],
        "area": width * height,
        "iscrowd": 0,
    }
    if poses.origin[row] == Origin.PREDICTED:
        score = float(poses.score[row])
        annotation["score"] = 0.0 if np.isnan(score) else score
    if poses.track[row] >= 0:
        annotation["attributes"] = {"object_id": poses.track_names[poses.track[row]]}
    return annotation
