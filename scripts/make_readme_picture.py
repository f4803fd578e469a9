"""Put a frame of demo/labelled.mp4 and demo/error_circles.png side by side for the README.

Run after `make demo`: ``.venv/bin/python scripts/make_readme_picture.py``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from napari_animalpose.io.video import open_video

HEIGHT_PX = 560


def crop_to_content(frame: np.ndarray, margin: int = 60) -> np.ndarray:
    """Return the square around the coloured (drawn) pixels of a gray video frame."""
    spread = frame.max(axis=2).astype(int) - frame.min(axis=2)
    rows, columns = np.nonzero(spread > 60)
    middle = (rows.min() + rows.max()) // 2, (columns.min() + columns.max()) // 2
    half = max(np.ptp(rows), np.ptp(columns)) // 2 + margin
    top, left = (int(np.clip(m - half, 0, s)) for m, s in zip(middle, frame.shape, strict=False))
    return frame[top : top + 2 * half, left : left + 2 * half]


def main() -> None:
    """Write docs/images/demo.png."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", type=Path, default=Path("demo"))
    parser.add_argument("--frame", type=int, default=120)
    parser.add_argument("--out", type=Path, default=Path("docs/images/demo.png"))
    options = parser.parse_args()
    video = open_video(options.demo / "labelled.mp4", grayscale=False)
    frame = crop_to_content(video[options.frame])
    parts = [Image.fromarray(frame), Image.open(options.demo / "error_circles.png").convert("RGB")]
    scaled = [
        part.resize((round(part.width * HEIGHT_PX / part.height), HEIGHT_PX), Image.LANCZOS)
        for part in parts
    ]
    page = Image.new("RGB", (sum(part.width for part in scaled) + 20, HEIGHT_PX), "white")
    page.paste(scaled[0], (0, 0))
    page.paste(scaled[1], (scaled[0].width + 20, 0))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    page.save(options.out, optimize=True)


if __name__ == "__main__":
    main()
