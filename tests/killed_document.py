"""Edits a document until it is killed, and says after each edit what the document holds."""

from __future__ import annotations

import sys
import zlib
from itertools import count
from pathlib import Path

import numpy as np

from napari_animalpose.data.edits import move_points
from napari_animalpose.data.instance_edits import add_shape
from napari_animalpose.data.schema_edits import add_node
from napari_animalpose.pipeline.document import Document


def summarize(document: Document) -> str:
    """Return one word that two documents share if they hold the same."""
    arrays = [*document.poses.columns.values(), document.suggestions, document.negative_frames]
    names = (document.skeleton.nodes, document.track_names, [v.source for v in document.videos])
    checksum = zlib.crc32(repr(names).encode())
    for array in arrays:
        checksum = zlib.crc32(np.ascontiguousarray(array).tobytes(), checksum)
    return f"{checksum:08x}"


def edit_once(document: Document, number: int) -> None:
    """Do one of several things."""
    empty = (0, 23)
    if number == 3:
        document.do(add_node(document.poses, "new"))
    elif number in (4, 9):
        document.do(document.mark_empty([empty]))
    elif number in (5, 10):
        document.undo()
    elif number == 6:
        document.redo()
    elif number == 7:
        document.do(add_shape(document.poses, *empty, np.full((document.poses.n_nodes, 2), 7.0)))
    elif number == 8:
        document.do(document.replace_suggestions([(0, 3), (0, 1)], ["dark", "blurred"]))
        document.undo()
        document.redo()
        document.undo()
        document.undo()
    else:
        video, frame = document.poses.frame_keys()[0].tolist()
        point = (video, frame, 0, number % document.poses.n_nodes)
        document.do(move_points(document.poses, [point], [(number, number / 3)]))


def begin(source: str, folder: Path) -> Document:
    """Open a project, or a video, of which some labels are made."""
    document = Document.open(source, journal_folder=folder)
    if not len(document.poses):
        for name in ("head", "tail"):
            document.do(add_node(document.poses, name))
        document.do(add_shape(document.poses, 0, 2, [(1, 2), (3, 4)]))
    return document


def main() -> None:
    """Take what to open and the folder of journals from the command line."""
    document = begin(sys.argv[1], Path(sys.argv[2]))
    for number in count():
        edit_once(document, number)
        print(number, summarize(document), flush=True)


if __name__ == "__main__":
    main()
