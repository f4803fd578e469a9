"""Reversible edits of a project's videos: some added, some looked for elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from napari_animalpose.data.edit_kinds import Edit, Holder, read_header
from napari_animalpose.data.poses import Poses
from napari_animalpose.data.video import Video
from napari_animalpose.errors import DataError
from napari_animalpose.io.slp_videos import absolute_name
from napari_animalpose.io.video import LazyVideo

__all__ = ["VideosEdit", "describe_video", "video_from_description"]


@dataclass(frozen=True, eq=False)
class VideosEdit(Edit):
    """Other videos; those that are there before and after keep their numbers.

    Parameters
    ----------
    before, after : tuple of Video
    """

    kind: ClassVar[str] = "videos"
    before: tuple[Video, ...]
    after: tuple[Video, ...]

    def apply(self, poses: Poses) -> None:
        """Refuse: videos are the project's, not the table's (see `apply_to`)."""
        raise DataError("Expected a project to change videos of; received a table of poses alone.")

    def apply_to(self, holder: Holder) -> None:
        """Give the project the videos after.

        Raises
        ------
        DataError
            If poses or marks would be left without their video.
        """
        marks = holder.marks
        used = {
            "poses": holder.poses.video[-1:],  # sorted: the last is the highest
            "suggestions": marks.suggestions[:, 0],
            "frames marked as empty": marks.negative_frames[:, 0],
        }
        for what, numbers in used.items():
            if len(numbers) and int(numbers.max()) >= len(self.after):
                raise DataError(
                    f"Expected a video for all {what}; received {what} of video "
                    f"{int(numbers.max())} and {len(self.after)} videos. Delete those first."
                )
        holder.videos = self.after

    def inverse(self) -> VideosEdit:
        """Return the edit that brings the videos before back."""
        return replace(self, before=self.after, after=self.before)

    @property
    def touched(self) -> NDArray[np.int64] | None:
        """All frames: another video may be in view."""
        return None

    @property
    def nbytes(self) -> int:
        """Memory in bytes: next to nothing."""
        return 1000 * (len(self.before) + len(self.after))

    def to_dict(self) -> dict[str, NDArray[Any]]:
        """Return the descriptions of all videos."""
        sides = {"before": self.before, "after": self.after}
        described = {name: [describe_video(v) for v in videos] for name, videos in sides.items()}
        return {"header": self._header(**described)}

    @classmethod
    def from_dict(cls, values: Mapping[str, NDArray[Any]]) -> VideosEdit:
        """Build the edit that `to_dict` described."""
        header = read_header(values)
        before, after = (
            tuple(video_from_description(entry) for entry in header[side])
            for side in ("before", "after")
        )
        return cls(header["label"], before, after)


def describe_video(video: Video) -> dict[str, Any]:
    """Return what is needed to open a video again, as values that JSON can hold.

    Of a video whose frames are in memory only, name and shape are all that can be kept: what
    is made of its description is a video that is not where it should be.
    """
    if isinstance(video, LazyVideo):
        known = video.describe()
        name = known["filename"]  # a journal may be read from anywhere
        known["filename"] = (
            absolute_name(name) if isinstance(name, str) else [absolute_name(n) for n in name]
        )
        return known
    shape = [int(side) for side in video.shape]
    return {
        "filename": video.source,
        "dataset": None,
        "grayscale": None,
        "layout": None,
        "shape": shape,
        "fps": None,
    }


def video_from_description(entry: Mapping[str, Any]) -> LazyVideo:
    """Return the video that `describe_video` described, not opened yet."""
    shape = entry["shape"]
    return LazyVideo(
        entry["filename"],
        dataset=entry["dataset"],
        grayscale=entry["grayscale"],
        layout=entry["layout"],
        shape=None if shape is None else (shape[0], shape[1], shape[2], shape[3]),
        fps=entry["fps"],
    )
