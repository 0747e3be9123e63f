"""The `model` section: what the network is made of, and the presets it starts from."""

from __future__ import annotations

import functools
from importlib import resources
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from ruamel.yaml import YAML

from .cells import RecurrentInitializer
from .configuration import Section
from .decoders import InitialState
from .encoders import Bidirectional
from .readout import ReadoutKind
from .sublayers import Norm

Count = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Bias = Annotated[float, Field(ge=-10, le=10)]
Preset = Literal[
    "default",
    "sutskever2014",
    "cho2014",
    "bahdanau2015",
    "luong2015",
    "gnmt2016",
    "transformer2017",
]

SEARCH = "search"  # of a preset's keys the one that is not of the model


class Size(Section):
    """How large the parts are; what a network has no part for, it ignores."""

    embedding: Count = 128  # of a Transformer: `units`
    units: Count = 256
    encoder_layers: Count = 1
    decoder_layers: Count = 1
    attention: Count | None = None  # where additive attention compares; None: units
    readout: Count | None = None  # of the attentional and maxout readouts; None: units
    heads: Count = 8  # of multi-head attention
    feed_forward: Count = 1024  # of a Transformer


class ModelConfig(Section):
    """The `model` section. Whatever it leaves out, its preset says."""

    preset: Preset = "default"
    size: Size = Size()
    encoder: Literal["recurrent", "transformer"] = "recurrent"
    decoder: Literal["recurrent", "transformer"] = "recurrent"
    cell: Literal["rnn_tanh", "rnn_relu", "gru", "lstm"] = "lstm"
    forget_bias: Bias = 1.0  # that an LSTM's forget gate starts with
    recurrent_initializer: RecurrentInitializer = "orthogonal"
    bidirectional: Bidirectional = "all"
    reverse_source: bool = False
    residual_from: Annotated[int, Field(ge=2)] | None = None
    initial_state: InitialState = "project"
    attention: Literal["none", "additive", "dot", "scaled_dot", "general", "multi_head"] = "general"
    attention_query: Literal["current", "previous"] = "current"
    attention_layer: Literal["top", "bottom"] = "top"
    input_feeding: bool = False
    coverage: bool = False
    readout: ReadoutKind = "concat"
    copy_head: bool = False
    output_bias: bool = True  # of an output layer that is not tied
    tied_embeddings: Literal["none", "output", "all"] = "none"
    norm: Norm = "post"
    dropout: Share = 0.2
    variational_dropout: bool = False

    @model_validator(mode="before")
    @classmethod
    def _start_from_the_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        name = given.get("preset", "default")
        if name not in Preset.__args__:  # type: ignore[attr-defined]
            return given
        base = preset(name)
        merged = {**base, **given}
        size = given.get("size", {})
        if isinstance(size, dict):
            merged["size"] = {**base.get("size", {}), **size}
        return merged

    @model_validator(mode="after")
    def _parts_fit(self) -> ModelConfig:
        problems = [message for wrong, message in self._misfits() if wrong]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def has_attention(self) -> bool:
        """Whether the decoder attends to the source at all."""
        return self.decoder == "transformer" or self.attention != "none"

    @property
    def memory_width(self) -> int:
        """M: the features of a source position."""
        if self.encoder == "transformer":
            return self.size.units
        both = self.bidirectional == "all" or (
            self.bidirectional == "first" and self.size.encoder_layers == 1
        )
        return self.size.units * (2 if both else 1)

    def idle(self) -> dict[str, str]:
        """The keys that are set and do nothing here, each with where it belongs.

        Of those that a preset says none: it may have come along unasked. No misfits, for
        exported models may have them.
        """
        kinds, layers = {self.encoder, self.decoder}, [0]
        if self.encoder == "recurrent":
            layers.append(self.size.encoder_layers)
        if self.decoder == "recurrent":
            layers.append(self.size.decoder_layers)
        pure = kinds == {"transformer"}
        of_recurrent = "belongs to a recurrent encoder or decoder, and there is none"
        found = {
            "reverse_source": (
                self.encoder == "transformer",
                "belongs to a recurrent encoder, and this is a Transformer",
            ),
            "norm": (
                kinds == {"recurrent"},
                "belongs to a Transformer, and neither encoder nor decoder is one",
            ),
            "residual_from": (
                (self.residual_from or 0) > max(layers),
                f"expected at most {max(layers)}, the layers of the deeper recurrent part, "
                f"received {self.residual_from}",
            ),
            **dict.fromkeys(("cell", "bidirectional", "attention"), (pure, of_recurrent)),
        }
        said = preset(self.preset)
        defaults = type(self).model_fields
        return {
            key: told
            for key, (does_nothing, told) in found.items()
            if does_nothing and getattr(self, key) != said.get(key, defaults[key].get_default())
        }

    def _misfits(self) -> list[tuple[bool, str]]:
        """What cannot be together, each with what to do about it."""
        size, recurrent = self.size, self.decoder == "recurrent"
        alone = self.attention == "none" and recurrent
        widens = {"none": 0, "first": 1, "all": 0}[self.bidirectional] + 1
        return [
            (
                recurrent
                and self.attention in ("dot", "scaled_dot")
                and self.memory_width != size.units,
                f"attention: '{self.attention}' compares states of equal width, and the memory "
                f"has {self.memory_width} features and the decoder {size.units}; use 'general', "
                "or bidirectional: none",
            ),
            (
                (self.attention == "multi_head" or not recurrent or self.encoder == "transformer")
                and size.units % size.heads > 0,
                f"size.heads: expected a divisor of size.units ({size.units}), "
                f"received {size.heads}",
            ),
            (
                (not recurrent or self.encoder == "transformer") and size.units % 2 > 0,
                f"size.units: expected an even number for a Transformer, received {size.units}",
            ),
            (
                self.coverage and (self.attention != "additive" or not recurrent),
                "coverage: needs attention: additive of a recurrent decoder",
            ),
            (
                self.copy_head and alone,
                "copy_head: needs attention to point with, and attention is 'none'",
            ),
            (
                alone and self.attention_query == "previous",
                "attention_query: has no meaning where attention is 'none'",
            ),
            (
                alone and self.initial_state == "zero" and not self.input_feeding,
                "initial_state: 'zero' without attention hides the source from the decoder; use "
                "'project' or 'copy', or input_feeding: true",
            ),
            (
                recurrent
                and not alone
                and self.readout == "state"
                and not (self.input_feeding or self.copy_head)
                and (self.attention_layer == "top" or size.decoder_layers == 1),
                "readout: 'state' leaves out what attention found, and nothing else reads it; use "
                "another readout, or input_feeding: true",
            ),
            (
                not recurrent
                and (self.input_feeding or self.readout != "state" or bool(self.residual_from)),
                "input_feeding, readout and residual_from: belong to a recurrent decoder",
            ),
            (
                self.variational_dropout and not recurrent and self.encoder == "transformer",
                "variational_dropout: belongs to a recurrent encoder or decoder",
            ),
            (
                self.forget_bias != 1
                and (self.cell != "lstm" or "recurrent" not in (self.encoder, self.decoder)),
                "forget_bias: belongs to cell: lstm of a recurrent encoder or decoder",
            ),
            (
                self.initial_state == "copy"
                and recurrent
                and (
                    self.encoder != "recurrent"
                    or self.bidirectional != "none"
                    or size.encoder_layers != size.decoder_layers
                ),
                "initial_state: 'copy' needs a recurrent encoder in one direction "
                "(bidirectional: none) with as many layers as the decoder",
            ),
            (
                self.residual_from is not None
                and self.encoder == "recurrent"
                and self.residual_from <= widens
                and size.encoder_layers >= self.residual_from,
                f"residual_from: expected at least {widens + 1}, for with bidirectional: "
                f"'{self.bidirectional}' the layers below differ in width",
            ),
            (
                self.tied_embeddings == "all"
                and {self.encoder, self.decoder} == {"recurrent", "transformer"},
                "tied_embeddings: 'all' needs an encoder and a decoder of one kind",
            ),
        ]


def preset(name: str) -> dict[str, Any]:
    """The model's settings in a preset."""
    return {key: value for key, value in _file(name).items() if key != SEARCH}


def preset_search(name: str) -> dict[str, Any]:
    """The search's settings in a preset: what the paper's formulas are with."""
    return dict(_file(name).get(SEARCH, {}))


@functools.cache
def _file(name: str) -> dict[str, Any]:
    """A preset as it is written."""
    text = (resources.files(__package__) / "presets" / f"{name}.yaml").read_text("utf-8")
    return dict(YAML(typ="safe").load(text) or {})
