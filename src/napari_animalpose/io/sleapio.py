"""Between projects and `sleap_io.Labels`, by way of the `.slp` layout.

Both sides read and write that layout without loss, so going through a temporary file
carries everything, and there is one description of it in this program instead of two.
Other programs' formats that hold few labels are read and written by `sleap_io` this way.
"""

from __future__ import annotations

import dataclasses
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_animalpose.data.project import Project
from napari_animalpose.errors import FileFormatError, OutputError
from napari_animalpose.io.atomic import atomic_path
from napari_animalpose.io.slp import SlpContents, read_slp
from napari_animalpose.io.slp_write import write_slp

if TYPE_CHECKING:
    import sleap_io

__all__ = [
    "from_sleap",
    "read_alphatracker",
    "read_with",
    "to_sleap",
    "write_labelstudio",
    "write_with",
]


@contextmanager
def _temporary_file() -> Iterator[Path]:
    # On Windows, label images that sleap_io keeps open prevent cleaning up.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "labels.slp"


def to_sleap(project: Project) -> sleap_io.Labels:
    """Return a project as a `sleap_io.Labels`, with everything its file held.

    Videos that exist are open. Embedded images stay in the file that holds them.
    """
    import sleap_io

    with _temporary_file() as path:
        write_slp(project, path, embed=False)
        labels = sleap_io.load_slp(str(path))
    labels.provenance.pop("filename", None)
    if project.path is not None:
        labels.provenance["filename"] = project.path
    return labels


def from_sleap(
    labels: sleap_io.Labels,
    path: str | PathLike[str] | None = None,
    video_dirs: Sequence[str | PathLike[str]] = (),
) -> Project:
    """Return a `sleap_io.Labels` as a project; the inverse of `to_sleap`.

    Parameters
    ----------
    labels : sleap_io.Labels
        With one skeleton.
    path : path, optional
        Where the labels were read from; relative paths of videos start in its folder.
    video_dirs : sequence of paths
        Folders in which to look for videos.
    """
    import sleap_io

    origin = Path("labels.slp" if path is None else path).absolute()
    with _temporary_file() as temporary:
        sleap_io.save_slp(labels, str(temporary), embed=False, verbose=False)
        project = read_slp(temporary, video_dirs, origin=origin)
    contents = project.extras
    if isinstance(contents, SlpContents):
        contents = dataclasses.replace(contents, source=str(origin))
    return project.replace(path=None if path is None else str(path), extras=contents)


# -------------------------------------------------------------------------- other formats
def read_with(
    load: Callable[[str], sleap_io.Labels],
    path: Path,
    video_dirs: Sequence[str | PathLike[str]],
    kind: str,
) -> Project:
    """Read a file with `sleap_io`; its errors of many kinds become one sentence.

    Parameters
    ----------
    load : callable
        Takes the path and returns the labels.
    path : Path
    video_dirs : sequence of paths
        Folders in which to look for videos.
    kind : str
        What people call the format.

    Raises
    ------
    FileFormatError
        If the file cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about conventions, for programmers
            labels = load(str(path.absolute()))
    except ImportError as error:
        raise FileFormatError(
            f"Expected the package that reads {kind} files; received {error}. Install it.", path
        ) from error
    except (OSError, KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(
            f"Expected a {kind} file; received {str(path)!r} with an error "
            f"({type(error).__name__}: {error}). Export it again.",
            path,
        ) from error
    return from_sleap(labels, path, video_dirs)


def read_alphatracker(path: Path, video_dirs: Sequence[str | PathLike[str]] = ()) -> Project:
    """Read annotations of AlphaTracker (`.json`)."""
    import sleap_io

    return read_with(sleap_io.load_alphatracker, path, video_dirs, "AlphaTracker")


def write_with(save: Callable[..., Any], project: Project, path: Path, kind: str) -> None:
    """Write a file with ``save(labels, path)`` of `sleap_io`, whole or not at all.

    Raises
    ------
    OutputError
        If the file cannot be stored or the format cannot hold the poses.
    """
    labels = to_sleap(project)
    for video in labels.videos:
        video.close()  # the writers need names and shapes only
    try:
        with atomic_path(path) as temporary, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            save(labels, str(temporary))
    except OutputError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise OutputError(
            f"Expected poses that a {kind} file can hold; received an error from its writer "
            f"({type(error).__name__}: {error}). Choose another format.",
            path,
        ) from error


def write_labelstudio(project: Project, path: Path) -> None:
    """Write annotations for Label Studio (`.json`)."""
    import sleap_io

    write_with(sleap_io.save_labelstudio, project, path, "Label Studio")
