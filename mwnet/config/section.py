"""What every section of the options has: typed fields with a description, and the seed."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

GROUPS = ("run", "data", "noise", "classifier", "weighting", "search", "speed", "output")
"""Headings of ``--help``, in this order."""

LARGEST = 2**63 - 1
"""Of whole numbers: what torch and numpy can hold."""

PartT = TypeVar("PartT", bound="Section")


def option(
    group: str, default: Any, description: str, *, resumable: bool = False, **limits: Any
) -> Any:
    """A field of a section; ``resumable``: a resumed run may be given another value."""
    extra = {"group": group, "resumable": resumable}
    return Field(default, description=description, json_schema_extra=extra, **limits)


class Section(BaseModel):
    """Options that belong together, and the seed of every random choice."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False
    )

    seed: int = option("run", 0, "Seed that every random choice is derived from.", ge=0)
    download: bool = option("data", False, "Fetch a missing torchvision data set.", resumable=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        wanted = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and wanted is not bool:
            raise PydanticCustomError("truth_value", "input should be no truth value")
        return value

    @field_validator("*")
    @classmethod
    def _fits_a_machine(cls, value: Any) -> Any:
        numbers = value if isinstance(value, list) else [value]
        if any(isinstance(number, int) and abs(number) > LARGEST for number in numbers):
            raise PydanticCustomError("too_large", "input should be at most 2**63 - 1")
        return value

    def part(self, kind: type[PartT]) -> PartT:
        """Take the fields of a section out of these options."""
        return kind.model_construct(**{name: getattr(self, name) for name in kind.model_fields})
