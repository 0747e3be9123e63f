"""The `tuning` section: which keys of the configuration are tried, and with what."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ..models.configuration import Section
from .trainer import Count, TrainerSettings


class Range(Section):
    """Numbers from `min` to `max`; whole ones if both are."""

    min: int | float
    max: int | float
    log: bool = False  # as many of each order of magnitude
    step: Annotated[int | float, Field(gt=0)] | None = None  # between them, from `min` on

    @model_validator(mode="after")
    def _is_a_range(self) -> Range:
        if not self.min < self.max or (self.log and self.min <= 0):
            raise ValueError(
                f"expected min < max, and above 0 where log is true; received {self.min} and "
                f"{self.max}"
            )
        if self.log and self.step is not None:
            raise ValueError("step: belongs to a range without log")
        if self.is_whole and isinstance(self.step, float):
            raise ValueError(f"step: expected a whole number as the ends are, received {self.step}")
        return self

    @property
    def is_whole(self) -> bool:
        """Whether whole numbers are drawn."""
        return isinstance(self.min, int) and isinstance(self.max, int)

    @property
    def examined(self) -> list[int | float]:
        """What must fit for all to fit: both ends, and of whole numbers the second."""
        second = [min(self.min + (self.step or 1), self.max)] if self.is_whole else []
        return [self.min, *second, self.max]


Tried = Range | list[bool | int | float | str]
# What a trial cannot tell of, and why.
_NEVER = {
    "training.epochs": "a trial has tuning.epochs, so it cannot tell how many Trainer should have",
    "training.max_tokens": "it cuts the validation split as well, of which each trial would have "
    "another part to be measured on",
    "model.preset": "a preset only says what keys left out are; name the keys themselves",
}
_SMOOTHED = (
    "labels that are smoothed less have less loss, however good the model; ask for objective: "
    "val_token_accuracy"
)


class TuningConfig(Section):
    """The `tuning` section: which keys are tried with which values."""

    trials: Count = 10
    epochs: Count = 2  # of each
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 1
    objective: Literal["val_loss", "val_token_accuracy"] = "val_loss"
    keys: Annotated[dict[str, Tried], Field(min_length=1)]  # such as training.learning_rate

    def misfits(self, settings: TrainerSettings) -> list[tuple[str, str]]:
        """The keys that cannot be tried in a configuration, and why."""
        found = []
        for key, asked in self.keys.items():
            values = asked if isinstance(asked, list) else asked.examined
            try:
                if not values:
                    raise ValueError("expected values, received an empty list")
                if key in _NEVER:
                    raise ValueError(_NEVER[key])
                if key == "training.label_smoothing" and self.objective == "val_loss":
                    raise ValueError(_SMOOTHED)
                space_of({key: asked})
                for value in values:
                    settings.with_values({key: value})
            except (ValueError, TypeError) as error:
                found.append((key, str(error)))
        return found


def space_of(keys: dict[str, Tried]) -> Any:
    """What is drawn from: Keras Tuner's `HyperParameters`.

    Raises:
      TypeError: it has no such choice, as between numbers and strings.
    """
    import keras_tuner  # slow, and few configurations have something to tune

    space = keras_tuner.HyperParameters()
    for key, asked in keys.items():
        if isinstance(asked, list):
            space.Choice(key, asked)
            continue
        sampling = "log" if asked.log else "linear"
        if asked.is_whole:
            space.Int(key, asked.min, asked.max, asked.step, sampling)
        else:
            space.Float(key, float(asked.min), float(asked.max), asked.step, sampling)
    return space
