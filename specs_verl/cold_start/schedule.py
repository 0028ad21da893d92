"""Which rows make up which step: epochs, and stages one after the other.

    schedule = Schedule.of(train.pairs, stages=None, settings)
    schedule.steps                 # of the whole run
    schedule.batch(step)           # positions of the rows of a step, from 0; a pure function of the seed and the step

A curriculum (Metis-RISE: the model's own right answers first, an expert's after) gives every row a stage. Each stage
then runs for all its epochs before the next one begins, and no batch holds rows of two stages.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from specs_verl.cold_start import order
from specs_verl.cold_start.encode import Encoded
from specs_verl.errors import UserError


@dataclass(frozen=True)
class ScheduleSettings:
    """What the config says about the order of rows."""

    batch_size: int
    drop_last: bool
    shuffle: bool
    seed: int
    epochs: int
    total_steps: int | None  # None: all epochs; more than one pass begins another epoch


@dataclass(frozen=True)
class Stage:
    """Rows that are trained on together."""

    name: object  # its value in the column of stages
    rows: tuple[int, ...]  # positions in the list of encoded rows
    steps_per_epoch: int


@dataclass(frozen=True)
class Place:
    """Where a step lies; everything counts from 0."""

    stage: int
    epoch: int
    number: int  # of the batch within its epoch


class Schedule:
    """The steps of one run."""

    def __init__(self, rows: Sequence[Encoded], stages: Sequence[Stage], settings: ScheduleSettings) -> None:
        self._rows, self.stages, self._settings = rows, tuple(stages), settings
        full = sum(stage.steps_per_epoch for stage in self.stages) * settings.epochs
        if settings.total_steps is not None and len(self.stages) > 1:
            raise UserError(
                "trainer.total_training_steps cannot be set together with several stages: some would be cut short. "
                "Set trainer.total_epochs."
            )
        self.steps: int = settings.total_steps or full
        self._known: tuple[Place | None, list[int]] = (None, [])

    @classmethod
    def of(
        cls,
        rows: Sequence[Encoded],
        values: Sequence[object] | None,
        wanted: Sequence[object] | None,
        settings: ScheduleSettings,
    ) -> "Schedule":
        """The schedule of some rows.

        Args:
            values: stage of every row; None puts all of them into one.
            wanted: the stages in the order in which they are to be trained; None sorts them.

        Raises:
            UserError: a stage without rows, rows without a stage, or too few rows for one batch.
        """
        members: dict[object, list[int]] = {}
        for position in range(len(rows)):
            members.setdefault(None if values is None else values[position], []).append(position)
        if values is not None and None in members:
            raise UserError(f"{len(members[None])} rows have no value in data.stage_column. Fix or drop them.")
        names = _ordered(members, wanted) if values is not None else [None]
        size = settings.batch_size
        stages = [
            Stage(name, tuple(members[name]), order.steps_per_epoch(len(members[name]), size, settings.drop_last))
            for name in names
        ]
        for stage in stages:
            if stage.steps_per_epoch == 0:
                of_stage = "" if stage.name is None else f" of stage {stage.name}"
                raise UserError(
                    f"{len(stage.rows)} rows{of_stage} do not fill one batch of data.train_batch_size={size}, and "
                    "data.drop_last=true drops what does not fill a batch."
                )
        return cls(rows, stages, settings)

    def place(self, step: int) -> Place:
        """Stage, epoch and batch of a step."""
        before = 0
        for number, stage in enumerate(self.stages):
            steps = stage.steps_per_epoch * self._settings.epochs
            if step < before + steps or number == len(self.stages) - 1:
                return Place(number, *divmod(step - before, stage.steps_per_epoch))
            before += steps
        raise IndexError(step)

    def batch(self, step: int) -> list[int]:
        """Positions of the rows of a step."""
        place = self.place(step)
        epoch = Place(place.stage, place.epoch, 0)
        if epoch != self._known[0]:
            self._known = (epoch, self._epoch(epoch))
        size = self._settings.batch_size
        return self._known[1][place.number * size : (place.number + 1) * size]

    def first_pass(self) -> list[list[int]]:
        """Every row once: the batches of the first epoch of every stage, then what they leave out."""
        before, batches = 0, []
        for stage in self.stages:
            batches += [self.batch(before + number) for number in range(stage.steps_per_epoch)]
            before += stage.steps_per_epoch * self._settings.epochs
        done = {row for batch in batches for row in batch}
        left = [row for stage in self.stages for row in stage.rows if row not in done]
        size = self._settings.batch_size
        return batches + [left[start : start + size] for start in range(0, len(left), size)]

    def _epoch(self, place: Place) -> list[int]:
        rows = self.stages[place.stage].rows
        members = [self._rows[position] for position in rows]
        shuffled = order.epoch_order(members, self._settings.seed, place.epoch, self._settings.shuffle)
        return [rows[number] for number in shuffled]


def _ordered(members: dict[object, list[int]], wanted: Sequence[object] | None) -> list[object]:
    if wanted is None:
        try:
            return sorted(members)  # type: ignore[type-var]
        except TypeError as error:
            raise UserError(
                f"data.stage_column holds values that cannot be sorted ({error}). Set data.stages."
            ) from error
    names = list(wanted)
    if len(set(names)) != len(names) or set(names) != set(members):
        found = ", ".join(sorted(map(str, members)))
        raise UserError(
            f"data.stages={[*map(str, names)]}: name each stage of the data once, and no other (found: {found})."
        )
    return names
