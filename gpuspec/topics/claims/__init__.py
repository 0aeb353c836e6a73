"""The statements of a buyers' guide, examined: grids of estimates, published figures, verdicts."""

from gpuspec.topics.claims.ask import ClaimsQuestion
from gpuspec.topics.claims.audit import (
    Finding,
    audit,
    checks_table,
    errors_table,
    usual_verdicts,
    verdict_text,
    verdicts_table,
)
from gpuspec.topics.claims.maps import AXES, ClaimMap, claim_map
from gpuspec.topics.claims.records import claim_ids, verdict_word
from gpuspec.topics.claims.verdict import FALSE, Check, condition, joined, judged
