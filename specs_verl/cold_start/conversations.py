"""Conversations to imitate: a column `messages` in verl's multi-turn form and, for images, a column `images`.

    table = ConversationTable.open(["runs/route/sft.parquet"])
    table.example(7)           # everything before the first assistant's turn is the prompt, the rest is the response

Every assistant's turn is trained on, as by verl's own supervised trainer; all else is read only. Images belong to the
messages before the first of these turns. `specs route` and `specs cot` write such files.
Not here: reading files (table.py) and tokenisation (encode.py).
"""

from specs_verl.cold_start.table import COLUMNS, Example, ParquetTable, check_images, count_images, messages_of
from specs_verl.errors import UserError


class ConversationTable(ParquetTable):
    """Random access to the conversations of one or more parquet files."""

    required = COLUMNS["conversations"]
    optional = ("images", "extra_info", "tools")

    def example(self, index: int) -> Example:
        values, where = self._values(index), self.where(index)
        if values.get("tools"):
            raise UserError(f"{where}: tools are not supported here. Drop the column `tools`.")
        messages = messages_of(values["messages"], where)
        turns = [number for number, message in enumerate(messages) if message["role"] == "assistant"]
        if not turns or turns[0] == 0:
            raise UserError(f"{where}: a conversation needs a prompt and an assistant's turn. Fix or drop the row.")
        for number in turns:
            content = messages[number]["content"]
            if not isinstance(content, str) or not content.strip():
                raise UserError(f"{where}: message {number}, an assistant's turn, is empty. Fix or drop the row.")
        prompt, response = messages[: turns[0]], messages[turns[0] : turns[-1] + 1]
        if any(message["role"] != "assistant" and count_images(message["content"]) for message in response):
            raise UserError(f"{where}: an image after the first answer. Images belong before it. Drop the row.")
        images = values.get("images") or []
        check_images(sum(count_images(message["content"]) for message in prompt), images, where)
        return Example(prompt, images, (tuple(response),), ("response",))
