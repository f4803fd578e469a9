"""Writing SLEAP packages (`.pkg.slp`): label files that hold the images they are about.

Each video becomes a group of the file::

    videoN/video           (F, B) int8, one encoded image a row, zeros behind it
                           attributes: format, channel_order, frames, height, width,
                           channels, fps
    videoN/frame_numbers   (F,) which frames of the original video these are
    videoN/source_video    attribute json: the original video, as a row of `videos_json`

Images are PNG without loss; those that come from a package already are copied as they are
stored. Reading them is `io.video._hdf5`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_animalpose.data.project import Project
from napari_animalpose.data.video import Video
from napari_animalpose.errors import DataError, VideoError
from napari_animalpose.io.atomic import atomic_path
from napari_animalpose.io.slp_videos import number_videos, read_fps
from napari_animalpose.io.slp_write import LARGEST_ATTRIBUTE, write_slp
from napari_animalpose.io.video import LazyVideo, iterate_frames
from napari_animalpose.io.video._hdf5 import EmbeddedVideo

__all__ = ["choose_images", "embedded_frames", "write_pkg"]

OnProgress = Callable[[int, int], None]
_BATCH = 4  # frames decoded ahead of the one that is encoded
_MIN_CHUNK = 4096  # bytes of a stored image that are written at a time, at least


def write_pkg(
    project: Project,
    path: str | os.PathLike[str],
    *,
    frames: ArrayLike | None = None,
    on_progress: OnProgress | None = None,
) -> None:
    """Write a project as a SLEAP package, whole or not at all.

    Parameters
    ----------
    project : Project
        All of it is written, as `write_slp` does; only its videos are replaced by their
        images.
    path : path
        The file to write; it may be the one that the project was read from.
    frames : array_like of int, shape (F, 2), optional
        (video, frame) of the images; by default see `choose_images`.
    on_progress : callable, optional
        Called with the number of images written and the number of all of them, before
        the first and after each. What it raises ends the writing; nothing is left.

    Raises
    ------
    VideoError
        If a frame is needed and cannot be read.
    DataError
        If a frame is beyond the end of its video.
    OutputError
        If the file cannot be written.
    """
    pairs = choose_images(project) if frames is None else np.array(frames, np.int64).reshape(-1, 2)
    pairs = np.unique(pairs, axis=0)
    _check_frames(project, pairs)
    target = Path(path)
    with atomic_path(target) as temporary:
        write_slp(project, temporary, embed=False)
        with h5py.File(temporary, "r+") as file:
            _embed(file, project, pairs, on_progress)
        for video in project.videos:
            if Path(video.source.partition("::")[0]).absolute() == target.absolute():
                video.close()  # some systems do not replace a file that is open


def choose_images(project: Project) -> NDArray[np.int64]:
    """Return the frames that a package holds unless told otherwise, shape (F, 2).

    These are frames with labels (or, where nothing is labelled, with predictions), frames
    marked as empty, and suggested ones. Of a video whose images come from a package these
    are all that are there: no image gets lost.
    """
    wanted = np.concatenate(
        [
            project.poses.labels_or_all().frame_keys(),
            project.negative_frames,
            project.suggestions,
        ]
    ).astype(np.int64)
    chosen = []
    for number, video in enumerate(project.videos):
        numbers = embedded_frames(video)
        if numbers is None:
            numbers = wanted[wanted[:, 0] == number, 1]
        chosen.append(np.stack([np.full(len(numbers), number), numbers], axis=1))
    return np.unique(np.concatenate([np.zeros((0, 2), np.int64), *chosen]), axis=0)


def embedded_frames(video: Video) -> NDArray[np.int64] | None:
    """Return the frames that a package holds of a video, None if it is no package's."""
    found = _find_embedded(video)
    return None if found is None else found.frame_numbers


def _find_embedded(video: Video) -> EmbeddedVideo | None:
    if isinstance(video, LazyVideo):
        if video.dataset is None or not video.exists:
            return None
        opened: Video = video.open()
    else:
        opened = video
    return opened if isinstance(opened, EmbeddedVideo) else None


def _check_frames(project: Project, pairs: NDArray[np.int64]) -> None:
    """Refuse frames that no video has, before anything is written."""
    for number in np.unique(pairs[:, 0]).tolist():
        video = project.videos[number]
        last = int(pairs[pairs[:, 0] == number, 1].max())
        if last >= len(video):
            raise DataError(
                f"Expected labels in the {len(video)} frames of '{video.name}'; received frame "
                f"{last}. Relink the video that was labelled, or delete what is beyond its end."
            )


# ------------------------------------------------------------------------------- the file
def _embed(
    file: h5py.File, project: Project, pairs: NDArray[np.int64], on_progress: OnProgress | None
) -> None:
    """Put images into a label file that `write_slp` wrote and name them in its videos."""
    rows = [json.loads(row) for row in file["videos_json"][()]]
    ids = number_videos(file["frames"]["video"], [json.dumps(row) for row in rows])
    names = _name_groups(project, ids)
    for name in set(names) & set(file):
        del file[name]
    done, total = 0, len(pairs)
    if on_progress is not None:
        on_progress(0, total)
    for number, video in enumerate(project.videos):
        numbers = pairs[pairs[:, 0] == number, 1].tolist()
        row = _describe(names[number], video, len(numbers), rows[number])
        if row is None:
            continue
        for _ in _write_images(file.create_group(names[number]), video, numbers, row):
            done += 1
            if on_progress is not None:
                on_progress(done, total)
        rows[number] = row
    texts = [json.dumps(row, separators=(",", ":")) for row in rows]
    del file["videos_json"]
    file.create_dataset("videos_json", data=texts, shape=(len(texts),), dtype=h5py.string_dtype())


def _name_groups(project: Project, ids: NDArray[np.int64]) -> list[str]:
    """Return the group of each video: where it was in its package, else by its number.

    Readers take the number of the group for that of the video, see `number_videos`. Names
    in a package are kept so that the project in memory still finds its images when the
    file is written over.
    """
    names: dict[int, str] = {}
    for number, video in enumerate(project.videos):
        if isinstance(video, LazyVideo) and _find_embedded(video) is not None:
            group = (video.dataset or "").partition("/")[0]
            if group.removeprefix("video").isdecimal() and group not in names.values():
                names[number] = group
    for number in range(len(project.videos)):
        free = int(ids[number])
        while number not in names:
            if f"video{free}" not in names.values():
                names[number] = f"video{free}"
            free += 1
    return [names[number] for number in range(len(project.videos))]


def _describe(
    group: str, video: Video, n_images: int, source: dict[str, Any]
) -> dict[str, Any] | None:
    """Return the row of a video with images; None for one without that cannot be opened."""
    try:
        _, height, width, channels = video.shape
    except VideoError:
        if n_images:
            raise
        return None
    embedded = _find_embedded(video)
    if embedded is not None:
        source = embedded.read_source() or source
    fps = read_fps(video)
    backend = {
        "type": "HDF5Video",
        "shape": [n_images, height, width, channels],
        "filename": ".",
        "dataset": f"{group}/video",
        "input_format": "channels_last",
        "convert_range": False,
        "has_embedded_images": True,
        "grayscale": channels == 1,
        "fps": None if math.isnan(fps) else fps,
    }
    return {"filename": ".", "backend": backend, "source_video": source}


def _write_images(
    group: h5py.Group, video: Video, numbers: list[int], row: dict[str, Any]
) -> Iterator[int]:
    """Write the images of one video; yields the frame after each."""
    encoding, images = _encode(video, numbers)
    if numbers:
        # Chunks that nothing is written to take no space: rows are as wide as the largest
        # image without costing as much.
        dataset = None
        for place, (number, image) in enumerate(images):
            if dataset is None:
                chunk = max(_MIN_CHUNK, len(image) // 8)
                dataset = group.create_dataset(
                    "video", (len(numbers), len(image)), np.int8,
                    maxshape=(len(numbers), None), chunks=(1, chunk),
                )  # fmt: skip
            if len(image) > dataset.shape[1]:
                dataset.resize(len(image), axis=1)
            dataset[place, : len(image)] = image
            yield number
    else:
        dataset = group.create_dataset("video", (0,), np.int8)
    _, height, width, channels = row["backend"]["shape"]
    attributes = {"format": encoding[0], "channel_order": encoding[1], "frames": len(video),
                  "height": height, "width": width, "channels": channels,
                  "fps": row["backend"]["fps"]}  # fmt: skip
    for name, value in attributes.items():
        if value is not None:
            group["video"].attrs[name] = value
    group["frame_numbers"] = np.array(numbers, np.int64)
    text = json.dumps(row["source_video"], separators=(",", ":")).encode()
    source = group.create_group("source_video")
    if len(text) > LARGEST_ATTRIBUTE:  # a long list of images
        source["json"] = np.bytes_(text)
    else:
        source.attrs["json"] = text.decode()


def _encode(
    video: Video, numbers: list[int]
) -> tuple[tuple[str, str], Iterator[tuple[int, NDArray[np.int8]]]]:
    """Return format and channel order, and each frame with its encoded image, int8 (B,)."""
    embedded = _find_embedded(video)
    if embedded is not None and embedded.encoding[0] != "hdf5":
        return embedded.encoding, ((n, _trim(embedded.read_encoded(n))) for n in numbers)
    return ("png", "RGB"), _encode_frames(video, numbers)


def _trim(stored: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return a stored image without the zeros behind it; no image format ends with one."""
    used = np.flatnonzero(stored)
    return stored[: used[-1] + 1] if len(used) else stored[:0]


def _encode_frames(video: Video, numbers: list[int]) -> Iterator[tuple[int, NDArray[np.int8]]]:
    for indices, frames in iterate_frames(video, numbers, batch_size=_BATCH):
        for number, frame in zip(indices.tolist(), frames, strict=True):
            yield number, encode_png(frame)


def encode_png(frame: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Return a frame (H, W, C) uint8, gray or RGB, as the bytes of a PNG file, int8 (B,)."""
    import cv2

    # OpenCV takes blue first and puts red first into the file.
    image = frame[..., 0] if frame.shape[2] == 1 else frame[..., ::-1]
    _, encoded = cv2.imencode(".png", np.ascontiguousarray(image))
    return np.asarray(encoded).ravel().view(np.int8)
