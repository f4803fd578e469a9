"""Finding the two files of a SLEAP model in a folder or a zip, without unpacking it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from zipfile import BadZipFile, ZipFile, ZipInfo

from napari_animalpose.errors import ModelError
from napari_animalpose.io.archives import why_unsafe
from napari_animalpose.io.run_zip import is_run_zip

__all__ = ["ModelFiles", "find_models", "is_sleap_model"]

CONFIG, WEIGHTS = "training_config.json", "best_model.h5"
MOST_BYTES = 2 << 30  # of a file of weights; SLEAP's largest encoder makes 1.4 GB with optimizer
MOST_CONFIG_BYTES = 16 << 20
MOST_MEMBERS = 20_000
FilePath = str | PathLike[str]


def is_sleap_model(path: FilePath) -> bool:
    """Tell whether a path is one of SLEAP: a model folder, a zip, or a file of a folder."""
    path = Path(path)
    if path.is_dir():
        return (path / CONFIG).is_file() or any(path.glob("*.h5"))
    if path.suffix == ".zip":
        return not is_run_zip(path)
    return path.suffix == ".h5" or path.name == CONFIG


@dataclass(frozen=True)
class ModelFiles:
    """Where the two files of one model are.

    Parameters
    ----------
    path : Path
        The folder or the zip, for messages.
    config : Path or str
        A file, or a member of the zip.
    weights : Path or str
    """

    path: Path
    config: Path | str
    weights: Path | str

    def read_config(self) -> dict[str, Any]:
        """Read the configuration.

        Raises
        ------
        ModelError
            If it is not a JSON object, or too large to be one.
        """
        with _open(self.path, self.config, MOST_CONFIG_BYTES) as file:
            data = file.read()
        try:
            values = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ModelError(
                f"Expected JSON in {str(self.config)!r}; received a damaged file ({error}). "
                "Copy the model again."
            ) from None
        if not isinstance(values, dict):
            raise ModelError(
                f"Expected an object in {str(self.config)!r}; received a "
                f"{type(values).__name__}. Copy the model again."
            )
        return values

    @contextmanager
    def open_weights(self) -> Iterator[BinaryIO]:
        """Open the file of weights; seekable."""
        with _open(self.path, self.weights, MOST_BYTES) as file:
            yield file


def find_models(path: FilePath) -> list[ModelFiles]:
    """Return the models at a path: one, or as many as a zip holds.

    Parameters
    ----------
    path : path
        A model folder, its `training_config.json` or one of its `.h5` files, or a zip of
        one or several model folders.

    Raises
    ------
    ModelError
        If a file is missing, or a zip is damaged, too large, or holds links or members
        that would lie outside of its folder.
    """
    path = Path(path)
    if path.suffix == ".zip" and path.is_file():
        return _find_in_zip(path)
    if not path.exists():
        raise ModelError(
            f"Expected a model folder or zip of SLEAP; received {str(path)!r}, which does not "
            "exist. Check the path."
        )
    folder = path if path.is_dir() else path.parent
    weights = path if path.suffix == ".h5" else folder / WEIGHTS
    for file in (folder / CONFIG, weights):
        if not file.is_file():
            raise _explain_missing(folder, file)
    return [ModelFiles(folder, folder / CONFIG, weights)]


def _explain_missing(folder: Path, file: Path) -> ModelError:
    others = sorted(other.name for other in folder.glob("*.h5"))
    hint = f" To use {others[0]}, name that file." if file.name == WEIGHTS and others else ""
    return ModelError(
        f"Expected {file.name} in the model folder {str(folder)!r}; received a folder without "
        f"it.{hint or ' Copy the whole folder that SLEAP made.'}"
    )


def _find_in_zip(path: Path) -> list[ModelFiles]:
    try:
        with ZipFile(path) as archive:
            members = archive.infolist()
    except (BadZipFile, OSError, NotImplementedError) as error:
        raise ModelError(
            f"Expected a zip of a model folder; received {str(path)!r}, which is damaged "
            f"({error}). Copy it again."
        ) from None
    if len(members) > MOST_MEMBERS:
        raise ModelError(
            f"Expected a zip of a model folder with at most {MOST_MEMBERS} files; received "
            f"{len(members)} in {str(path)!r}."
        )
    for member in members:
        _check_member(path, member)
    names = {member.filename for member in members}
    configs = sorted(name for name in names if PurePosixPath(name).name == CONFIG)
    pairs = [(name, str(PurePosixPath(name).with_name(WEIGHTS))) for name in configs]
    found = [ModelFiles(path, config, weights) for config, weights in pairs if weights in names]
    if not found and any(name.endswith(".pkg.slp") for name in names):
        raise ModelError(
            f"Expected trained networks in {str(path)!r}; received a training package. Train on "
            f"it first: animalpose train {path.name} -o RUN"
        )
    if not found:
        raise ModelError(
            f"Expected {CONFIG} and {WEIGHTS} side by side in {str(path)!r}; received a zip "
            "without them. Zip the whole folder that SLEAP made."
        )
    return found


def _check_member(path: Path, member: ZipInfo) -> None:
    """Refuse links, and names that would lead out of the folder of a zip."""
    danger = why_unsafe(member)
    if danger is not None:
        raise ModelError(
            f"Expected a zip of plain files; received {str(path)!r}, in which "
            f"{member.orig_filename[:80]!r} {danger}. Do not use this file."
        )


@contextmanager
def _open(path: Path, name: Path | str, limit: int) -> Iterator[BinaryIO]:
    """Open a file or a member of the zip `path`, which is read into memory."""
    try:
        if isinstance(name, Path):
            _check_size(name, name.stat().st_size, limit)
            with name.open("rb") as file:
                yield file
        else:
            with ZipFile(path) as archive:
                _check_size(path, archive.getinfo(name).file_size, limit)
                with archive.open(name) as member:
                    data = member.read(limit + 1)
            _check_size(path, len(data), limit)
            yield BytesIO(data)
    except (BadZipFile, EOFError, NotImplementedError, OSError, RuntimeError) as error:
        raise ModelError(
            f"Expected a readable {PurePosixPath(str(name)).name} in {str(path)!r}; received a "
            f"damaged file ({error}). Copy the model again."
        ) from None


def _check_size(path: Path, size: int, limit: int) -> None:
    if size > limit:
        raise ModelError(
            f"Expected a model file of at most {limit >> 20} MB; received one of "
            f"{size >> 20} MB in {str(path)!r}."
        )
