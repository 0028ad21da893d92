"""Images that look alike, by perceptual hashes of 64 bits.

    print_ = picture_print(content)             # PicturePrint(digest, hash), hash None for images without structure
    pairs = near_pairs(hashes, other_hashes, most=4)

`imagehash.phash` keeps the low frequencies of a 32 x 32 grey copy. Measured on 40 photograph-like images and 48
drawings: a copy saved as JPEG of quality 30 or made half as large is 0 to 4 bits away (median 0), one cropped by 5 %
already 12 to 20. Different images are 18 or more bits apart for photographs, 10 or more for drawings of one kind. An
image without structure (blank, one colour) has no hash: only the same file is alike.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import pairwise

import imagehash
import numpy as np
from PIL import Image, UnidentifiedImageError

from data_prep.reading.headers import size_of
from data_prep.reading.pictures import MOST_PIXELS

BITS = 64
FLAT = 6.0
"""Standard deviation of the grey values, of 255, below which an image has no structure to compare."""


@dataclass(frozen=True)
class PicturePrint:
    """What is kept of an image."""

    digest: bytes
    """Of the file."""

    hash: int | None
    """Perceptual hash; None for images without structure and for what cannot be decoded."""


_known: dict[bytes, PicturePrint] = {}
MOST_KNOWN = 100_000
"""Prints that are kept: one image often carries many questions."""


def picture_print(content: bytes) -> PicturePrint:
    """The fingerprint of an image file."""
    digest = blake2b(content, digest_size=16).digest()
    found = _known.get(digest)
    if found is None:
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        found = _known[digest] = _new_print(content, digest)
    return found


def _new_print(content: bytes, digest: bytes) -> PicturePrint:
    size = size_of(content)
    if size is None or size[0] * size[1] > MOST_PIXELS:
        return PicturePrint(digest, None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content)) as image:
                image.draft("L", (128, 128))  # JPEG decodes a small copy
                grey = _on_white(image).convert("L")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return PicturePrint(digest, None)
    if np.asarray(grey.resize((32, 32)), np.float32).std() < FLAT:
        return PicturePrint(digest, None)
    bits = imagehash.phash(grey).hash.ravel()
    return PicturePrint(digest, int.from_bytes(np.packbits(bits).tobytes(), "big"))


def _on_white(image: Image.Image) -> Image.Image:
    """Transparent drawings are black on nothing: as the model sees them."""
    if image.mode not in ("RGBA", "LA", "PA") and "transparency" not in image.info:
        return image
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)


def distance(one: int, two: int) -> int:
    """Bits that differ."""
    return (one ^ two).bit_count()


def near_pairs(ours: np.ndarray, theirs: np.ndarray, most: int) -> Iterator[tuple[int, int]]:
    """Index pairs (i, j) with `ours[i]` and `theirs[j]` at most `most` bits apart.

    Two hashes that differ in d bits agree in at least one of d + 1 bands: only those are compared.

    Args:
        ours, theirs: distinct hashes, uint64.
    """
    seen: set[tuple[int, int]] = set()
    edges = np.linspace(0, BITS, most + 2).astype(int)
    for low, high in pairwise(edges.tolist()):
        mask = np.uint64(((1 << high - low) - 1) << low)
        order = np.argsort(theirs & mask, kind="stable")
        bands = (theirs & mask)[order]
        starts, ends = np.searchsorted(bands, ours & mask, "left"), np.searchsorted(bands, ours & mask, "right")
        for index in np.flatnonzero(ends > starts).tolist():
            found = order[starts[index] : ends[index]]
            apart = np.bitwise_count(theirs[found] ^ ours[index])
            for other in found[apart <= most].tolist():
                if (index, other) not in seen:
                    seen.add((index, other))
                    yield index, other
