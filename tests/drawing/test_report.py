import base64
import re

import numpy as np
import pytest

from napari_animalpose.drawing.canvas import save_figure
from napari_animalpose.drawing.curves import draw_oks_distribution
from napari_animalpose.drawing.report import Picture, Section, write_summary
from napari_animalpose.errors import DataError


@pytest.fixture
def picture(tmp_path):
    return save_figure(draw_oks_distribution([0.5, 0.9]), tmp_path / "a figure.png")


def test_both_pages_hold_text_table_and_pictures(tmp_path, picture):
    video = tmp_path / "clip.mp4"
    video.write_bytes(b"0000")
    section = Section(
        "Accuracy",
        "On held-out frames.\n\nMeasured < twice & once.",
        header=("figure", "value"),
        rows=[("median | error px", np.float32(1.23456)), ("frames", 12345), ("mAP", np.nan)],
        pictures=[Picture(picture, "OKS"), Picture(video, "labelled video")],
    )
    markdown, html = write_summary(tmp_path / "summary.md", "Run 1", [section])
    assert (markdown.name, html.name) == ("summary.md", "summary.html")

    text = markdown.read_text(encoding="utf-8")
    assert text.startswith("# Run 1\n\n## Accuracy\n\nOn held-out frames.\n\nMeasured")
    assert "| median \\| error px | 1.23 |\n| frames | 12345 |\n| mAP | – |\n" in text
    assert "![OKS](a%20figure.png)" in text
    assert "\n[labelled video](clip.mp4)" in text

    page = html.read_text(encoding="utf-8")
    assert "Measured &lt; twice &amp; once." in page
    assert "<td>1.23</td>" in page
    (embedded,) = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    assert base64.b64decode(embedded) == picture.read_bytes()
    assert '<a href="clip.mp4">labelled video</a>' in page


def test_the_name_may_hold_dots(tmp_path):
    markdown, html = write_summary(tmp_path / "run.v2", "x", [])
    assert (markdown.name, html.name) == ("run.v2.md", "run.v2.html")


def test_pictures_in_other_folders_are_linked_relatively(tmp_path, picture):
    (tmp_path / "page").mkdir()
    markdown, _ = write_summary(
        tmp_path / "page" / "summary", "x", [Section("y", pictures=[Picture(picture)])]
    )
    assert "![a figure.png](../a%20figure.png)" in markdown.read_text(encoding="utf-8")


def test_a_missing_picture_is_named_and_nothing_is_written(tmp_path):
    section = Section("x", pictures=[Picture(tmp_path / "gone.png")])
    with pytest.raises(DataError, match=r"gone\.png"):
        write_summary(tmp_path / "summary", "x", [section])
    assert not list(tmp_path.iterdir())


def test_rows_must_fit_the_header():
    with pytest.raises(DataError, match="Expected 2 cells"):
        Section("x", header=("a", "b"), rows=[("only one",)])
