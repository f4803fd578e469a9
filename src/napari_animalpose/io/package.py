"""Training packages: one zip with labels, images and configuration, to train elsewhere.

::

    package.zip
      README.txt            what this is and what to do with it
      package.json          contents, versions, why this configuration
      labels.pkg.slp        the labels with the images they are about; SLEAP opens it
      config.json           the configuration to train with

Zips of SLEAP's training jobs, which hold one `.pkg.slp` too, are read as labels.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from numpy.typing import ArrayLike

from napari_animalpose.config import RunConfig
from napari_animalpose.data.project import Project
from napari_animalpose.errors import ConfigError, FileFormatError
from napari_animalpose.io.archives import Archive, open_archive
from napari_animalpose.io.atomic import atomic_path
from napari_animalpose.io.runs import versions
from napari_animalpose.io.slp import read_slp
from napari_animalpose.io.slp_images import write_pkg
from napari_animalpose.io.video import LazyVideo

__all__ = [
    "LABELS",
    "describe_package",
    "is_package",
    "keep_images",
    "read_package",
    "read_packaged_config",
    "unpack_labels",
    "write_package",
]

FilePath = str | os.PathLike[str]
LABELS, CONFIG, CONTENTS, README = "labels.pkg.slp", "config.json", "package.json", "README.txt"
KIND = "napari-animalpose training package"
VERSION = 1
_SUFFIX = ".pkg.slp"
_TEMPORARY = "animalpose-package-"  # how names of temporary folders begin
_MOST_JSON_BYTES = 16 << 20
_README = """\
Training package of napari-animalpose
=====================================

{images} images: {labelled} frames with labels, {empty} without animals, {suggested} suggested.

Train on any machine on which napari-animalpose is installed, best with a GPU:

    animalpose train {name} -o run

or with the notebook examples/train_elsewhere.ipynb of napari-animalpose, in Jupyter or
Google Colab.

The configuration in config.json is used unless --config, --preset, --pipeline or
--set say otherwise. What comes out is the folder "run". Bring it back, or a zip of it:

    animalpose predict video.mp4 -m run.zip -o predictions.slp

labels.pkg.slp is an ordinary SLEAP package: SLEAP and sleap-io open it too.
"""


# ------------------------------------------------------------------------------- writing
def write_package(
    project: Project,
    path: FilePath,
    config: RunConfig,
    *,
    frames: ArrayLike | None = None,
    details: Mapping[str, Any] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Write a training package, whole or not at all.

    Parameters
    ----------
    project : Project
        The labels, and nothing that is not to be given away.
    path : path
        The zip to write.
    config : RunConfig
        What to train with.
    frames : array_like of int, shape (F, 2), optional
        (video, frame) of the images; by default see `slp_images.choose_images`.
    details : mapping, optional
        More that `package.json` is to say; values that JSON can hold.
    on_progress : callable, optional
        See `slp_images.write_pkg`.

    Returns
    -------
    dict
        What `package.json` says.

    Raises
    ------
    VideoError, DataError
        If a frame cannot be read or is beyond the end of its video.
    OutputError
        If the file cannot be written.
    """
    target = Path(path)
    n_images = 0

    def count(done: int, total: int) -> None:
        nonlocal n_images
        n_images = total
        if on_progress is not None:
            on_progress(done, total)

    with (
        atomic_path(target) as temporary,
        tempfile.TemporaryDirectory(prefix=".animalpose-", dir=temporary.parent) as folder,
    ):
        labels = Path(folder) / LABELS
        write_pkg(project, labels, frames=frames, on_progress=count)
        contents = {
            "kind": KIND,
            "version": VERSION,
            "n_labelled_frames": len(project.poses.labels_or_all().frame_keys()),
            "n_empty_frames": len(project.negative_frames),
            "n_suggested_frames": len(project.suggestions),
            "n_images": n_images,
            "videos": [video.name for video in project.videos],
            "nodes": list(project.skeleton.nodes),
            "versions": versions(),
            **(details or {}),
        }
        readme = _README.format(
            name=target.name,
            images=n_images,
            labelled=contents["n_labelled_frames"],
            empty=contents["n_empty_frames"],
            suggested=contents["n_suggested_frames"],
        )
        with ZipFile(temporary, "w", ZIP_DEFLATED) as archive:
            archive.writestr(README, readme)
            archive.writestr(CONTENTS, json.dumps(contents, indent=2) + "\n")
            archive.writestr(CONFIG, json.dumps(config.to_dict(), indent=2) + "\n")
            archive.write(labels, LABELS, ZIP_STORED)  # images do not become smaller
    return contents


# ------------------------------------------------------------------------------- reading
def is_package(path: FilePath) -> bool:
    """Tell whether a path is a zip with one `.pkg.slp` in it.

    Raises
    ------
    FileFormatError
        If it is named like a zip and is none, or one that is not to be opened.
    """
    path = Path(path)
    if path.suffix.lower() != ".zip" or not path.is_file():
        return False
    with _open(path) as archive:
        return len(_find_labels(archive)) == 1


def _open(path: Path) -> Any:
    return open_archive(
        path, "a zip of a training package", lambda text: FileFormatError(text, path)
    )


def _find_labels(archive: Archive) -> list[str]:
    """Return the packages in an archive, without what file managers add beside files."""
    return [
        name
        for name in archive.members
        if name.lower().endswith(_SUFFIX) and not PurePosixPath(name).name.startswith("._")
    ]


def read_package(path: FilePath, video_dirs: Sequence[FilePath] = ()) -> Project:
    """Read the labels of a training package, with their images.

    They are unpacked into a temporary folder that goes when Python ends.

    Raises
    ------
    FileFormatError
        If the zip is damaged, suspicious or holds no labels with images, or they are
        damaged.
    """
    path = Path(path)
    project = read_slp(_unpack_once(path), video_dirs)
    return project.replace(path=str(path))


@dataclass(frozen=True)
class _Key:
    """Which file at which time: another package under the same name is another one."""

    path: str
    modified_ns: int
    size: int


_unpacked: dict[_Key, Path] = {}


def _unpack_once(path: Path) -> Path:
    """Return where the labels of a package are in this process, unpacking them if need be."""
    state = path.stat()
    key = _Key(str(path.absolute()), state.st_mtime_ns, state.st_size)
    if key not in _unpacked or not _unpacked[key].is_file():
        folder = tempfile.mkdtemp(prefix=_TEMPORARY)
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _unpacked[key] = unpack_labels(path, Path(folder) / LABELS)
    return _unpacked[key]


def unpack_labels(path: FilePath, target: FilePath) -> Path:
    """Write the `.pkg.slp` of a training package to a file, whole or not at all.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    FileFormatError
        If the zip is damaged, suspicious or holds other than one `.pkg.slp`.
    OutputError
        If the file cannot be written.
    """
    path, target = Path(path), Path(target)
    with _open(path) as archive:
        found = _find_labels(archive)
        if len(found) != 1:
            raise FileFormatError(
                f"Expected one file *{_SUFFIX} in the training package {str(path)!r}; received "
                f"{len(found)}. Make one with: animalpose package LABELS -o PACKAGE.zip",
                path,
            )
        with atomic_path(target) as temporary:
            temporary.unlink()  # it is made anew, so that nothing is written over
            archive.extract(found[0], temporary)
    return target


def read_packaged_config(path: FilePath | None) -> RunConfig | None:
    """Return the configuration in a training package, None if it has none or is none.

    Raises
    ------
    ConfigError
        If it is damaged, or of a version that this one does not know.
    """
    if path is None or not is_package(path):
        return None
    values = _read_json(Path(path), CONFIG)
    if values is None:
        return None
    try:
        return RunConfig.from_dict(values)
    except (ConfigError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"Expected a configuration of this version in {os.fspath(path)!r}; {error} "
            "Choose another one with --config, --preset or --pipeline."
        ) from None


def describe_package(path: FilePath) -> dict[str, Any]:
    """Return what `package.json` says, {} where a zip of labels has none.

    Raises
    ------
    FileFormatError
        If it is no training package, or damaged.
    """
    path = Path(path)
    with _open(path) as archive:
        found = _find_labels(archive)
    if len(found) != 1:
        raise FileFormatError(
            f"Expected a training package; received {str(path)!r}, a zip without one. Make one "
            "with: animalpose package LABELS -o PACKAGE.zip",
            path,
        )
    values = _read_json(path, CONTENTS)
    return values if isinstance(values, dict) else {}


def _read_json(path: Path, name: str) -> Any:
    """Return a JSON file that is beside the labels; None without our `package.json`."""
    with _open(path) as archive:
        folder = PurePosixPath(_find_labels(archive)[0]).parent
        place, contents = str(folder / name), str(folder / CONTENTS)
        if place not in archive.members or contents not in archive.members:
            return None
        try:
            return json.loads(archive.read(place, _MOST_JSON_BYTES))
        except (ValueError, RecursionError) as error:
            if isinstance(error, FileFormatError):
                raise
            raise FileFormatError(
                f"Expected JSON in {name} of {str(path)!r}; received a damaged file ({error}). "
                "Copy the package again.",
                path,
            ) from None


# ------------------------------------------------------------------- what a run keeps of it
def keep_images(project: Project, folder: Path) -> Project:
    """Give a run folder the images that it was trained on, if they came in a package.

    What the run says of its labels then holds wherever the folder goes: the images lie
    beside `labels.slp` and are found there.

    Parameters
    ----------
    project : Project
        As `read_package` returned it, possibly edited; others are returned as they are.
    folder : Path
        The run folder.
    """
    videos = list(project.videos)
    kept: Path | None = None
    for number, video in enumerate(videos):
        if isinstance(video, LazyVideo) and _is_unpacked(video.filename):
            if kept is None:
                kept = folder.absolute() / LABELS
                with atomic_path(kept) as temporary:
                    shutil.copyfile(str(video.filename), temporary)
            videos[number] = video.relink(kept)
    return project if kept is None else project.with_videos(videos)


def _is_unpacked(filename: str | tuple[str, ...]) -> bool:
    """Whether a file is one that `read_package` made, in this process or in its parent."""
    if not isinstance(filename, str):
        return False
    path = Path(filename)
    return path.name == LABELS and path.parent.name.startswith(_TEMPORARY)
