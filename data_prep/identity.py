"""Are two rows the same question? Digests of prompt and images, byte by byte.

    prompt_identity(row)     # prompt text and images
    image_identity(row)      # images only; None for a row without images

Not here: images that merely look alike.
"""

from __future__ import annotations

import hashlib


def image_identity(row: dict[str, object]) -> bytes | None:
    """Digest of the row's images in their order."""
    images = row.get("images")
    if not isinstance(images, list) or not images:
        return None
    digest = hashlib.blake2b(digest_size=16)
    for image in images:
        content = image if isinstance(image, str) else image.get("bytes") or str(image.get("path"))
        # Each image is hashed on its own, so that two images never equal one with the bytes of both.
        digest.update(hashlib.blake2b(content if isinstance(content, bytes) else content.encode()).digest())
    return digest.digest()


def prompt_identity(row: dict[str, object]) -> bytes:
    """Digest of the row's messages and images."""
    digest = hashlib.blake2b(image_identity(row) or b"", digest_size=16)
    messages = row["prompt"]
    assert isinstance(messages, list)  # a sound row
    for message in messages:
        digest.update(f"{message['role']}\0{message['content']}\0".encode())
    return digest.digest()
