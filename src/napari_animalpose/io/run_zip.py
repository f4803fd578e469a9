"""Run folders that travel: one zip with everything, opened like the folder itself."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from napari_animalpose.errors import ModelError, OutputError
from napari_animalpose.io.archives import Archive, open_archive
from napari_animalpose.io.atomic import atomic_path
from napari_animalpose.io.runs import RunFolder, make_empty_folder

__all__ = ["is_run_zip", "open_run", "unzip_run", "zip_run"]

FilePath = str | os.PathLike[str]
_PARTS = ("config.json", "skeleton.json")  # what makes a folder a run
_WEIGHTS = ("weights.npz", "state.npz")
_IMAGES = ".pkg.slp"
_PACKED = (".npz", ".slp", ".png", ".mp4")  # does not become smaller
_BLOCK = 1 << 20


# ------------------------------------------------------------------------------- packing
def zip_run(
    run: FilePath,
    path: FilePath | None = None,
    *,
    images: bool = True,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Pack a run folder into one file that is opened like the folder.

    Parameters
    ----------
    run : path
    path : path, optional
        The zip to write; by default beside the folder, with its name.
    images : bool
        Take along the images of labels that the run keeps (if it was trained on a
        training package). Without, its labels have no frames to be seen on.
    on_progress : callable, optional
        Called with the bytes packed and those of all files. What it raises ends the
        packing; nothing is left.

    Returns
    -------
    Path
        The zip.

    Raises
    ------
    ModelError
        If the folder is no run or has no trained network.
    OutputError
        If the file cannot be written.
    """
    folder = RunFolder(run)
    folder.read_config()
    folder.read_skeleton()
    if not folder.trained():
        raise ModelError(
            f"Expected trained networks in {str(folder.path)!r}; received none. Wait for the "
            "first validation of the training."
        )
    target = folder.path.absolute().with_name(f"{folder.path.absolute().name}.zip")
    target = target if path is None else Path(path)
    files = [file for file in _list_files(folder.path) if images or not file.name.endswith(_IMAGES)]
    total = sum(file.stat().st_size for file in files)
    done = 0
    with atomic_path(target) as temporary, ZipFile(temporary, "w") as archive:
        for file in files:
            name = PurePosixPath(target.stem, *file.relative_to(folder.path).parts)
            with file.open("rb") as source, _open_new(archive, str(name), file) as member:
                while block := source.read(_BLOCK):
                    member.write(block)
                    done += len(block)
                    if on_progress is not None:
                        on_progress(done, max(total, done))
    return target


def _list_files(folder: Path) -> Iterator[Path]:
    """Yield the plain files of a folder in order, without links and hidden ones."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not path.is_symlink() and not hidden:
            yield path


def _open_new(archive: ZipFile, name: str, file: Path) -> IO[bytes]:
    member = ZipInfo.from_file(file, name, strict_timestamps=False)
    member.compress_type = ZIP_STORED if file.suffix in _PACKED else ZIP_DEFLATED
    return archive.open(member, "w")


# ------------------------------------------------------------------------------- opening
def is_run_zip(path: FilePath) -> bool:
    """Tell whether a path is a zip with a run folder in it, at its top or one folder down."""
    path = Path(path)
    if path.suffix.lower() != ".zip" or not path.is_file():
        return False
    try:
        with ZipFile(path) as archive:
            return _find_root(archive.namelist()) is not None
    except (BadZipFile, NotImplementedError, OSError, ValueError):
        return False


def _find_root(names: list[str]) -> PurePosixPath | None:
    """Return the folder of the run inside an archive."""
    known = set(names)
    for name in names:
        folder = PurePosixPath(name).parent
        if len(folder.parts) <= 1 and all(str(folder / part) in known for part in _PARTS):
            return folder
    return None


def open_run(path: FilePath) -> RunFolder:
    """Open a run folder, or a zip of one.

    Of a zip, only what predicting, comparing and training on need is unpacked, into a
    temporary folder that goes with the object.

    Raises
    ------
    ModelError
        If it is a zip that is damaged, suspicious or without a run. A folder is not
        looked into.
    """
    if not is_run_zip(path):
        return RunFolder(path)
    folder = Path(tempfile.mkdtemp(prefix="animalpose-run-"))
    try:
        _unpack(Path(path), folder, _is_needed)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    run = RunFolder(folder)
    weakref.finalize(run, shutil.rmtree, folder, ignore_errors=True)
    return run


def _is_needed(name: PurePosixPath) -> bool:
    """Whether a file of a run folder is small or holds weights; images are neither."""
    if len(name.parts) == 1:
        return name.suffix in (".json", ".csv", ".slp") and not name.name.endswith(_IMAGES)
    return len(name.parts) == 2 and name.name in _WEIGHTS


def unzip_run(path: FilePath, out: FilePath) -> Path:
    """Unpack a zip of a run folder into a new folder.

    Parameters
    ----------
    path : path
        What `zip_run` wrote, or any zip of a run folder.
    out : path
        The folder to make.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ModelError
        If the zip is damaged, suspicious or holds no run; nothing is left then.
    OutputError
        If there is something in the folder already, or it cannot be written.
    """
    folder = Path(out)
    was_there = folder.exists()
    make_empty_folder(folder)
    try:
        _unpack(Path(path), folder, lambda name: True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        if was_there:
            folder.mkdir()
        raise
    return folder


def _unpack(path: Path, folder: Path, wanted: Callable[[PurePosixPath], bool]) -> None:
    with open_archive(path, "a zip of a run folder", ModelError) as archive:
        root = _find_root(list(archive.members))
        if root is None:
            raise ModelError(
                f"Expected {' and '.join(_PARTS)} of a run in {str(path)!r}; received a zip "
                "without them. Zip the folder that `animalpose train -o` made."
            )
        for name in archive.members:
            place = PurePosixPath(name)
            if place.is_relative_to(root) and wanted(place.relative_to(root)):
                target = folder.joinpath(*place.relative_to(root).parts)
                _extract(archive, name, target)
                if target.suffix == ".npz":  # a zip in the zip, checked the same way
                    with open_archive(target, "trained weights", ModelError):
                        pass


def _extract(archive: Archive, name: str, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        archive.extract(name, target)
    except FileExistsError:
        raise ModelError(
            f"Expected every name once in {str(archive.path)!r}; received {name!r} twice. "
            "Do not use this file."
        ) from None
    except OSError as error:
        raise OutputError(
            f"Expected to write {str(target)!r}; received {error.strerror or error}. Choose "
            "another folder.",
            target,
        ) from error
