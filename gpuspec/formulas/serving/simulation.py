"""One replica simulated iteration by iteration: what a queueing formula cannot say.

Written without the package's queueing formulas: a clock, requests, one iteration after another.
Each iteration decodes a token of every sequence whose prompt is read and gives what is left of
the token budget to waiting prompts, first come first served, in chunks. Iterations between two
events (an arrival, a last token) are equal and pass in one step of the loop. An engine that works
ahead has the next iteration ready when one ends, so that a request misses it.
"""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from heapq import heappop, heappush
from math import ceil, inf

import numpy as np
from numpy.typing import ArrayLike

from gpuspec.base.units import Floats
from gpuspec.formulas.serving.client import USERS, Client
from gpuspec.formulas.serving.deployment import Deployment
from gpuspec.formulas.serving.lengths import length_biased, mean_context
from gpuspec.formulas.serving.serving import max_concurrency, total_seconds

LOADS, CHUNKS = 48, 24
"""Decoding sequences and prompt tokens between which seconds of an iteration are interpolated."""
TINY = 1e-6


@dataclass
class Served:
    """What each request saw, in the order of arrival, and what the replica did."""

    ttft_s: Floats
    tpot_s: Floats
    in_flight: float
    """Mean requests in flight or waiting."""
    seconds: float
    """From the start of the clock to the last token."""


@dataclass(frozen=True)
class Iterations:
    """Seconds of an iteration of a replica, by sequences that decode and prompt tokens read."""

    replica: Deployment
    isl: float
    osl: float
    cached_share: float = 0.0
    client: Client = USERS

    @cached_property
    def most(self) -> int:
        """Return the most requests that memory and settings allow."""
        longer = length_biased(self.osl, self.client.osl_spread)
        return int(max_concurrency(self.replica, self.isl, longer))

    @cached_property
    def new(self) -> float:
        """Return the tokens of a prompt that are computed."""
        return max(self.isl * (1 - self.cached_share), 1.0)

    @property
    def budget(self) -> float:
        """Return the tokens of an iteration, over stages and groups of attention."""
        layout = self.replica.layout
        return float(self.replica.limits.max_tokens) * layout.pp * layout.attention_dp

    @cached_property
    def tokens(self) -> list[float]:
        """Return the prompt tokens at which an iteration is computed; whole prompts among them."""
        budget = self.budget
        whole = self.new * np.arange(1, min(int(budget / self.new), 8) + 1)
        return [float(x) for x in np.unique(np.r_[0, np.geomspace(1, budget, CHUNKS), whole])]

    @cached_property
    def seconds(self) -> list[list[float]]:
        """Return seconds for 0, 1, ... `most` decoding sequences, at each of `tokens`."""
        loads = np.unique(np.r_[0, np.round(np.geomspace(1, self.most + 1, LOADS))])
        b, t = np.meshgrid(loads, self.tokens, indexing="ij")
        chunk = np.minimum(np.maximum(t, 1), self.new)
        whole = length_biased(self.new, self.client.isl_spread)
        past = self.isl - self.new + np.maximum(whole - chunk, 0) / 2
        context = mean_context(self.isl, self.osl, self.client.osl_spread)
        parts = self.replica.iteration_parts(b, context, chunk, t / chunk, past)
        step = total_seconds(parts)
        step = step + self.replica.sending_seconds(b, step, self.client)
        known = np.broadcast_to(step, b.shape)
        every = np.arange(self.most + 1)
        columns = [np.interp(every, loads, known[:, j]) for j in range(len(self.tokens))]
        return np.stack(columns, axis=1).tolist()

    def at(self, decoding: int, read: float) -> float:
        """Return the seconds of one iteration."""
        row = self.seconds[min(decoding, self.most)]
        if not read:
            return row[0]
        place = min(bisect_right(self.tokens, read), len(self.tokens) - 1)
        low, high = self.tokens[place - 1], self.tokens[place]
        return row[place - 1] + (row[place] - row[place - 1]) * (read - low) / (high - low)


class _Replica:
    """The state of a replica between iterations, and of the requests that pass through it."""

    def __init__(self, step: Iterations, prompts: list[float], answers: list[int]) -> None:
        self.step, self.left, self.answers = step, prompts, answers
        self.most, self.budget = step.most, step.budget
        self.alone = [row[0] for row in step.seconds]
        self.now, self.turn, self.admitted = 0.0, 0, 0
        self.ahead, self.seen = step.replica.limits.works_ahead, 0.0
        """`seen`: requests that came until then are in the next iteration."""
        self.first, self.last = [0.0] * len(prompts), [0.0] * len(prompts)
        self.reading: deque[int] = deque()
        self.ends: list[tuple[int, int]] = []
        """The iteration of the last token, and whose it is."""

    def admit(self, arrived: int) -> None:
        """Let waiting requests in while there is room."""
        room = self.most - len(self.ends) - len(self.reading)
        until = min(arrived, self.admitted + room)
        for request in range(self.admitted, until):
            if self.left[request] > TINY:
                self.reading.append(request)
            else:
                self.begin(request)
        self.admitted = until

    def begin(self, request: int) -> bool:
        """Give the first token of a request whose prompt is read; return whether more follow."""
        self.first[request] = self.last[request] = self.now
        more = self.answers[request] > 1
        if more:
            heappush(self.ends, (self.turn + self.answers[request] - 1, request))
        return more

    def read(self) -> list[int]:
        """Run an iteration with prompts; return the requests that it completed."""
        left, reading, read, decoding = self.left, self.reading, 0.0, len(self.ends)
        room = max(self.budget - decoding, 1.0)
        for request in reading:
            take = min(left[request], room - read)
            left[request] -= take
            read += take
            if left[request] > TINY or read >= room:
                break
        self.passed(self.step.at(decoding, read))
        over = self.finished()
        while reading and left[reading[0]] <= TINY:
            request = reading.popleft()
            if not self.begin(request):
                over.append(request)
        return over

    def decode(self, until: float) -> list[int]:
        """Run iterations without prompts until a last token or, with room, an arrival."""
        seconds, turns = self.alone[len(self.ends)], self.ends[0][0] - self.turn
        if until < self.now + seconds * turns and len(self.ends) < self.most:
            turns = min(max(ceil((until - self.now) / seconds) + self.ahead, 1), turns)
        self.passed(seconds, turns)
        return self.finished()

    def passed(self, seconds: float, turns: int = 1) -> None:
        """Let equal iterations pass."""
        self.now += seconds * turns
        self.turn += turns
        self.seen = self.now - self.ahead * seconds

    def finished(self) -> list[int]:
        """Return the requests whose last token the iteration gave."""
        over, ends = [], self.ends
        while ends and ends[0][0] <= self.turn:
            over.append(heappop(ends)[1])
            self.last[over[-1]] = self.now
        return over


def simulate(
    step: Iterations,
    arrive: ArrayLike,
    answers: ArrayLike | None = None,
    prompts: ArrayLike | None = None,
    clients: int = 0,
    transport_s: float = 0.0,
) -> Served:
    """Run requests through one replica.

    Parameters
    ----------
    arrive : array_like
        Seconds at which requests arrive, ascending.
    answers : array_like, optional
        Tokens of each request's answer; those of `step` unless given.
    prompts : array_like, optional
        Tokens of each request's prompt that are computed; those of `step` unless given. 0: read
        elsewhere, its answer of two tokens or more goes on here as soon as there is room.
    clients : int
        0: requests arrive as `arrive` says. More: a closed loop of so many clients, who send the
        first requests at once and each next one when an answer is complete; only the number of
        `arrive` counts.
    transport_s : float
        Between a client and the engine, there and back.
    """
    times = np.asarray(arrive, float)
    count = len(times)
    lengths = np.full(count, step.osl) if answers is None else np.asarray(answers, float)
    read = np.full(count, step.new) if prompts is None else np.asarray(prompts, float)
    whole = np.maximum(np.round(lengths), 1).astype(int)
    replica = _Replica(step, read.tolist(), whole.tolist())
    sent = [0.0] * min(clients, count) if clients else times.tolist()
    arrived = done = 0
    while done < count:
        while arrived < len(sent) and sent[arrived] <= replica.seen:
            arrived += 1
        if arrived > replica.admitted:
            replica.admit(arrived)
        if not replica.ends and not replica.reading:
            replica.now = replica.seen = max(replica.now, sent[arrived])
            continue
        until = sent[arrived] if arrived < len(sent) else inf
        over = replica.read() if replica.reading else replica.decode(until)
        done += len(over)
        if clients:
            sent += [replica.now + transport_s] * min(len(over), count - len(sent))
    first, last, begun = (np.array(x) for x in (replica.first, replica.last, sent))
    return Served(
        first - begun + transport_s,
        (last - first) / np.maximum(np.array(replica.answers) - 1, 1),
        float((last - begun).sum()) / replica.now,
        replica.now,
    )
