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

    @model_validator(mode="after")
    def _is_a_range(self) -> Range:
        if not self.min < self.max or (self.log and self.min <= 0):
            raise ValueError(
                f"expected min < max, and above 0 where log is true; received {self.min} and "
                f"{self.max}"
            )
        return self


Tried = Range | list[bool | int | float | str]


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
            ends = asked if isinstance(asked, list) else [asked.min, asked.max]
            try:
                if not ends:
                    raise ValueError("expected values, received an empty list")
                space_of({key: asked})
                for value in ends:
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
        if isinstance(asked.min, int) and isinstance(asked.max, int):
            space.Int(key, asked.min, asked.max, sampling=sampling)
        else:
            space.Float(key, float(asked.min), float(asked.max), sampling=sampling)
    return space
