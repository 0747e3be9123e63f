"""The sections of a job that runs unattended: `unattended` and `notify`."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from ..models.configuration import Section

Event = Literal["blessed", "not_blessed", "failed", "data_gate"]
EVENTS: list[Event] = ["blessed", "not_blessed", "failed", "data_gate"]


class UnattendedConfig(Section):
    """The `unattended` section: what `seq2seq run` does by itself."""

    catch_up: bool = False
    retries: Annotated[int, Field(ge=0, le=20)] = 0
    backoff_seconds: Annotated[float, Field(ge=0, le=86_400)] = 60.0
    reserve_mb: Annotated[int, Field(ge=0)] = 500


class NotifyConfig(Section):
    """The `notify` section: who is told how a run ended."""

    command: list[str] | None = None
    webhook: str | None = None
    on: list[Event] = EVENTS
    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0

    @field_validator("command")
    @classmethod
    def _has_a_program(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and not (value and value[0].strip()):
            raise ValueError("expected a program and its arguments, received an empty list")
        return value

    @field_validator("webhook")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        known = r"https?://[^/].*|\$(\w+|\{\w+\})"
        if value is not None and not re.fullmatch(known, value):
            raise ValueError(
                "expected http://..., https://... or $NAME, a variable of the environment "
                f"that holds such an address; received '{value}'"
            )
        return value
