"""What every section of the options has: typed fields with a description, and the seed."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

GROUPS = ("run", "data", "noise", "classifier", "weighting", "search", "speed", "output")
"""Headings of ``--help``, in this order."""

PartT = TypeVar("PartT", bound="Section")


def option(
    group: str, default: Any, description: str, *, resumable: bool = False, **limits: Any
) -> Any:
    """A field of a section; ``resumable``: a resumed run may be given another value."""
    extra = {"group": group, "resumable": resumable}
    return Field(default, description=description, json_schema_extra=extra, **limits)


class Section(BaseModel):
    """Options that belong together, and the seed of every random choice."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    seed: int = option("run", 0, "Seed that every random choice is derived from.", ge=0)
    download: bool = option("data", False, "Fetch a missing torchvision data set.", resumable=True)

    def part(self, kind: type[PartT]) -> PartT:
        """Take the fields of a section out of these options."""
        return kind.model_construct(**{name: getattr(self, name) for name in kind.model_fields})
