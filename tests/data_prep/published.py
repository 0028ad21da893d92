"""Small files in exactly the layouts that the data sets are published in."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
IMAGES = pa.list_(IMAGE)
TEXT = pa.string()


def picture(seed=0, size=(64, 48)):
    """A smooth picture that no other seed resembles."""
    values = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(values).resize(size, Image.Resampling.BICUBIC)


def encoded(image, kind="PNG", **options):
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def png(seed=0, size=(64, 48)):
    return encoded(picture(seed, size))


def cell(seed=0, size=(64, 48)):
    return {"bytes": png(seed, size), "path": None}


RATIO = ("iou_max_label_first", "iou_max_iou_first", "iou_completeness", "map", "map50", "map75")

ORSTA = pa.schema(
    [
        ("data_source", TEXT),
        ("images", IMAGES),
        ("prompt", pa.list_(pa.struct([("content", TEXT), ("role", TEXT)]))),
        ("ability", TEXT),
        (
            "reward_model",
            pa.struct(
                [
                    ("answer", TEXT),
                    ("ground_truth", TEXT),
                    ("accuracy_ratio", pa.float32()),
                    ("format_ratio", pa.float32()),
                    ("verifier", TEXT),
                    (
                        "verifier_parm",
                        pa.struct(
                            [
                                ("det_verifier_normalized", pa.bool_()),
                                ("det_reward_ratio", pa.struct([(key, pa.float32()) for key in RATIO])),
                            ]
                        ),
                    ),
                ]
            ),
        ),
        ("extra_info", pa.struct([("id", TEXT), ("image_path", TEXT)])),
    ]
)


def orsta(question, gold, verifier="mathverify", ability="math", images=(), ratio=None, normalized=None, **others):
    return {
        "data_source": "mm_math",
        "images": list(images),
        "prompt": [{"role": "user", "content": question}],
        "ability": ability,
        "reward_model": {
            "answer": gold,
            "ground_truth": gold,
            "accuracy_ratio": 1.0,
            "format_ratio": 0.0,
            "verifier": verifier,
            "verifier_parm": {
                "det_verifier_normalized": normalized,
                "det_reward_ratio": dict.fromkeys(RATIO) | (ratio or {}),
            },
        },
        "extra_info": {"id": None, "image_path": "images/1.png"},
        **others,
    }


def virl(question, answer, image=(), qid="q1", category="Spatial Reasoning", rates=(0.5, 0.25)):
    return {
        "question": question,
        "answer": answer,
        "PassRate_32BTrained": rates[0],
        "PassRate_7BBase": rates[1],
        "category": category,
        "source": "Processed",
        "qid": qid,
        "image": list(image),
    }


def parquet(path, rows, schema=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    return path


def jsonl(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def rows_of(path):
    return pq.read_table(path).to_pylist()
