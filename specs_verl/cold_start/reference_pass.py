"""The forward pass of the initial policy over all pairs, before step 1.

    known = ReferencePass(pairs, engine, packer, max_tokens=8192).run(batches, known, cache)

What a batch has given is saved at once (at most every few seconds), so that a killed pass goes on where it was. The
caller passes the batches of the first epoch: each process then meets in training the images whose features it has made.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch.distributed as dist

from specs_verl.cold_start.dataset import PairSet
from specs_verl.cold_start.engine import PairEngine
from specs_verl.cold_start.gathering import from_all
from specs_verl.cold_start.packing import Packer, begun_ahead
from specs_verl.cold_start.reference import LogProbs, ReferenceCache
from specs_verl.errors import UserError
from specs_verl.progress import Steps

SECONDS_BETWEEN_SAVES = 10.0


@dataclass(frozen=True)
class ReferencePass:
    """The pass over one set of pairs; every process must run it."""

    pairs: PairSet
    engine: PairEngine
    packer: Packer
    max_tokens: int  # of a packed row

    def run(
        self,
        batches: Sequence[Sequence[int]],
        known: Mapping[bytes, LogProbs],
        cache: ReferenceCache,
        span: tuple[float, float] = (0.0, 1.0),
    ) -> dict[bytes, LogProbs]:
        """Log-probabilities by the key of their pair: what is known, and what was missing.

        Args:
            span: the shares of the whole run at which this pass begins and ends, for its progress.

        Raises:
            UserError: some are not finite; the rows are named.
        """
        found, unsaved = dict(known), dict[bytes, LogProbs]()
        missing = [[pair for pair in batch if self.pairs.pairs[pair].key not in known] for batch in batches]
        missing = [batch for batch in missing if batch]
        main, saved = dist.get_rank() == 0, time.monotonic()
        processes, rank = dist.get_world_size(), dist.get_rank()
        rows = begun_ahead(self.pairs.rows(batch, self.packer, processes, rank, self.max_tokens) for batch in missing)
        with Steps(quiet=not main) as progress:
            for number, (batch, packed) in enumerate(zip(missing, rows, strict=True)):
                fresh: dict[bytes, LogProbs] = {}
                for part in from_all(self.engine.reference_log_probs(packed)):
                    fresh |= {self.pairs.pairs[pair].key: values for pair, values in part.items()}
                self._check(batch, fresh)
                found |= fresh
                unsaved |= fresh
                last = number == len(missing) - 1
                if main and (last or time.monotonic() - saved >= SECONDS_BETWEEN_SAVES):
                    cache.add(unsaved)
                    unsaved, saved = {}, time.monotonic()
                share = span[0] + (span[1] - span[0]) * (number + 1) / len(missing)
                progress.show("reference log-probs", number + 1, len(missing), share=share)
        return found

    def _check(self, batch: Sequence[int], fresh: Mapping[bytes, LogProbs]) -> None:
        wrong = [pair for pair in batch if not all(map(math.isfinite, fresh[self.pairs.pairs[pair].key]))]
        if wrong:
            raise UserError(
                f"The reference policy gives log-probabilities that are not finite for {self.pairs.where(wrong)}. "
                "The checkpoint may be damaged."
            )
