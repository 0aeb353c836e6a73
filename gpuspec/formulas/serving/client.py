"""What belongs to those who send requests, not to the engine that answers them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Client(BaseModel):
    """How alike requests are and how far away they are sent from: an input, never a constant.

    How they arrive is the question itself: always so many in flight or so many at once
    (`steady_state`), or at random at a rate (`arrivals`).
    """

    model_config = ConfigDict(frozen=True)

    lengths: Literal["equal", "varied"] = "varied"
    """Requests of equal length that start together also end together, for some waves."""
    isl_spread: float = Field(0.0, ge=0.0, le=10.0)
    """Standard deviation of the prompts' lengths over their mean (lognormal)."""
    osl_spread: float = Field(0.0, ge=0.0, le=10.0)
    """The same of the answers."""
    transport_s: float = Field(0.005, ge=0.0, le=60.0)
    """Seconds of a request to the engine and of its first token back: HTTP, tokenizer; 0 in
    process."""


USERS = Client()
"""Users of a service: over HTTP, each with a prompt of another length."""
OFFLINE = Client(transport_s=0.0)
"""A program in whose process the engine runs."""
