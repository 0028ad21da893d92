"""Images of a row as Pillow images: from bytes, or from a path relative to the working directory or to the data file.

image = decode_image(row["images"][0], data_file)      # ImageError with a `kind` when it cannot be had
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from data_prep.reading.pictures import contained


class ImageError(ValueError):
    """An image that cannot be used; `kind` is `missing_image` or `corrupt_image`, for counting."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def decode_image(reference: object, data_file: Path) -> Image.Image:
    """The decoded image that a row refers to, as {bytes, path} or as a path alone."""
    content = image_bytes(reference, data_file)
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


def image_bytes(reference: object, data_file: Path) -> bytes:
    """The image file that a row refers to, read only inside the data file's folder or the working directory."""
    if isinstance(reference, str):
        reference = {"bytes": None, "path": reference}
    if not isinstance(reference, dict):
        raise ImageError("missing_image", f"an image must have bytes or a path, got {type(reference).__name__}")
    content = reference.get("bytes")
    if content is not None and not isinstance(content, bytes):
        raise ImageError("missing_image", f"the bytes of an image are {type(content).__name__}")
    return content or _read(reference.get("path"), data_file)


def _read(path: object, data_file: Path) -> bytes:
    if not path or not isinstance(path, str):
        raise ImageError("missing_image", "an image has neither bytes nor a path")
    if "://" in path and not path.startswith("file://"):
        raise ImageError("missing_image", f"{path[:120]}: remote images are not fetched; store them with the data")
    name = path.removeprefix("file://")
    inside = [found for found in (contained(Path(), name), contained(data_file.parent, name)) if found]
    for candidate in inside:
        try:
            if candidate.is_file():
                return candidate.read_bytes()
        except (OSError, ValueError) as error:
            raise ImageError("missing_image", f"{path[:120]}: cannot be read ({error})") from error
    where = "no such image file" if inside else "leads out of the data's folder and of the working directory"
    raise ImageError("missing_image", f"{path[:120]}: {where}")
