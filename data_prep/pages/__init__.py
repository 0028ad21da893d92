"""HTML pages for people: self-contained, texts escaped, no script; `page(template, ...)` fills one of the templates."""

from __future__ import annotations

import base64
import io
import unicodedata
import warnings
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image, UnidentifiedImageError

from data_prep.reading.headers import size_of
from data_prep.reading.pictures import MOST_PIXELS

THUMBNAIL = 220  # pixels of the longer side


def page(template: str, folder: Path | None = None, **values: object) -> str:
    """A page from a template of this folder, or of another one whose templates may extend those of this one."""
    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader([folder or here, here]), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["shown"] = shown
    environment.filters["thumbnail"] = thumbnail
    return environment.get_template(template).render(**values)


def shown(text: object) -> str:
    """Untrusted text without control and direction characters; the template escapes the rest."""
    return "".join(
        character if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs") else "\ufffd"
        for character in str(text)
    )


def thumbnail(content: bytes, side: int = THUMBNAIL) -> str:
    """A small copy as a data URI, its longer side at most `side` pixels; empty for what cannot be opened safely."""
    copy = small_copy(content, side)
    if copy is None:
        return ""
    buffer = io.BytesIO()
    copy.save(buffer, "JPEG", quality=75)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def small_copy(content: bytes, side: int) -> Image.Image | None:
    """An image file as RGB, its longer side at most `side` pixels; None for what cannot be opened safely."""
    size = size_of(content)
    if size is None or size[0] * size[1] > MOST_PIXELS:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as image:
                image.draft("RGB", (side, side))
                copy = image.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
    copy.thumbnail((side, side))
    return copy
