"""Sizes of a vision-language model, as its file in config/specs/model gives them.

shape = Shape.of(config.specs.model.shape)
shape.layer, shape.edges, shape.trained, shape.adapters(rank=64)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from specs_verl.estimate.training import ModelShape


@dataclass(frozen=True)
class Shape:
    """The first three are numbers of parameters, the others dimensions."""

    parameters: int
    """In all; tied embeddings count once."""

    tower: int
    aligner: int
    layers: int
    hidden: int
    attention: int
    """Query heads times head size."""

    key_value: int
    """Key heads times head size."""

    intermediate: int
    vocabulary: int
    tied: bool

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Shape:
        """From the `shape` of a model file."""
        return cls(**{field.name: values[field.name] for field in fields(cls)})  # type: ignore[arg-type]

    @property
    def edges(self) -> int:
        """Embedding, LM head and the last norm."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2) + self.hidden

    @property
    def trained(self) -> int:
        """Parameters of the language model; tower and aligner are frozen."""
        return self.parameters - self.tower - self.aligner

    @property
    def layer(self) -> int:
        """Parameters of one decoder layer."""
        return (self.trained - self.edges) // self.layers

    def adapters(self, rank: int) -> int:
        """Parameters of LoRA on every linear layer of the decoder: rank * (inputs + outputs) each."""
        ends = (
            2 * (self.hidden + self.attention)  # queries, and attention's output
            + 2 * (self.hidden + self.key_value)
            + 3 * (self.hidden + self.intermediate)
        )
        return rank * ends * self.layers

    def training(self, whole_vision: bool) -> ModelShape:
        """As the arithmetic of training wants it.

        Args:
            whole_vision: every process keeps the frozen half whole (cold start); else it is sharded apart (RL).
        """
        return ModelShape(
            trained=self.trained,
            whole=self.tower + self.aligner if whole_vision else 0,
            layer=self.layer,
            edges=self.edges,
            layers=self.layers,
            hidden=self.hidden,
            projected=self.attention + 2 * self.key_value,
            intermediate=self.intermediate,
            vocabulary=self.vocabulary,
        )
