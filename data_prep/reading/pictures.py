"""Images of a row as the bytes of an image file: from bytes, from a path inside the user's folder, from a data URI.

content = load(row["images"][0], Path("ViRL39K"))       # bytes; Unfit when they cannot be had
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path

from data_prep.reading.cells import Unfit
from data_prep.reading.headers import size_of

MOST_BYTES = 32 << 20
MOST_PIXELS = 89_478_485
"""Pillow's own limit: a small file can unpack to gigabytes."""


def load(cell: object, folder: Path) -> bytes:
    """The bytes of an image that has a size one may decode.

    Args:
        cell: bytes, {bytes, path}, a path relative to `folder`, or a `data:image/...;base64,` URI.
        folder: what paths are relative to and must not lead out of.
    """
    content = _content(cell, folder)
    if len(content) > MOST_BYTES:
        raise Unfit("image file too large", f"an image of {len(content) >> 20} MiB, {MOST_BYTES >> 20} are allowed")
    size = size_of(content)
    if size is None:
        raise Unfit("no image", f"{len(content)} bytes that are no image Pillow knows")
    if size[0] * size[1] > MOST_PIXELS:
        raise Unfit("image too large", f"an image of {size[0]} x {size[1]} pixels, {MOST_PIXELS} are allowed")
    return content


def _content(cell: object, folder: Path) -> bytes:
    if isinstance(cell, Mapping):
        found = cell.get("bytes")
        cell = found if found else cell.get("path")
    if isinstance(cell, bytes) and cell:
        return cell
    if not isinstance(cell, str) or not cell:
        raise Unfit("no image", f"an image must have bytes or a path, got {type(cell).__name__}")
    if cell.startswith("data:image/"):
        return _from_uri(cell)
    return _from_path(cell, folder)


def _from_uri(uri: str) -> bytes:
    head, comma, body = uri.partition(",")
    if not comma or not head.endswith(";base64"):
        raise Unfit("no image", "a data URI that is not base64")
    if len(body) > MOST_BYTES * 4 // 3 + 4:
        raise Unfit("image file too large", f"a data URI of {len(body) >> 20} MiB")
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unfit("no image", f"a data URI that cannot be decoded ({error})") from error


def _from_path(name: str, folder: Path) -> bytes:
    if "://" in name and not name.startswith("file://"):
        raise Unfit("remote image", f"{name[:120]}: remote images are not fetched; store them beside the data")
    if "\0" in name or len(name) > 1024:
        raise Unfit("no image", f"{name[:80]!r} is no path of a file")
    path = contained(folder, name.removeprefix("file://"))
    if path is None:
        raise Unfit("image path leads out", f"{name[:120]}: leads out of {folder}; pass its folder with --images")
    try:
        if path.is_file() and path.stat().st_size > MOST_BYTES:
            raise Unfit("image file too large", f"{name[:120]}: more than {MOST_BYTES >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise Unfit("image file missing", f"{name[:120]}: cannot be read ({error.strerror})") from error


def contained(folder: Path, name: str) -> Path | None:
    """`name` under `folder`, with links followed; None when it leads out of the folder."""
    root = folder.resolve()
    try:
        path = (root / name).resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links, no Unicode
        return None
    return path if path.is_relative_to(root) else None
