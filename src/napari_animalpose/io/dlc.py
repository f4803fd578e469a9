"""DeepLabCut files: label tables and analysed videos (.csv, .h5), and project folders.

A table has columns by scorer, individual (in multi-animal projects), body part and
coordinate. Rows are images, named relative to the project folder, or frame numbers of an
analysed video. Layout: DeepLabCut 2.x and 3.x, ``CollectedData_SCORER.csv`` and
``VIDEODLC_....csv``.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from napari_animalpose.data.poses import Origin, Poses
from napari_animalpose.data.project import Project, merge_projects
from napari_animalpose.data.skeleton import Skeleton
from napari_animalpose.errors import FileFormatError
from napari_animalpose.io.numbers import parse_numbers
from napari_animalpose.io.slp_videos import find_file, find_images
from napari_animalpose.io.video import LazyVideo

__all__ = ["is_dlc_config", "is_dlc_table", "read_dlc"]

_HEADERS = ("scorer", "individuals", "bodyparts", "coords")
_LABELS = "labeled-data"
_VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv")


@dataclass(frozen=True, eq=False)
class _Table:
    """A table in memory: `rows` are image paths or frame numbers, `values` (N, columns)."""

    path: Path
    rows: tuple[str | int, ...]
    columns: tuple[dict[str, str], ...]
    values: NDArray[np.float64]


def is_dlc_table(path: Path) -> bool:
    """Say whether a `.csv` file starts with the header of DeepLabCut."""
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        first = next(csv.reader(file), [])
    return bool(first) and first[0].strip() == "scorer"


def is_dlc_config(path: Path) -> bool:
    """Say whether a file is the `config.yaml` of a DeepLabCut project."""
    return path.is_file() and {"bodyparts", "scorer"} <= _load_config(path).keys()


def read_dlc(path: Path, video_dirs: Sequence[str | PathLike[str]] = ()) -> Project:
    """Read DeepLabCut labels or predictions.

    Parameters
    ----------
    path : Path
        A table (.csv, .h5), a project folder, its `config.yaml`, or the folder of one
        video inside `labeled-data`.
    video_dirs : sequence of paths
        Folders in which to look for images and videos.

    Returns
    -------
    Project
        With one video for each folder of images, in the order of the rows: frame i is
        row i. Edges come from `skeleton` in `config.yaml`; pairs of body parts that the
        tables do not have, such as those of the template, are left out. Individuals are
        tracks. Rows with a likelihood count as predicted.

    Raises
    ------
    FileFormatError
        If there are no labels, labels of several scorers, or a damaged table.
    """
    if path.is_dir() or path.suffix in (".yaml", ".yml"):
        tables, config = _find_tables(path)
    else:
        tables, config = [path], _find_config(path)
    settings = _load_config(config) if config is not None else {}
    projects = [_read_table(table, settings, video_dirs) for table in tables]
    merged = merge_projects(projects, nodes="union")
    return merged.replace(path=str(path), poses=_order_nodes(merged.poses, settings))


# ------------------------------------------------------------------------- finding the tables
def _find_tables(path: Path) -> tuple[list[Path], Path | None]:
    """Return the label tables of a project or of one of its folders, and the config."""
    if path.is_dir() and not (path / "config.yaml").is_file():
        config = _find_config(path / "table")
        folders = [path]
    else:
        config = path / "config.yaml" if path.is_dir() else path
        folders = sorted(p for p in (config.parent / _LABELS).glob("*") if p.is_dir())
    scorer = _load_config(config).get("scorer") if config is not None else None
    tables = [table for folder in folders for table in _choose_table(folder, scorer)]
    if not tables:
        raise FileFormatError(
            f"Expected labels in files CollectedData_SCORER.csv or .h5 under {str(path)!r}; "
            "received none. Label some frames first or choose another folder.",
            path,
        )
    return tables, config


def _choose_table(folder: Path, scorer: object) -> list[Path]:
    """Return the one table of a folder in a list, or nothing if there is none."""
    found: dict[str, Path] = {}
    for suffix in (".h5", ".csv"):  # text wins: it opens everywhere and is what people edit
        for table in sorted(folder.glob(f"CollectedData_*{suffix}")):
            found[table.stem.removeprefix("CollectedData_")] = table
    if len(found) <= 1:
        return list(found.values())
    if scorer in found:
        return [found[str(scorer)]]
    raise FileFormatError(
        f"Expected labels of one scorer in {str(folder)!r}; received those of "
        f"{', '.join(found)}. Name one of them as scorer in config.yaml or open its file.",
        folder,
    )


def _find_config(table: Path) -> Path | None:
    """Return the `config.yaml` of the project that a table lies in, if any."""
    for folder in list(table.absolute().parents)[:3]:
        if is_dlc_config(folder / "config.yaml"):
            return folder / "config.yaml"
    return None


def _load_config(path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FileFormatError(
            f"Expected a DeepLabCut config.yaml; received {str(path)!r}, which does not exist. "
            "Check the path.",
            path,
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FileFormatError(
            f"Expected a readable config.yaml; received {str(path)!r} with an error: "
            f"{' '.join(str(error).split())}. Correct it.",
            path,
        ) from error
    return config if isinstance(config, dict) else {}


# --------------------------------------------------------------------------- reading a table
def _load_table(path: Path) -> _Table:
    if not path.is_file():
        raise FileFormatError(
            f"Expected a DeepLabCut table; received {str(path)!r}, which does not exist. "
            "Check the path.",
            path,
        )
    table = _load_hdf5(path) if path.suffix in (".h5", ".hdf5") else _load_csv(path)
    scorers = {column["scorer"] for column in table.columns}
    if len(scorers) > 1:
        raise FileFormatError(
            f"Expected one scorer in {str(path)!r}; received {', '.join(sorted(scorers))}. "
            "Keep the columns of one of them.",
            path,
        )
    return table


def _load_csv(path: Path) -> _Table:
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        header: list[list[str]] = []
        for row in rows:
            header.append([cell.strip() for cell in row])
            if not row or header[-1][0] == "coords":
                break
        names = [row[0] for row in header if row]
        if not {"scorer", "bodyparts", "coords"} <= set(names) <= set(_HEADERS):
            raise _bad_table(path, "rows scorer, bodyparts and coords at the top", names)
        n_index = next((i for i, cell in enumerate(header[0]) if i and cell), 1)
        index, values = parse_numbers(rows, len(header[0]), range(n_index), path)
    cells = zip(*(row[n_index:] for row in header), strict=True)
    columns = tuple(dict(zip(names, column, strict=True)) for column in cells)
    return _Table(path, _read_rows(index, path), columns, values[:, n_index:])


def _load_hdf5(path: Path) -> _Table:
    import pandas as pd

    try:
        frame = pd.read_hdf(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _bad_table(path, "a table that pandas reads", str(error).strip()) from error
    if not isinstance(frame, pd.DataFrame) or "bodyparts" not in frame.columns.names:
        raise _bad_table(path, "columns by scorer, bodyparts and coords", type(frame).__name__)
    names = [str(name) for name in frame.columns.names]
    columns = [
        dict(zip(names, (str(cell) for cell in cells), strict=True)) for cells in frame.columns
    ]
    index = [list(row) if isinstance(row, tuple) else [row] for row in frame.index]
    return _Table(path, _read_rows(index, path), tuple(columns), frame.to_numpy(np.float64))


def _bad_table(path: Path, expected: str, received: object) -> FileFormatError:
    return FileFormatError(
        f"Expected {expected} in the DeepLabCut table {str(path)!r}; received {received}. "
        "Export it from DeepLabCut again.",
        path,
    )


def _read_rows(index: Sequence[Sequence[Any]], path: Path) -> tuple[str | int, ...]:
    """Return image paths, or frame numbers if all rows are numbers."""
    names = ["/".join(str(part) for part in row).replace("\\", "/") for row in index]
    if all(name.isdecimal() for name in names):
        return tuple(int(name) for name in names)
    if any(name.isdecimal() for name in names):
        raise _bad_table(path, "either image paths or frame numbers as rows", "both")
    return tuple(names)


# ----------------------------------------------------------------------------- table to poses
def _read_table(
    path: Path, settings: dict[str, Any], video_dirs: Sequence[str | PathLike[str]]
) -> Project:
    table = _load_table(path)
    nodes = tuple(dict.fromkeys(column["bodyparts"] for column in table.columns))
    animals = tuple(dict.fromkeys(column.get("individuals", "") for column in table.columns))
    values = np.full((len(table.rows), len(animals), len(nodes), 3), np.nan)
    place = {"x": 0, "y": 1, "likelihood": 2}
    for number, column in enumerate(table.columns):
        if column["coords"] not in place:
            raise _bad_table(path, "coordinates x, y and likelihood", column["coords"])
        animal = animals.index(column.get("individuals", ""))
        node = nodes.index(column["bodyparts"])
        values[:, animal, node, place[column["coords"]]] = table.values[:, number]
    xy, likelihood = values[..., :2], values[..., 2]
    xy[~np.isfinite(xy).all(axis=-1)] = np.nan
    rows, slots = np.nonzero(np.isfinite(xy[..., 0]).any(axis=-1))
    predicted = any(column["coords"] == "likelihood" for column in table.columns)
    point_score = likelihood[rows, slots]
    present = np.where(np.isfinite(xy[rows, slots, :, 0]), point_score, np.nan)
    count = np.maximum(np.isfinite(present).sum(axis=1), 1)
    videos, video, frame = _find_videos(table, video_dirs)
    tracked = animals != ("",)
    poses = Poses.from_arrays(
        Skeleton.from_names(nodes, _choose_edges(nodes, settings), name=_name_of(settings)),
        video=video[rows],
        frame=frame[rows],
        xy=xy[rows, slots],
        track=slots if tracked else np.full(len(slots), -1),
        origin=Origin.PREDICTED if predicted else Origin.USER,
        point_score=point_score,
        score=np.nansum(present, axis=1) / count if predicted else np.nan,
        track_names=animals if tracked else (),
    )
    provenance = {"scorer": table.columns[0]["scorer"]} if table.columns else {}
    return Project(videos, poses, provenance=provenance, path=str(path))


def _name_of(settings: dict[str, Any]) -> str:
    return str(settings.get("Task") or "skeleton")


def _choose_edges(nodes: Sequence[str], settings: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the edges of the config between nodes that exist, each once."""
    edges: dict[tuple[str, str], None] = {}
    for pair in settings.get("skeleton") or ():
        if isinstance(pair, list | tuple) and len(pair) == 2:
            a, b = str(pair[0]), str(pair[1])
            if a != b and a in nodes and b in nodes and (b, a) not in edges:
                edges[a, b] = None
    return list(edges)


def _order_nodes(poses: Poses, settings: dict[str, Any]) -> Poses:
    """Return the table with the nodes in the order of the config, if it names them all."""
    listed = settings.get("bodyparts")
    if not isinstance(listed, list):
        listed = [
            *(settings.get("multianimalbodyparts") or ()),
            *(settings.get("uniquebodyparts") or ()),
        ]
    skeleton = poses.skeleton
    wanted = [str(node) for node in listed if str(node) in skeleton.nodes]
    if sorted(wanted) != sorted(skeleton.nodes) or tuple(wanted) == skeleton.nodes:
        return poses
    order = [skeleton.index(node) for node in wanted]
    edges = [(skeleton.nodes[a], skeleton.nodes[b]) for a, b in skeleton.edges]
    return poses.replace(
        skeleton=Skeleton.from_names(wanted, edges, name=skeleton.name),
        xy=poses.xy[:, order],
        visibility=poses.visibility[:, order],
        point_score=poses.point_score[:, order],
    )


def _find_videos(
    table: _Table, video_dirs: Sequence[str | PathLike[str]]
) -> tuple[tuple[LazyVideo, ...], NDArray[np.int64], NDArray[np.int64]]:
    """Return the videos of a table, and the video and frame of each row."""
    folder = table.path.absolute().parent
    if not table.rows or isinstance(table.rows[0], int):
        stem = table.path.stem.split("DLC")[0] or table.path.stem
        names = [f"{stem}{suffix}" for suffix in _VIDEO_SUFFIXES]
        found = (find_file(name, folder, video_dirs) for name in names)
        source = next((name for name in found if Path(name).is_file()), names[0])
        frames = np.array(table.rows, np.int64)
        return (LazyVideo(source),), np.zeros(len(frames), np.int64), frames
    groups: dict[str, list[str]] = {}
    video, frame = [], []
    for row in table.rows:
        group = groups.setdefault(str(row).rpartition("/")[0], [])
        video.append(list(groups).index(str(row).rpartition("/")[0]))
        frame.append(len(group))
        group.append(str(row))
    # Rows are named relative to the project: two folders above the table.
    roots = [folder.parent.parent, folder, *video_dirs]
    videos = tuple(LazyVideo(_find_images(names, folder, roots)) for names in groups.values())
    return videos, np.array(video, np.int64), np.array(frame, np.int64)


def _find_images(
    names: Sequence[str], folder: Path, roots: Sequence[str | PathLike[str]]
) -> list[str]:
    """Return where the images of a folder are; by their full name, then beside the table."""
    for root in roots:
        paths = [Path(root) / name for name in names]
        if all(path.is_file() for path in paths):
            return [str(path) for path in paths]
    return find_images(names, folder, roots)
