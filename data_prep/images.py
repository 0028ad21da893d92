"""Images of a row as Pillow images: from bytes, or from a path relative to the working directory or to the data file.

image = decode_image(row["images"][0], data_file)      # ImageError with a `kind` when it cannot be had
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError


class ImageError(ValueError):
    """An image that cannot be used; `kind` is `missing_image` or `corrupt_image`, for counting."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def decode_image(reference: object, data_file: Path) -> Image.Image:
    """The decoded image that a row refers to, as {bytes, path} or as a path alone."""
    if isinstance(reference, str):
        reference = {"bytes": None, "path": reference}
    if not isinstance(reference, dict):
        raise ImageError("missing_image", f"an image must have bytes or a path, got {type(reference).__name__}")
    content = reference.get("bytes") or _read(reference.get("path"), data_file)
    try:
        with warnings.catch_warnings():
            # Pillow only warns up to twice its limit of pixels; such an image is resized anyway.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content))
            image.load()
    except UnidentifiedImageError as error:
        raise ImageError("corrupt_image", f"{len(content)} bytes that are no image Pillow knows") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError("corrupt_image", f"the image cannot be decoded: {error}") from error
    return image


def _read(path: object, data_file: Path) -> bytes:
    if not path or not isinstance(path, str):
        raise ImageError("missing_image", "an image has neither bytes nor a path")
    if path.startswith(("http://", "https://")):
        raise ImageError("missing_image", f"{path}: remote images are not fetched; store them with the data")
    path = path.removeprefix("file://")
    for candidate in (Path(path), data_file.parent / path):
        if candidate.is_file():
            return candidate.read_bytes()
    raise ImageError("missing_image", f"{path}: no such image file")
