"""Reading and writing label files of every known format.

`read_labels` and `write_labels` find the format by the path; `FORMATS` lists what there
is. A new format is one module with a reader and a writer and one entry here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py

from napari_animalpose.data.project import Project
from napari_animalpose.data.video import Video
from napari_animalpose.errors import DataError, FileFormatError, OutputError
from napari_animalpose.io.dlc import is_dlc_config, is_dlc_table
from napari_animalpose.io.package import is_package
from napari_animalpose.io.slp_videos import find_doubtful, find_file, find_images
from napari_animalpose.io.video import LazyVideo
from napari_animalpose.registry import Registry

if TYPE_CHECKING:
    import sleap_io

__all__ = [
    "FORMATS",
    "LabelFormat",
    "choose_format",
    "is_label_file",
    "read_labels",
    "relink_videos",
    "sniff_format",
    "to_sleap",
    "write_labels",
]

FilePath = str | PathLike[str]
_PACKAGE = "napari_animalpose.io"


@dataclass(frozen=True)
class LabelFormat:
    """One format of label files.

    Attributes
    ----------
    title : str
        What people call it.
    suffix : str
        How names of its files end.
    recognizes : callable
        Says of an existing path whether it is of this format.
    reader : str, optional
        ``"module:function"`` called as ``read(path, video_dirs) -> Project``.
    writer : str, optional
        ``"module:function"`` called as ``write(project, path)``, or as
        ``write(project, path, video)`` if a file holds one video.
    one_video : bool
        Whether a file holds the poses of one video only.
    """

    title: str
    suffix: str
    recognizes: Callable[[Path], bool]
    reader: str | None = None
    writer: str | None = None
    one_video: bool = False

    def load_reader(self) -> Callable[[Path, Sequence[FilePath]], Project]:
        """Import and return the reader."""
        return _import(self.reader)

    def load_writer(self) -> Callable[..., None]:
        """Import and return the writer."""
        return _import(self.writer)


def _import(target: str | None) -> Callable[..., Any]:
    module, _, function = (target or "").partition(":")
    imported: Callable[..., Any] = getattr(import_module(f"{_PACKAGE}.{module}"), function)
    return imported


# -------------------------------------------------------------------------- what a file is
def _ends_with(*suffixes: str) -> Callable[[Path], bool]:
    return lambda path: path.is_file() and path.name.lower().endswith(suffixes)


def _is_analysis(path: Path) -> bool:
    return _holds(path, "track_occupancy")


def _is_dlc(path: Path) -> bool:
    if path.is_dir():
        return (path / "config.yaml").is_file() or any(path.glob("CollectedData_*"))
    if path.suffix == ".csv":
        return is_dlc_table(path)
    if path.suffix in (".yaml", ".yml"):
        return is_dlc_config(path)
    return path.suffix in (".h5", ".hdf5") and not _is_analysis(path) and _has_pandas(path)


def _holds(path: Path, name: str) -> bool:
    if path.suffix not in (".h5", ".hdf5") or not h5py.is_hdf5(path):
        return False
    with h5py.File(path, "r") as file:
        return name in file


def _has_pandas(path: Path) -> bool:
    if not h5py.is_hdf5(path):
        return False
    with h5py.File(path, "r") as file:
        return any("pandas_type" in item.attrs for item in file.values())


def _is_csv(path: Path) -> bool:
    return path.suffix == ".csv" and not is_dlc_table(path)


def _json_looks_like(test: Callable[[Any], bool]) -> Callable[[Path], bool]:
    def recognizes(path: Path) -> bool:
        if path.suffix != ".json" or not path.is_file():
            return False
        try:
            return test(json.loads(path.read_text(encoding="utf-8")))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise FileFormatError(
                f"Expected a JSON file with labels; received {str(path)!r}, which is damaged "
                f"({error}). Export it again.",
                path,
            ) from error

    return recognizes


def _has_keys(item: object, *keys: str) -> bool:
    return isinstance(item, dict) and set(keys) <= item.keys()


def _first(data: object) -> object:
    return data[0] if isinstance(data, list) and data else None


def _is_slp(path: Path) -> bool:
    return _ends_with(".slp")(path) and not _is_pkg(path)


_is_pkg = _ends_with(".pkg.slp")

FORMATS: Registry[LabelFormat] = Registry("label format")
FORMATS.register(
    "slp",
    LabelFormat("SLEAP", ".slp", _is_slp, "slp:read_slp", "slp_write:write_slp"),
)
FORMATS.register(
    "pkg",
    LabelFormat("SLEAP with images", ".pkg.slp", _is_pkg, "slp:read_slp", "slp_images:write_pkg"),
)
FORMATS.register(
    "analysis",
    LabelFormat(
        "SLEAP analysis HDF5",
        ".analysis.h5",
        _is_analysis,
        "analysis:read_analysis",
        "analysis:write_analysis",
        one_video=True,
    ),
)
FORMATS.register(
    "csv",
    LabelFormat(
        "SLEAP analysis CSV",
        ".csv",
        _is_csv,
        "analysis:read_csv",
        "analysis:write_csv",
        one_video=True,
    ),
)
FORMATS.register(
    "dlc",
    LabelFormat(
        "DeepLabCut", ".csv", _is_dlc, "dlc:read_dlc", "dlc_write:write_dlc", one_video=True
    ),
)
FORMATS.register(
    "coco",
    LabelFormat(
        "COCO key points",
        ".json",
        _json_looks_like(lambda data: _has_keys(data, "images", "annotations", "categories")),
        "coco:read_coco",
        "coco:write_coco",
    ),
)
FORMATS.register(
    "nwb",
    LabelFormat("NWB", ".nwb", _ends_with(".nwb"), "nwb:read_nwb", "nwb:write_nwb"),
)
FORMATS.register(
    "package", LabelFormat("training package", ".zip", is_package, "package:read_package")
)
FORMATS.register("leap", LabelFormat("LEAP", ".mat", _ends_with(".mat"), "leap:read_leap"))
FORMATS.register(
    "alphatracker",
    LabelFormat(
        "AlphaTracker",
        ".json",
        _json_looks_like(lambda data: _has_keys(_first(data), "filename", "annotations")),
        "sleapio:read_alphatracker",
    ),
)
FORMATS.register(
    "labelstudio",
    LabelFormat(
        "Label Studio",
        ".json",
        _json_looks_like(lambda data: _has_keys(_first(data), "data", "annotations")),
        "labelstudio:read_labelstudio",
        "sleapio:write_labelstudio",
    ),
)


# ----------------------------------------------------------------------------------- reading
def sniff_format(path: FilePath) -> str:
    """Return the name of the format of a label file or project folder.

    Raises
    ------
    FileFormatError
        If the path does not exist or is of no known format.
    """
    path = Path(path)
    if not path.exists():
        raise FileFormatError(
            f"Expected a label file or project folder; received {str(path)!r}, which does not "
            "exist. Check the path.",
            path,
        )
    for name in FORMATS:
        if FORMATS.get(name).recognizes(path):
            return name
    known = ", ".join(f"{FORMATS.get(n).title} ({FORMATS.get(n).suffix})" for n in FORMATS)
    what = "folder without labels" if path.is_dir() else "file of another format"
    raise FileFormatError(
        f"Expected labels of {known}; received {str(path)!r}, a {what}. Choose another path.", path
    )


def is_label_file(path: FilePath) -> bool:
    """Whether a path is a label file or project folder of a known format."""
    try:
        sniff_format(path)
    except (FileFormatError, OSError):
        return False
    return True


def read_labels(path: FilePath, *, video_dirs: FilePath | Sequence[FilePath] = ()) -> Project:
    """Read a label file or project folder of any known format.

    Parameters
    ----------
    path : path
        A file, a DeepLabCut project folder or its `config.yaml`.
    video_dirs : path or sequence of paths
        Folders in which to look for videos that are not where the file says.

    Returns
    -------
    Project
        Videos open when a frame is needed; one that is not found raises `VideoError`
        then.

    Raises
    ------
    FileFormatError
        If the file is missing, damaged, of an unknown format or without labels that can
        be one project.
    """
    path = Path(path)
    reader = FORMATS.get(sniff_format(path)).load_reader()
    return reader(path, _as_list(video_dirs))


def _as_list(paths: FilePath | Sequence[FilePath]) -> list[FilePath]:
    return [paths] if isinstance(paths, str | PathLike) else list(paths)


# ----------------------------------------------------------------------------------- writing
def write_labels(
    project: Project,
    path: FilePath,
    *,
    format: str | None = None,  # noqa: A002
) -> tuple[Path, ...]:
    """Write a project, each file whole or not at all.

    Parameters
    ----------
    project : Project
    path : path
        The file to write.
    format : str, optional
        A name in `FORMATS`; by default found by the suffix of `path`, where `.h5` is
        "analysis", `.csv` "csv" and `.json` "coco". `.pkg.slp` takes the images along.

    Returns
    -------
    tuple of Path
        The files written. Where a format holds one video, several videos with instances
        give several files: ``NAME.000_VIDEO.SUFFIX`` and so on.

    Raises
    ------
    ConfigError
        If there is no format of that name.
    OutputError
        If the format cannot be written, is not told by the suffix, or the file cannot
        be stored.
    """
    path = Path(path)
    chosen = FORMATS.get(choose_format(path) if format is None else format)
    if chosen.writer is None:
        raise OutputError(
            f"Expected a format that can be written ({', '.join(_writable())}); received "
            f"{chosen.title}. Choose another one.",
            path,
        )
    write = chosen.load_writer()
    if not chosen.one_video:
        write(project, path)
        return (path,)
    videos = sorted(set(project.poses.video.tolist())) or [0]
    if len(videos) == 1:
        write(project, path, videos[0])
        return (path,)
    paths = tuple(_name_part(project, path, chosen.suffix, video) for video in videos)
    for video, part in zip(videos, paths, strict=True):
        write(project, part, video)
    return paths


def _writable() -> Iterator[str]:
    return (name for name in FORMATS if FORMATS.get(name).writer is not None)


def choose_format(path: Path) -> str:
    """Return the name of the first format that can be written to files of this name.

    A format whose whole suffix the name has comes first: `x.pkg.slp` is no `.slp`.

    Raises
    ------
    OutputError
        If no format is told by the suffix.
    """
    whole = [n for n in _writable() if path.name.lower().endswith(FORMATS.get(n).suffix)]
    if whole:
        # Of equal suffixes (.csv) the first; else the longest.
        return max(whole, key=lambda name: len(FORMATS.get(name).suffix))
    for name in _writable():
        if path.suffix and FORMATS.get(name).suffix.endswith(path.suffix.lower()):
            return name
    suffixes = sorted({FORMATS.get(name).suffix for name in _writable()})
    raise OutputError(
        f"Expected a file name that ends with one of {', '.join(suffixes)}; received "
        f"{str(path)!r}. Add a suffix or name the format.",
        path,
    )


def _name_part(project: Project, path: Path, suffix: str, video: int) -> Path:
    """Return the name of the file for one of several videos."""
    suffix = suffix if path.name.endswith(suffix) else path.suffix
    stem = path.name.removesuffix(suffix)
    name = Path(project.videos[video].name.partition("::")[0]).stem
    return path.with_name(f"{stem}.{video:03d}_{name}{suffix}")


# ------------------------------------------------------------------- what Project delegates
def to_sleap(project: Project) -> sleap_io.Labels:
    """Return a project as a `sleap_io.Labels`, with everything its file held."""
    from napari_animalpose.io.sleapio import to_sleap as convert

    return convert(project)


def relink_videos(project: Project, where: FilePath | Mapping[int | str, str]) -> Project:
    """Return a copy of a project whose videos are looked for elsewhere.

    Parameters
    ----------
    project : Project
    where : path or mapping
        A folder in which to find every missing video, or a mapping from a video (its
        number, name or source) to the path of its file. A file in the folder that could
        be one of several videos is none of them, see `slp_videos.find_doubtful`.

    Raises
    ------
    DataError
        If the mapping names a video that is not in the project, or a folder holds none
        of the missing ones.
    VideoError
        If a file of the mapping does not exist.
    """
    videos = list(project.videos)
    if isinstance(where, Mapping):
        for key, path in where.items():
            number = _find_number(project, key)
            moved = _move_video(project.videos[number], path)
            moved.open()  # a path that leads nowhere is an error now, not later
            videos[number] = moved
        return project.with_videos(videos)
    found = {
        number: moved
        for number, video in enumerate(videos)
        if isinstance(video, LazyVideo) and not video.exists
        if (moved := _look_in(video, Path(where))).exists
    }
    doubtful = find_doubtful(
        [_path_of(video) for video in videos],
        [_path_of(found.get(number, video)) for number, video in enumerate(videos)],
    )
    certain = found.keys() - doubtful
    for number in certain:
        videos[number] = found[number]
    if not certain:
        names = ", ".join(video.name for video in project.videos)
        raise DataError(
            f"Expected missing videos ({names}) in {str(where)!r}; received none of them. "
            "Choose another folder or name each file."
        )
    return project.with_videos(videos)


def _move_video(video: Video, path: FilePath) -> LazyVideo:
    return video.relink(path) if isinstance(video, LazyVideo) else LazyVideo(path)


def _path_of(video: Video) -> str | tuple[str, ...]:
    return video.filename if isinstance(video, LazyVideo) else video.source


def _look_in(video: LazyVideo, folder: Path) -> LazyVideo:
    """Return the video as it would be with its files in `folder`."""
    if isinstance(video.filename, str):
        return video.relink(find_file(video.filename, folder))
    return video.relink(find_images(video.filename, folder))


def _find_number(project: Project, key: int | str) -> int:
    for number, video in enumerate(project.videos):
        if key in (number, video.name, video.source):
            return number
    names = ", ".join(video.name for video in project.videos)
    raise DataError(
        f"Expected the number, name or source of one of the videos {names}; received {key!r}."
    )
