"""The field that every question has: in which language the answer is."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from gpuspec.base.ask import BLANK, Ask, Blank, Short
from gpuspec.catalog.fields import Language
from gpuspec.views.language import spoken


class Spoken(Ask):
    """In which language the answer is; left blank it is the one that is spoken."""

    language: Annotated[Language, Blank(), Short("lang")] = Field(
        BLANK,
        description="Language of the answer: en or zh; None: that of the environment, as LANG says",
    )

    @model_validator(mode="after")
    def _as_it_is_spoken(self) -> Self:
        self._fill({"language": spoken()})
        return self
