"""Files of weights that an encoder starts from: finding them, downloading them on request."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from napari_animalpose.config import ModelConfig
from napari_animalpose.errors import ConfigError, ModelError
from napari_animalpose.io.atomic import as_output_error, atomic_path
from napari_animalpose.nn.backbones import backbone_options
from napari_animalpose.nn.encoders import EncoderOptions, WeightsFile

__all__ = ["cache_folder", "download_weights", "find_weights"]

SILENCE_S = 20.0  # a server that says nothing for so long is given up
LIMIT_S = 900.0  # for a whole file of at most 100 MB
CHUNK_BYTES = 1 << 18
SUFFIXES = (".h5", ".hdf5")
BytesDone = Callable[[int, int | None], None]


def find_weights(
    config: ModelConfig, on_progress: BytesDone = lambda done, total: None
) -> Path | None:
    """Return the file that the encoder of a new network starts from.

    Parameters
    ----------
    config : ModelConfig
    on_progress : callable
        Receives the bytes done and in total (None where unknown) during a download; what
        it raises ends the download.

    Returns
    -------
    Path or None
        None where all weights start at random. A file is downloaded only if the options
        say ``weights="imagenet"`` and it is not in the cache of Keras yet.

    Raises
    ------
    ConfigError
        If an encoder is neither to learn nor given weights.
    ModelError
        If there is no such file, or it cannot be downloaded.
    """
    options = backbone_options(config)
    if not isinstance(options, EncoderOptions):
        return None
    if not options.weights:
        if options.trainable:
            return None
        raise ConfigError(
            "Expected weights for an encoder that does not learn; received none. Name a file: "
            "--set model.backbone_options.weights=PATH, or let it learn: "
            "--set model.backbone_options.trainable=true"
        )
    if options.weights == "imagenet":
        return download_weights(options.imagenet, cache_folder(), on_progress)
    path = Path(options.weights).expanduser()
    if path.suffix not in SUFFIXES or not path.is_file():
        raise ModelError(
            f"Expected a file of weights (.h5 or .weights.h5) for the {config.backbone}; received "
            f"{options.weights!r}, which is no such file. Correct the path, or write imagenet to "
            "download weights."
        )
    return path


def cache_folder() -> Path:
    """Return where Keras, too, keeps the weights that it has downloaded."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path("~/.keras").expanduser()) / "models"


def download_weights(
    file: WeightsFile, folder: Path, on_progress: BytesDone = lambda done, total: None
) -> Path:
    """Return a published file of weights in a folder, downloading it if it is not there.

    It never waits without end: not for a silent server (`SILENCE_S`), nor for one that
    sends a little at a time (`LIMIT_S`). Only a whole file gets its name.

    Raises
    ------
    ModelError
        If there is no network, the file is not what was published, or it takes too long.
    OutputError
        If the folder cannot be written.
    """
    path = folder / file.name
    if path.is_file() and (not file.md5 or _checksum(path) == file.md5):
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise as_output_error(error, folder) from error
    with atomic_path(path) as temporary:
        with temporary.open("wb") as target:
            for chunk in _receive(file, on_progress):
                target.write(chunk)
        if file.md5 and _checksum(temporary) != file.md5:
            raise _explain(file, "a damaged file")
    return path


def _receive(file: WeightsFile, on_progress: BytesDone) -> Iterator[bytes]:
    """Yield the bytes of a published file in pieces."""
    began, done = time.monotonic(), 0
    try:
        with urlopen(file.url, timeout=SILENCE_S) as source:
            length = source.headers.get("Content-Length")
            total = int(length) if length else None
            while chunk := source.read1(CHUNK_BYTES):
                done += len(chunk)
                yield chunk
                on_progress(done, total)
                if time.monotonic() - began > LIMIT_S:
                    raise _explain(file, f"{done} bytes in {LIMIT_S:.0f} s")
    except (URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise _explain(file, getattr(error, "reason", None) or error) from error
    if total is not None and done != total:
        raise _explain(file, f"{done} bytes instead of {total}")


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _explain(file: WeightsFile, reason: object) -> ModelError:
    received = str(reason) or type(reason).__name__
    return ModelError(
        f"Expected to download the weights {file.url}; received {received}. "
        "Connect to the network; or download the file elsewhere and name it, --set "
        "model.backbone_options.weights=PATH; or start from random weights, "
        '--set model.backbone_options.weights=""'
    )
