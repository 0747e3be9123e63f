"""The base of every configuration section: typed, strict and frozen."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One section of the configuration; each room defines its own.

    Unknown keys and wrong types are refused, and a section never changes once
    read: its JSON form is part of the cache key of the component that uses it.
    """

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, validate_default=True, allow_inf_nan=False
    )
