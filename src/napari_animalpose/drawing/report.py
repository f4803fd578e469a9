"""One page of figures and pictures, as Markdown and as HTML that stands alone."""

from __future__ import annotations

import os.path
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from mimetypes import guess_type
from os import PathLike
from pathlib import Path

from napari_animalpose.errors import DataError
from napari_animalpose.io.atomic import atomic_path

__all__ = ["Picture", "Section", "write_summary"]


@dataclass(frozen=True)
class Picture:
    """A picture or video file with a caption.

    Parameters
    ----------
    path : str or PathLike
        An image (png, svg, jpg, gif, webp) is shown; another file, such as a video, is
        linked.
    caption : str
    """

    path: str | PathLike[str]
    caption: str = ""

    @property
    def is_image(self) -> bool:
        """Whether the file can be shown on the page."""
        return _media_type(self.path).startswith("image/")


@dataclass(frozen=True)
class Section:
    """A heading with text, a table and pictures, each optional.

    Parameters
    ----------
    title : str
    text : str
        Paragraphs separated by blank lines.
    header : sequence of str
        Names of the columns of the table.
    rows : sequence of sequences
        Cells: text, or numbers, which are written with three significant digits.
    pictures : sequence of Picture

    Raises
    ------
    DataError
        If a row has more or fewer cells than the header.
    """

    title: str
    text: str = ""
    header: Sequence[str] = ()
    rows: Sequence[Sequence[object]] = ()
    pictures: Sequence[Picture] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise DataError(
                    f"Expected {len(self.header)} cells in every row of {self.title!r}; "
                    f"received {len(row)}."
                )

    @property
    def cells(self) -> list[list[str]]:
        """The rows as text."""
        return [[_format_cell(value) for value in row] for row in self.rows]

    @property
    def paragraphs(self) -> list[str]:
        """The text, cut at blank lines."""
        return [part.strip() for part in self.text.split("\n\n") if part.strip()]


def _format_cell(value: object) -> str:
    """Three significant digits for a fraction, all digits for a count, – for NaN."""
    if isinstance(value, bool | str | int):
        return str(value)
    try:
        number = float(value)  # type: ignore[arg-type]  # numpy scalars are numbers too
    except (TypeError, ValueError):
        return str(value)
    if number != number:
        return "–"
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def write_summary(
    path: str | PathLike[str], title: str, sections: Sequence[Section]
) -> tuple[Path, Path]:
    """Write a one-page summary twice: as Markdown and as standalone HTML.

    Parameters
    ----------
    path : str or PathLike
        With or without the suffix ``.md`` or ``.html``; both files are written.
    title : str
    sections : sequence of Section

    Returns
    -------
    tuple of pathlib.Path
        The Markdown file, which links pictures by relative paths, and the HTML file,
        in which they are embedded; videos are linked in both.

    Raises
    ------
    DataError
        If a picture is missing.
    OutputError
        If a file cannot be written.
    """
    stem = Path(path)
    if stem.suffix.lower() in (".md", ".html"):
        stem = stem.with_suffix("")
    for picture in (picture for section in sections for picture in section.pictures):
        if not Path(picture.path).is_file():
            raise DataError(
                f"Expected a picture at {os.path.abspath(picture.path)}; received no such file. "
                "Draw it before the summary."
            )
    targets = (stem.with_name(f"{stem.name}.md"), stem.with_name(f"{stem.name}.html"))
    pages = (_to_markdown(title, sections, stem.parent), _to_html(title, sections, stem.parent))
    for target, page in zip(targets, pages, strict=True):
        with atomic_path(target) as temporary:
            temporary.write_text(page, encoding="utf-8")
    return targets


def _relative(path: str | PathLike[str], folder: Path) -> str:
    """Return a path as a link from a page in `folder`, with spaces and the like quoted."""
    from urllib.parse import quote

    return quote(Path(os.path.relpath(path, folder)).as_posix())


def _media_type(path: str | PathLike[str]) -> str:
    return guess_type(os.path.basename(path))[0] or "application/octet-stream"


def _to_markdown(title: str, sections: Sequence[Section], folder: Path) -> str:
    lines = [f"# {title}", ""]
    for section in sections:
        lines += [f"## {section.title}", ""]
        for paragraph in section.paragraphs:
            lines += [paragraph, ""]
        if section.header:
            lines += [_markdown_row(section.header), _markdown_row(["---"] * len(section.header))]
            lines += [_markdown_row(row) for row in section.cells] + [""]
        for picture in section.pictures:
            bang = "!" if picture.is_image else ""
            name = picture.caption or Path(picture.path).name
            lines += [f"{bang}[{name}]({_relative(picture.path, folder)})", ""]
            if picture.is_image and picture.caption:
                lines += [f"*{picture.caption}*", ""]
    return "\n".join(lines).rstrip() + "\n"


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem;
       margin: 2.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .9rem .3rem 0; border-bottom: 1px solid #ddd; text-align: left; }
th { color: #777; font-weight: 500; }
td:not(:first-child), th:not(:first-child) { text-align: right; padding-left: .9rem; }
figure { margin: 1.4rem 0; } img { max-width: 100%; height: auto; }
figcaption { color: #777; font-size: .9rem; }
"""


def _to_html(title: str, sections: Sequence[Section], folder: Path) -> str:
    body = [f"<h1>{escape(title)}</h1>"]
    for section in sections:
        body.append(f"<h2>{escape(section.title)}</h2>")
        body += [f"<p>{escape(paragraph)}</p>" for paragraph in section.paragraphs]
        if section.header:
            body.append(_html_table(section))
        body += [_html_picture(picture, folder) for picture in section.pictures]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _html_table(section: Section) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in section.header)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n"
        for row in section.cells
    )
    return f"<table>\n<tr>{head}</tr>\n{rows}</table>"


def _html_picture(picture: Picture, folder: Path) -> str:
    """An image as a data URI, another file as a link."""
    caption = escape(picture.caption)
    if not picture.is_image:
        link = escape(_relative(picture.path, folder))
        return f'<p><a href="{link}">{caption or escape(Path(picture.path).name)}</a></p>'
    content = b64encode(Path(picture.path).read_bytes()).decode("ascii")
    source = f"data:{_media_type(picture.path)};base64,{content}"
    return (
        f'<figure><img src="{source}" alt="{caption}"><figcaption>{caption}</figcaption></figure>'
    )
