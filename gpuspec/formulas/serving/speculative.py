"""Speculative decoding: a draft proposes tokens, the model checks them in one step."""

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats
from gpuspec.formulas.serving.deployment import Deployment
from gpuspec.formulas.serving.serving import SteadyState

DRAFT_COST = 0.1
"""Time of a draft step over that of a step of the model: a draft of about a tenth of its size."""


def accepted_tokens(draft_tokens: ArrayLike, acceptance: ArrayLike) -> Floats:
    """Return the expected tokens of a step: those accepted and the one that the check gives.

    References
    ----------
    Leviathan et al. 2022, arXiv:2211.17192, equation 1: (1 - a^(k+1)) / (1 - a).

    >>> accepted_tokens([0, 4], 0.8).round(3).tolist()
    [1.0, 3.362]
    """
    k, a = np.asarray(draft_tokens, float), np.asarray(acceptance, float)
    return np.asarray((1 - a ** (k + 1)) / (1 - a))


def speculative(
    replica: Deployment,
    steady: SteadyState,
    isl: ArrayLike,
    osl: ArrayLike,
    draft_tokens: ArrayLike,
    acceptance: ArrayLike,
    draft_cost: ArrayLike = DRAFT_COST,
) -> SteadyState:
    """Return a steady state with speculation.

    A step checks ``draft_tokens + 1`` tokens of each sequence at once: free while the weights
    bound it, dear at large batches. The draft costs `draft_cost` of a step a token.
    """
    i, o, k = (np.asarray(x, float) for x in (isl, osl, draft_tokens))
    decoding = np.asarray(steady["decoding"], float)
    plain = replica.iteration_parts(decoding, i + o / 2)
    checked = replica.iteration_parts(decoding, i + o / 2, tokens_each=k + 1)
    step = sum(plain.values())
    share = np.asarray(draft_cost, float) * k
    gained = accepted_tokens(k, acceptance)
    parts = {
        name: np.asarray((steady["parts"][name] + checked[name] - plain[name]) / gained)
        for name in plain
    }
    parts["engine"] = np.asarray(parts["engine"] + share * step / gained)
    tpot = np.asarray(sum(parts.values()))
    outside = steady["waiting"] / steady["requests_s"]
    inside = steady["in_flight"] - steady["waiting"]
    rate = inside / (steady["ttft_s"] - outside + tpot * (o - 1))
    return {
        **steady,
        "ttft_s": steady["ttft_s"] - outside + steady["waiting"] / rate,
        "tpot_s": tpot,
        "decoding": rate * tpot * (o - 1),
        "output_tokens_s": rate * o,
        "requests_s": rate,
        "parts": parts,
    }
