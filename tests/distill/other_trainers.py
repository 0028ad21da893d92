"""What other trainers document about their preference data, as checks that raise AssertionError.

Written from the documentation, not from this project's exporters; the rules cite where they are stated.
"""

import json
from pathlib import Path

from PIL import Image


def read_llama_factory(directory, name):
    """Pairs as LLaMA-Factory would load them: (system, turns, chosen, rejected, image files).

    Rules: data/README.md of hiyouga/LLaMA-Factory (https://llamafactory.readthedocs.io/en/latest/getting_started/
    data_preparation.html): `dataset_info.json` names file, `formatting`, `ranking` and columns; default tags are
    from/value and human/gpt; "human and observation should appear in odd positions, gpt and function in even ones";
    a preference set ends with the human and has `chosen` and `rejected` messages of gpt; "the number of images should
    be identical to the <image> tokens in the conversations"; `system` is a column with the system prompt.
    Media are looked up relative to `media_dir`, which is `dataset_dir` unless it is set.
    """
    directory = Path(directory)
    entry = json.loads((directory / "dataset_info.json").read_text(encoding="utf-8"))[name]
    assert set(entry) <= {"file_name", "formatting", "ranking", "columns", "tags", "split", "num_samples", "subset"}
    assert entry["formatting"] == "sharegpt" and entry["ranking"] is True
    columns = entry["columns"]
    known = {"messages", "system", "tools", "images", "videos", "audios", "chosen", "rejected", "kto_tag"}
    assert set(columns) <= known and {"messages", "chosen", "rejected"} <= set(columns)
    pairs = []
    for row in json.loads((directory / entry["file_name"]).read_text(encoding="utf-8")):
        assert all(column in row for column in columns.values()), "a registered column must be in every row"
        turns = row[columns["messages"]]
        assert len(turns) % 2 == 1, "a preference conversation ends with the human"
        for position, turn in enumerate(turns):
            assert set(turn) == {"from", "value"} and isinstance(turn["value"], str)
            assert turn["from"] in (("human", "observation"), ("gpt", "function_call"))[position % 2]
        sides = [row[columns[side]] for side in ("chosen", "rejected")]
        for side in sides:
            assert side["from"] == "gpt" and isinstance(side["value"], str) and side["value"]
        images = [directory / path for path in row[columns["images"]]] if "images" in columns else []
        assert sum(turn["value"].count("<image>") for turn in turns) == len(images)
        assert not any("<image>" in side["value"] for side in sides), "it would be taken for one more image"
        for image in images:
            Image.open(image).load()
        system = row[columns["system"]] if "system" in columns else ""
        pairs.append((system, turns, *(side["value"] for side in sides), images))
    return pairs


def read_ms_swift(file):
    """Pairs as ms-swift would load them: (messages, rejected, image files).

    Rules: docs/source_en/Customization/Custom-dataset.md of modelscope/ms-swift (https://swift.readthedocs.io/en/latest/
    Customization/Custom-dataset.html): a line is a JSON object; accepted keys are messages, rejected_response, label,
    images, videos, audios, tools, objects; `messages` may begin with a system message, then user (or tool) and
    assistant take turns; the last assistant message is the chosen response, `rejected_response` must differ from it;
    `images` are paths, "preferably absolute", as many as there are <image> tags.
    """
    pairs = []
    for line in Path(file).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        assert set(row) <= {"messages", "rejected_response", "label", "images", "videos", "audios", "tools", "objects"}
        messages = row["messages"]
        assert messages and all(set(message) == {"role", "content"} for message in messages)
        turns = messages[1:] if messages[0]["role"] == "system" else messages
        assert turns and len(turns) % 2 == 0
        for position, message in enumerate(turns):
            assert message["role"] in (("user", "tool"), ("assistant",))[position % 2]
            assert isinstance(message["content"], str) and (message["content"] or position % 2 == 0)
        rejected = row["rejected_response"]
        assert isinstance(rejected, str) and rejected and rejected != turns[-1]["content"]
        images = [Path(path) for path in row.get("images", [])]
        assert sum(message["content"].count("<image>") for message in messages) == len(images)
        for image in images:
            assert image.is_absolute()
            Image.open(image).load()
        pairs.append((messages, rejected, images))
    return pairs
