"""Stored JSON into dataclasses."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)


def read_record(kind: type[Record], value: Mapping[str, Any]) -> Record:
    """A `kind` from the members that it knows: others, written by a newer version, are passed over."""
    return kind(**{field.name: value[field.name] for field in fields(kind) if field.name in value})
