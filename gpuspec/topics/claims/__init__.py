"""The statements of a buyers' guide, examined: grids of estimates, published figures, verdicts."""

from gpuspec.topics.claims.ask import ClaimsQuestion
from gpuspec.topics.claims.audit import (
    AUDITS,
    Finding,
    audit,
    checks_table,
    errors_table,
    estimate_text,
    evidence_text,
    published_text,
    range_text,
    usual_verdicts,
    verdict_text,
    verdicts_table,
)
from gpuspec.topics.claims.maps import AXES, ClaimMap, claim_map
from gpuspec.topics.claims.records import (
    LANGUAGES,
    Claim,
    check_claims_language,
    claim_ids,
    claims,
    verdict_word,
)
from gpuspec.topics.claims.verdict import (
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
