"""One mixed-integer programme behind every decision: what is signed is decided once, what is
short in a draw is rented by the hour.
"""

from gpuspec.decision.programme.choices import API, HOUR, POOL, SPOT, VENUES, Choices, choices_of
from gpuspec.decision.programme.model import Chosen, Model, Problem
from gpuspec.decision.programme.solve import Found, solve
