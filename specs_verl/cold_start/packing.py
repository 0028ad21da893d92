"""Encoded rows -> one packed row of tensors, pixels left to be loaded by whoever needs them.

    packer = Packer(table, rules, prompt_positions, shared_prefix=True)
    row = packer.pack(units, pairs)          # PackedRow

With a shared prefix a unit becomes [P | C1 | R1 | C2 | R2 ...]; without, every response gets its own copy of the
prompt. Either way the branches come in the order C1, R1, C2, R2, ... so that log-probabilities view as (pairs, 2). A
conversation has one response: [P | C], and (rows, 1).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from specs_verl.cold_start.encode import Encoded
from specs_verl.cold_start.images import ProcessorRules, load_pixels
from specs_verl.cold_start.layout import Group, Layout
from specs_verl.cold_start.order import Unit
from specs_verl.cold_start.table import ParquetTable
from specs_verl.errors import UserError

Grids = tuple[tuple[int, int, int], ...]
PromptPositions = Callable[[np.ndarray, Grids], np.ndarray]
"""(token ids, image grids) -> position ids (axes, tokens), as the model itself would number a prompt."""


@dataclass(frozen=True)
class ImageRef:
    """One image of a row: identity and size now, pixels on demand."""

    key: bytes
    grid: tuple[int, int, int]
    load: Callable[[], Tensor]  # -> (patches, features per patch)


@dataclass(frozen=True)
class PackedRow:
    """What one forward pass needs."""

    layout: Layout
    input_ids: Tensor  # (1, length)
    position_ids: Tensor  # (axes, 1, length), or (1, length) for text-only models
    logit_rows: Tensor  # (trained tokens,) row that predicts each target
    targets: Tensor  # (trained tokens,)
    images: tuple[ImageRef, ...]  # in the order of their placeholders
    pairs: tuple[int, ...]  # positions in the list of encoded rows, in branch order
    lengths: Tensor  # (pairs, responses of each): trained tokens
    padding: bool  # True: only here to keep processes in step, counts for nothing
    blank: bool = False  # True: the last branch belongs to a blank image, and counts for nothing


def ahead(rows: Iterable[PackedRow], workers: int, needs_pixels: Callable[[bytes], bool]) -> Iterator[PackedRow]:
    """The same rows, the pixels of each one made by threads while the one before it is in use."""
    if workers < 1:
        yield from rows
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="pixels") as pool:
        current = None
        try:
            for row in rows:
                coming = replace(row, images=tuple(_begun(image, pool, needs_pixels) for image in row.images))
                if current is not None:
                    yield current
                current = coming
            if current is not None:
                yield current
        except BaseException:  # whoever asked has left: nobody wants what has been begun
            pool.shutdown(cancel_futures=True)
            raise


def begun_ahead(steps: Iterable["PackedRows"]) -> Iterator["PackedRows"]:
    """The same steps, the pixels of the first row of each one begun while the one before it is in use."""
    current = None
    for coming in steps:
        coming.begin()
        if current is not None:
            yield current
        current = coming
    if current is not None:
        yield current


def _begun(image: ImageRef, pool: ThreadPoolExecutor, needs_pixels: Callable[[bytes], bool]) -> ImageRef:
    return replace(image, load=pool.submit(image.load).result) if needs_pixels(image.key) else image


class PackedRows:
    """The micro-batches of one step on one process, packed when they are asked for."""

    def __init__(self, packer: "Packer", plan: Sequence[Sequence[Unit]], pairs: Sequence[Encoded]):
        self._packer, self._plan, self._pairs = packer, plan, pairs
        self._first: PackedRow | None = None

    def __len__(self) -> int:
        return len(self._plan)

    def begin(self) -> None:
        """Pack the first row now, and let a thread make its pixels; worth doing while another step is computed."""
        if self._packer.image_workers < 1:
            return
        row = self._pack(self._plan[0])
        pool = ThreadPoolExecutor(self._packer.image_workers, thread_name_prefix="pixels")
        self._first = replace(row, images=tuple(_begun(image, pool, self._packer.needs_pixels) for image in row.images))
        pool.shutdown(wait=False)  # its threads end when they have made these pixels

    def __iter__(self) -> Iterator[PackedRow]:
        first, self._first = self._first, None
        left = self._plan if first is None else self._plan[1:]
        later = ahead(map(self._pack, left), self._packer.image_workers, self._packer.needs_pixels)
        return later if first is None else chain([first], later)

    def _pack(self, units: Sequence[Unit]) -> PackedRow:
        return self._packer.pack(units, self._pairs) if units else self._packer.filler(len(self._pairs[0].responses))


class Packer:
    """Builds packed rows; remembers the positions of prompts, which never change."""

    def __init__(
        self,
        table: ParquetTable,
        rules: ProcessorRules | None,
        prompt_positions: PromptPositions,
        shared_prefix: bool,
        always_an_image: bool = False,
        image_workers: int = 0,
        needs_pixels: Callable[[bytes], bool] = lambda key: True,
    ) -> None:
        """
        Args:
            always_an_image: give rows without an image a blank one. A vision tower or aligner that trains is sharded:
                all processes must run it in every row, or the others wait for ever. One process does the same: a
                parameter without a gradient would be left out by the optimizer, which one with a zero gradient is not.
            image_workers: threads that make the pixels of the next row while the current one is computed.
            needs_pixels: whether the pixels of an image, by its key, will be asked for.
        """
        self.image_workers = image_workers
        self.needs_pixels = needs_pixels
        self._blank_rules = rules if always_an_image else None
        self.table = table
        self.rules = rules
        self.shared_prefix = shared_prefix
        self._prompt_positions = prompt_positions
        self._positions: dict[bytes, np.ndarray] = {}

    def filler(self, responses: int) -> PackedRow:
        """A row for a process that has nothing to do while others have: a token of prompt and one of each response.

        It shows no image, whose features another process may be computing at this very moment.
        """
        token, one = np.zeros(1, dtype=np.int32), np.ones(1, dtype=bool)
        nothing = Encoded(-1, token, (token,) * responses, (one,) * responses, (), (), b"filler", b"filler")
        return replace(self.pack([Unit((0,), 1 + responses)], [nothing]), pairs=(), padding=True)

    def pack(self, units: Sequence[Unit], pairs: Sequence[Encoded]) -> PackedRow:
        groups, ids, positions = [], [], []
        trained: list[np.ndarray] = []
        images: list[ImageRef] = []
        for unit in units:
            members = [pairs[position] for position in unit.pairs]
            responses = [ids for pair in members for ids in pair.responses]
            trained.extend(mask for pair in members for mask in pair.trained)
            prompt = members[0]
            for branches in [responses] if self.shared_prefix else [[response] for response in responses]:
                groups.append(Group(len(prompt.prompt), tuple(len(branch) for branch in branches)))
                ids.extend([prompt.prompt, *branches])
                positions.append(self._positions_of(prompt))
                images.extend(self._image_refs(prompt))
        blank_rules = None if images else self._blank_rules
        if blank_rules is not None:
            prompt_ids, image = _blank(blank_rules)
            groups.append(Group(len(prompt_ids), (1,)))
            ids.extend([prompt_ids, np.zeros(1, dtype=np.int32)])
            trained.append(np.ones(1, dtype=bool))
            positions.append(self._prompt_positions(prompt_ids, (image.grid,)))
            images.append(image)
        layout = Layout(tuple(groups))
        row_ids = torch.from_numpy(np.concatenate(ids).astype(np.int64))
        row_positions = torch.from_numpy(np.ascontiguousarray(layout.positions(positions), dtype=np.int64))
        placed = tuple(position for unit in units for position in unit.pairs)
        read = np.concatenate(trained)
        return PackedRow(
            layout=layout,
            input_ids=row_ids[None],
            position_ids=row_positions[:, None] if len(row_positions) == 3 else row_positions,
            logit_rows=torch.from_numpy(layout.logit_rows()[read]),
            targets=row_ids[torch.from_numpy(layout.branch_rows()[read])],
            images=tuple(images),
            pairs=placed,
            lengths=torch.tensor([pairs[position].lengths for position in placed]),
            padding=False,
            blank=blank_rules is not None,
        )

    def _positions_of(self, pair: Encoded) -> np.ndarray:
        if pair.prompt_key not in self._positions:
            self._positions[pair.prompt_key] = self._prompt_positions(pair.prompt, pair.grids).astype(np.int32)
        return self._positions[pair.prompt_key]

    def _image_refs(self, pair: Encoded) -> Iterator[ImageRef]:
        if self.rules is None:  # a text-only model, whose rows have no images
            return
        for number, (key, grid) in enumerate(zip(pair.image_keys, pair.grids, strict=True)):
            yield ImageRef(key, grid, partial(self._pixels, self.rules, pair, number, grid))

    def _pixels(self, rules: ProcessorRules, pair: Encoded, number: int, grid: tuple[int, int, int]) -> Tensor:
        made = load_pixels(self.table, rules, pair.index, number)
        found = tuple(made["image_grid_thw"][0].tolist())
        if found != grid:
            raise UserError(
                f"{self.table.where(pair.index)}: image {number} became a grid of {found} patches where {grid} was "
                "expected from its size; this processor resizes by rules that are not supported."
            )
        return made["pixel_values"]


def _blank(rules: ProcessorRules) -> tuple[np.ndarray, ImageRef]:
    """A prompt that is nothing but a small grey image."""
    grid = (1, 2 * rules.merge_size, 2 * rules.merge_size)
    ids = np.full(rules.tokens(grid), rules.token_id, dtype=np.int32)
    patch = 3 * rules.processor.temporal_patch_size * rules.patch_size**2
    return ids, ImageRef(b"blank", grid, lambda: torch.zeros(grid[1] * grid[2], patch))
