"""The statements that are examined, as rows of ``data/claims.csv``."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from gpuspec.base.errors import UnknownNameError
from gpuspec.catalog import load_table
from gpuspec.views.language import spoken

VERDICTS_ZH = {
    "true": "属实",
    "true when": "有条件属实",
    "misleading": "有误导",
    "false": "不实",
}


class Claim(BaseModel):
    """One statement of the buyers' article, with what the vendor's footnote says of it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    kind: str
    topic: str
    short_en: str
    statement_en: str
    statement_zh: str
    vendor_footnote: str
    vendor_settings: str
    sources: str

    def statement(self, language: str | None = None) -> str:
        """Return the statement in ``en`` or ``zh``."""
        return self.statement_zh if (language or spoken()) == "zh" else self.statement_en

    def short(self, language: str | None = None) -> str:
        """Return the statement for one line of a table, in ``en`` or ``zh``."""
        return self.statement_zh if (language or spoken()) == "zh" else self.short_en


def claims(data: str | Path | None = None) -> dict[str, Claim]:
    """Return all claims by id, in the order of the table."""
    rows = load_table("claims", data).to_dict("records")
    return {str(row["id"]): Claim(**{str(k): v for k, v in row.items()}) for row in rows}


def claim_ids(names: str, data: str | Path | None = None) -> list[str]:
    """Return the ids that a list such as ``"C01,C12"`` names; all for an empty text.

    Raises
    ------
    UnknownNameError
        An id is not in the table.
    """
    known = list(claims(data))
    asked = [n.strip().upper() for n in names.split(",") if n.strip()]
    for name in asked:
        if name not in known:
            raise UnknownNameError("claims", name, known)
    return [n for n in known if n in asked] or known


def verdict_word(word: str, language: str | None = None) -> str:
    """Return a verdict's word in ``en`` or ``zh``."""
    return VERDICTS_ZH[word] if (language or spoken()) == "zh" else word
