"""The statements of a buyers' guide, examined: grids of estimates, published figures, verdicts."""

from gpuspec.claims.audit import (
    AUDITS,
    Finding,
    audit,
    checks_table,
    counts_table,
    estimate_text,
    published_text,
    range_text,
    verdicts_table,
)
from gpuspec.claims.maps import AXES, ClaimMap, claim_map
from gpuspec.claims.question import ClaimsQuestion, claims_question
from gpuspec.claims.records import (
    LANGUAGES,
    Claim,
    check_claims_language,
    claim_ids,
    claims,
    verdict_word,
)
from gpuspec.claims.verdict import (
    FALSE,
    MISLEADING,
    TRUE,
    WHEN,
    WORDS,
    Check,
    Verdict,
    condition,
    joined,
    judged,
)

__all__ = [
    "AUDITS",
    "AXES",
    "FALSE",
    "LANGUAGES",
    "MISLEADING",
    "TRUE",
    "WHEN",
    "WORDS",
    "Check",
    "Claim",
    "ClaimMap",
    "ClaimsQuestion",
    "Finding",
    "Verdict",
    "audit",
    "check_claims_language",
    "checks_table",
    "claim_ids",
    "claim_map",
    "claims",
    "claims_question",
    "condition",
    "counts_table",
    "estimate_text",
    "joined",
    "judged",
    "published_text",
    "range_text",
    "verdict_word",
    "verdicts_table",
]
