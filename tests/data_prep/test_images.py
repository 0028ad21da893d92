"""Images from bytes or paths, and what is wrong with those that cannot be had."""

import io

import pytest
from PIL import Image

from data_prep.images import ImageError, decode_image


def png(size=(30, 20), mode="RGB"):
    content = io.BytesIO()
    Image.new(mode, size).save(content, "PNG")
    return content.getvalue()


def test_images_come_from_bytes_or_from_a_path_beside_the_data(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(png())
    data = tmp_path / "train.parquet"
    assert decode_image({"bytes": png((7, 9)), "path": "gone.png"}, data).size == (7, 9)
    assert decode_image({"bytes": None, "path": "pictures/a.png"}, data).size == (30, 20)
    assert decode_image({"bytes": None, "path": f"file://{tmp_path}/pictures/a.png"}, data).size == (30, 20)


@pytest.mark.parametrize(
    ("reference", "kind"),
    [
        ({"bytes": b"no image", "path": None}, "corrupt_image"),
        ({"bytes": png((400, 400))[:80], "path": None}, "corrupt_image"),
        ({"bytes": None, "path": "gone.png"}, "missing_image"),
        ({"bytes": None, "path": None}, "missing_image"),
        ({"bytes": None, "path": "http://example.org/a.png"}, "missing_image"),
        (12, "missing_image"),
    ],
)
def test_unusable_images_have_a_kind(tmp_path, reference, kind):
    with pytest.raises(ImageError) as caught:
        decode_image(reference, tmp_path / "train.parquet")
    assert caught.value.kind == kind
