"""Choosing the step to export by its Generalization Factor (trainer.stop_by=gf): probe every few steps, keep the best.

    probing = Probing.of(config, out, source)        # None unless asked for
    probing.start(engine, step)                      # step 0: gains are counted from there
    if probing.due(step, last):
        report |= probing.after_step(engine, step)
    probing.publish()                                # OUT/hf is the best step
    probing.tidy()                                   # once the run is marked as complete

What a probe measures is not known here: `probe.custom_cls` names a class with

    __init__(settings, out, source)             settings: the section `probe` of the configuration, as plain values
    score(step, checkpoint) -> {"gf": 0.41, ...}     higher is better; `checkpoint` is a Hugging Face directory

which by default is specs_verl.measure.probe.GfProbe. It runs in process 0 while the others wait.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import torch.distributed as dist
from omegaconf import DictConfig, OmegaConf
from verl.utils.device import get_device_name
from verl.utils.import_utils import load_extern_object

from specs_verl.cold_start.best_step import BestStep
from specs_verl.cold_start.checkpoint import export, replace_folder
from specs_verl.cold_start.engine import PairEngine
from specs_verl.cold_start.gathering import from_main
from specs_verl.errors import UserError
from specs_verl.files.steps import step_folder

CHOICES = ("last", "gf")


class Probe(Protocol):
    """What measures a checkpoint during training."""

    def score(self, step: int, checkpoint: Path) -> Mapping[str, float]: ...


class Probing:
    """The probes of one run."""

    def __init__(self, config: DictConfig, out: Path, source: Path) -> None:
        self._out, self._source = out, source
        self._freq, self._hf_freq, self._dtype = config.probe.freq, config.trainer.hf_freq, config.trainer.hf_dtype
        self._steps = BestStep(out, config.probe.patience)
        self._probe = _loaded(config, out, source)

    @classmethod
    def of(cls, config: DictConfig, out: Path, source: Path) -> Probing | None:
        """The probes that the configuration asks for; None where the last step is exported."""
        chosen_by = config.trainer.stop_by
        if chosen_by not in CHOICES:
            raise UserError(f"trainer.stop_by={chosen_by}: use {' or '.join(CHOICES)}.")
        if chosen_by == "last":
            return None
        if config.probe.freq < 1:
            raise UserError(f"probe.freq={config.probe.freq}: trainer.stop_by=gf needs a probe every 1 or more steps.")
        return cls(config, out, source)

    def start(self, engine: PairEngine, step: int) -> None:
        """Take up the probes of an earlier part of the run; the first one is of the model that training starts from."""

        def restored() -> tuple[dict[int, float], set[int]]:
            self._steps.restore(step, lambda done: step_folder(self._out, done).is_dir())
            return self._steps.scores, self._steps.gone

        self._steps.scores, self._steps.gone = from_main(restored)
        if 0 not in self._steps.scores:
            self._measure(engine, 0, self._source)

    def due(self, step: int, last: bool) -> bool:
        """Whether a step is probed: every `probe.freq` steps, and the last one, whatever ended the training."""
        return last or step % self._freq == 0

    def after_step(self, engine: PairEngine, step: int) -> dict[str, float]:
        """Export and probe the weights of a step; what goes into the log."""
        folder = step_folder(self._out, step)
        export(engine, folder, self._source, self._dtype)
        found = self._measure(engine, step, folder)
        if dist.get_rank() == 0:
            self._remove_losers()
        return {f"probe/{name}": value for name, value in found.items()}

    @property
    def reached(self) -> bool:
        """Whether training may stop: `probe.patience` probes in a row were no better."""
        return self._steps.reached

    def publish(self) -> str:
        """Make the weights of the best step the result, OUT/hf; what was chosen, in words.

        They stay under their own name as well, so that a run that is killed now can do this again; see `tidy`.
        """
        best = self._steps.best
        if best is None:
            raise UserError(
                f"{self._out}: no weights of a probed step are left to export. Start anew with "
                "trainer.resume_mode=disable."
            )
        if dist.get_rank() == 0:
            draft = self._out / ".hf"
            shutil.rmtree(draft, ignore_errors=True)
            copy = shutil.copy2 if self._kept(best) else _link
            shutil.copytree(step_folder(self._out, best), draft, copy_function=copy)
            replace_folder(draft, self._out / "hf")
        dist.barrier()
        return f"step {best} is exported: its Generalization Factor is the highest ({self._steps.scores[best]:.4f})."

    def tidy(self) -> None:
        """Delete, in process 0, the exported weights of the best step, which OUT/hf has."""
        if self._steps.best is not None and not self._kept(self._steps.best):
            shutil.rmtree(step_folder(self._out, self._steps.best), ignore_errors=True)

    def _measure(self, engine: PairEngine, step: int, checkpoint: Path) -> dict[str, float]:
        def measured() -> dict[str, float]:
            started = time.perf_counter()
            found = {str(name): float(value) for name, value in self._probe.score(step, checkpoint).items()}
            found["seconds"] = time.perf_counter() - started
            self._steps.write(step, found)
            return found

        device = get_device_name()
        if device != "cpu":  # the probe's own engine needs the memory
            engine.to("cpu")
        found = from_main(measured)
        if device != "cpu":
            engine.to(device)
        self._steps.scores[step] = found["gf"]
        return found

    def _kept(self, step: int) -> bool:
        return self._hf_freq > 0 and step % self._hf_freq == 0

    def _remove_losers(self) -> None:
        """Only the best step's weights are kept, and those that trainer.hf_freq asks for."""
        for step in self._steps.scores:
            if step > 0 and step != self._steps.best and not self._kept(step):
                shutil.rmtree(step_folder(self._out, step), ignore_errors=True)


def _link(source: str, target: str) -> None:
    """A second name for a file, or a copy where the file system has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _loaded(config: DictConfig, out: Path, source: Path) -> Probe:
    place = config.probe.custom_cls
    try:
        made = load_extern_object(place.path, place.name)
    except (ImportError, AttributeError, OSError) as error:
        raise UserError(f"probe.custom_cls: {place.name} of {place.path} cannot be loaded ({error}).") from error
    return made(OmegaConf.to_container(config.probe, resolve=True), out, source)
