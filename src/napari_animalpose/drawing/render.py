"""Labelled videos: read, draw and write one frame after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.poses import Poses
from napari_animalpose.data.video import Video
from napari_animalpose.drawing.frames import (
    DrawStyle,
    draw_caption,
    draw_poses,
    draw_trails,
    trail_node,
)
from napari_animalpose.drawing.view import View, darken, follow_animal, letterbox
from napari_animalpose.errors import CancelledError, ConfigError, DataError
from napari_animalpose.io.video_writer import VideoWriter

__all__ = ["render_frames", "render_video"]

_DEFAULT_FPS = 25.0


def render_video(
    video: Video,
    poses: Poses,
    path: str | PathLike[str],
    *,
    frames: Iterable[int] | None = None,
    fps: float | None = None,
    scale: float = 1.0,
    video_index: int = 0,
    color_by: str | None = None,
    trail_frames: int = 0,
    trail_of: str | None = None,
    crop_px: int | None = None,
    crop_track: str | None = None,
    style: DrawStyle | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Path:
    """Write a video with the poses drawn on it.

    Memory does not grow with the length of the video, and the file appears only when it
    is whole.

    Parameters
    ----------
    video : Video
    poses : Poses
        In px of the video's frames.
    path : str or PathLike
        The video to write; the suffix is the container.
    frames : iterable of int, optional
        Which frames, in ascending order; by default all of them.
    fps : float, optional
        Frames a second of the new video; by default those of the source, or 25 where
        the source (a list of images) has none.
    scale, video_index, color_by, trail_frames, trail_of, crop_px, crop_track, style
        As in `render_frames`.
    on_progress : callable, optional
        Called with (frames done, frames in all) after every frame.
    should_stop : callable, optional
        Asked before every frame; rendering stops when it returns true.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    CancelledError
        If `should_stop` said so; nothing is left behind.
    ConfigError, DataError
        For frames that the video does not have and other settings that cannot be met.
    OutputError, VideoError
        If the file cannot be written or the source cannot be read.
    """
    numbers = _check_frames(video, frames)
    rate = fps if fps is not None else (video.fps if np.isfinite(video.fps) else _DEFAULT_FPS)
    if not 0 < rate <= 1000:
        raise ConfigError(f"Expected fps larger than 0 and at most 1000; received {rate}.")
    pictures = render_frames(
        video,
        poses,
        frames=numbers,
        scale=scale,
        video_index=video_index,
        color_by=color_by,
        trail_frames=trail_frames,
        trail_of=trail_of,
        crop_px=crop_px,
        crop_track=crop_track,
        style=style,
    )
    with VideoWriter(path, fps=rate) as writer:
        for done, picture in enumerate(pictures, start=1):
            if should_stop is not None and should_stop():
                raise CancelledError(f"Rendering stopped after {done - 1} frames.")
            writer.write(picture)
            if on_progress is not None:
                on_progress(done, len(numbers))
    return Path(path)


def render_frames(
    video: Video,
    poses: Poses,
    *,
    frames: Iterable[int] | None = None,
    scale: float = 1.0,
    video_index: int = 0,
    color_by: str | None = None,
    trail_frames: int = 0,
    trail_of: str | None = None,
    crop_px: int | None = None,
    crop_track: str | None = None,
    style: DrawStyle | None = None,
) -> Iterator[NDArray[np.uint8]]:
    """Yield frames with poses drawn on them, all of one size.

    Parameters
    ----------
    video : Video
        Frames smaller than the largest one get black below and to the right.
    poses : Poses
    frames : iterable of int, optional
        In ascending order; by default all.
    scale : float
        Pixels of the picture for a pixel of the frame: 2 enlarges a small video.
    video_index : int
        Which video of the table this is.
    color_by : str, optional
        "node", "track" or "instance"; overrides that of the style.
    trail_frames : int
        Draw where each animal was in the last so many frames; 0 = no trails.
    trail_of : str, optional
        Name of the node that leaves the trail; by default the one with most edges.
    crop_px : int, optional
        Show only a square of this side around one animal and follow it.
    crop_track : str, optional
        Name of the track to follow; by default the first instance of every frame.
    style : DrawStyle, optional
        Missing sizes are fitted to the animals once, for the whole video.

    Yields
    ------
    ndarray of uint8, shape (h, w, 3)

    Raises
    ------
    ConfigError, DataError
        For frames that the video does not have and other settings that cannot be met.
    """
    numbers = _check_frames(video, frames)
    if trail_frames < 0 or (crop_px is not None and crop_px < 1):
        raise ConfigError(
            "Expected trail_frames of at least 0 and crop_px of at least 1; received "
            f"{trail_frames} and {crop_px}."
        )
    style = style or DrawStyle()
    style = replace(style, color_by=color_by) if color_by is not None else style
    own = poses.select(poses.video == video_index) if len(poses) else poses
    style = style.fitted_to(own, scale)
    node = trail_node(poses.skeleton) if trail_of is None else poses.skeleton.index(trail_of)
    known = poses.frames(video_index).astype(np.int64)
    views = _views(video, poses, numbers, scale, video_index, crop_px, crop_track)
    height, width = video.shape[1:3]
    for frame, view in zip(numbers.tolist(), views, strict=True):
        image = view.cut(letterbox(video[frame], height, width))
        darken(image, style.darken)
        if trail_frames:
            recent = known[(known > frame - trail_frames) & (known <= frame)]
            past = poses.between(video_index, frame - trail_frames + 1, frame)
            draw_trails(image, past, node=node, frames=recent, style=style, view=view)
        draw_poses(image, poses.at(video_index, frame), style, view)
        if style.frame_numbers:
            draw_caption(image, f"frame {frame}", style.font_size_px or 14)
        yield image


def _check_frames(video: Video, frames: Iterable[int] | None) -> NDArray[np.int64]:
    if frames is None:
        numbers = np.arange(len(video))
    else:
        numbers = np.fromiter((int(frame) for frame in frames), np.int64)
    if not len(numbers):
        raise DataError(f"Expected frames of {video.name} to draw; received none.")
    if numbers.min() < 0 or numbers.max() >= len(video) or (np.diff(numbers) <= 0).any():
        raise DataError(
            f"Expected ascending frames from 0 to {len(video) - 1} of {video.name}; received "
            f"{numbers.min()} to {numbers.max()}."
        )
    return numbers


def _views(
    video: Video,
    poses: Poses,
    numbers: NDArray[np.int64],
    scale: float,
    video_index: int,
    crop_px: int | None,
    crop_track: str | None,
) -> Iterator[View]:
    """One view for each frame: of all of it, or of a square that follows an animal."""
    height, width = video.shape[1:3]
    if crop_px is None:
        whole = View.whole(height, width, scale)
        return (whole for _ in numbers)
    track = None if crop_track is None else _track_index(poses, crop_track)
    size = (min(crop_px, width), min(crop_px, height))
    corners = follow_animal(poses, numbers, size, (width, height), video=video_index, track=track)
    if scale == 1:  # whole pixels: copied, not resampled
        corners = np.rint(corners)
    return (View(x, y, size[0], size[1], scale) for x, y in corners.tolist())


def _track_index(poses: Poses, name: str) -> int:
    if name not in poses.track_names:
        known = ", ".join(poses.track_names) or "none"
        raise DataError(f"Expected the name of a track ({known}); received {name!r}.")
    return poses.track_names.index(name)
