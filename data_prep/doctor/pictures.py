"""What is wrong with an image, and the repair where there is one.

    findings, size = picture_findings(content)
    better = repaired(content)                 # bytes of an RGB image, None when there is nothing to repair

verl's rollout opens images with Pillow and converts them to RGB: 16 bits per channel become white, EXIF orientation is
ignored (the model sees the picture lying on its side), transparency is put on white.
"""

from __future__ import annotations

import io
import warnings

from PIL import Image, ImageOps, UnidentifiedImageError

from data_prep.doctor.findings import Finding, note
from data_prep.reading.headers import Size, size_of
from data_prep.reading.pictures import MOST_PIXELS
from data_prep.tokens.resize import MOST_ASPECT

SHORTEST = 28
"""Pixels; shorter sides crash some processors, and Qwen's enlarge them."""

SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
ORIENTATION = 0x0112


DEEP, CMYK, TURNED = (
    "16 bits per channel",
    "CMYK image: colours shift when converted to RGB",
    "EXIF orientation: the model sees the image turned",
)
REPAIRED = (DEEP, CMYK, TURNED)
"""Kinds of findings that `repaired` mends."""


def picture_findings(content: bytes, decode: bool = True) -> tuple[list[Finding], Size | None]:
    """Findings and size of an image file.

    Args:
        decode: also read all pixels: the only way to see that a file is cut off or damaged.
    """
    size = size_of(content)
    if size is None:
        return [Finding("no image", f"{len(content)} bytes that are no image Pillow knows")], None
    width, height = size
    if width * height > MOST_PIXELS:
        return [Finding("too many pixels", f"{width}x{height} is more than {MOST_PIXELS} pixels")], size
    found = []
    if max(size) > MOST_ASPECT * min(size):
        found.append(Finding("aspect ratio", f"{width}x{height} is more than {MOST_ASPECT} times as long as wide"))
    elif min(size) < SHORTEST:
        found.append(note(f"image shorter than {SHORTEST} pixels (some processors refuse it)", f"{width}x{height}"))
    return found + (_decoded(content) if decode else []), size


def _decoded(content: bytes) -> list[Finding]:
    try:
        image = _opened(content)
        image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return [Finding("cannot be decoded", f"the image cannot be decoded: {error}")]
    found = []
    if image.mode in SIXTEEN_BITS:
        found.append(Finding(DEEP, f"mode {image.mode}: becomes white when converted to RGB"))
    elif image.mode == "CMYK":
        found.append(note(CMYK))
    elif image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        found.append(note("transparent image: is put on white"))
    if image.getexif().get(ORIENTATION, 1) not in (0, 1):
        found.append(note(TURNED))
    if getattr(image, "n_frames", 1) > 1:
        found.append(note("animation: the model sees the first frame"))
    return found


def repaired(content: bytes) -> bytes | None:
    """An RGB file with the same picture where `_decoded` had something to say about its mode or orientation."""
    image = _opened(content)
    turned = image.getexif().get(ORIENTATION, 1) not in (0, 1)
    if not turned and image.mode not in (*SIXTEEN_BITS, "CMYK"):
        return None
    image = ImageOps.exif_transpose(image)
    if image.mode in SIXTEEN_BITS:
        image = _eight_bits(image)
    better = io.BytesIO()
    # PNG for drawings; a photograph stays a JPEG, or it would grow tenfold.
    if Image.open(io.BytesIO(content)).format == "JPEG":
        image.convert("RGB").save(better, "JPEG", quality=95)
    else:
        image.convert("RGB").save(better, "PNG")
    return better.getvalue()


def _eight_bits(image: Image.Image) -> Image.Image:
    """The upper eight of sixteen bits; what lies outside 0 to 65,535 is scaled from darkest to brightest."""
    low, high = (float(value) for value in image.convert("F").getextrema())  # type: ignore[arg-type]
    if low >= 0 and high <= 65_535 and image.mode != "F":
        low, high = 0.0, 65_535.0
    scale = 255.0 / (high - low) if high > low else 0.0
    return image.convert("F").point(lambda value: (value - low) * scale).convert("L")


def _opened(content: bytes) -> Image.Image:
    with warnings.catch_warnings():
        # Pillow only warns up to twice its limit of pixels; the header was checked before.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(content))
