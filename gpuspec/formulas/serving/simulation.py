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
    sent = [0.0] * min(clients, count) if clients else times.tolist()
    first, last, now = _passed(step, sent, read.tolist(), whole.tolist(), clients, transport_s)
    begun = np.array(sent)
    return Served(
        first - begun + transport_s,
        (last - first) / np.maximum(whole - 1, 1),
        float((last - begun).sum()) / now,
        now,
    )


def _passed(
    step: Iterations,
    sent: list[float],
    left: list[float],
    answers: list[int],
    clients: int,
    transport_s: float,
) -> tuple[Floats, Floats, float]:
    """Return when the first and the last token of each request were given, and the end of all.

    `sent` are the seconds at which requests arrive, to which those of a closed loop are added;
    `left` the tokens of each prompt, of which nothing is left at the end. One loop over plain
    numbers, without calls: it runs some thousand times for each of hundreds of loads.
    """
    rows, tokens, most, budget = step.seconds, step.tokens, step.most, step.budget
    alone, widest = [row[0] for row in rows], len(tokens) - 1
    ahead, count = step.replica.limits.works_ahead, len(left)
    first, last = [0.0] * count, [0.0] * count
    reading: deque[int] = deque()
    ends: list[int] = []  # the iteration of a last token times `count`, plus whose it is
    now = seen = 0.0  # what came until `seen` is in the next iteration
    turn = arrived = admitted = decoding = done = 0
    coming = sent[0]
    while done < count:
        while coming <= seen:
            arrived += 1
            coming = sent[arrived] if arrived < len(sent) else inf
        if arrived > admitted:  # let waiting requests in while there is room
            until = min(arrived, admitted + most - decoding - len(reading))
            for request in range(admitted, until):
                if left[request] > TINY:
                    reading.append(request)
                    continue
                first[request] = last[request] = now
                if answers[request] > 1:
                    heappush(ends, (turn + answers[request] - 1) * count + request)
                    decoding += 1
            admitted = until
        over = done
        if reading:  # an iteration with prompts
            room, used = budget - decoding, 0.0
            room = room if room > 1.0 else 1.0
            for request in reading:
                wanted = left[request]
                take = room - used if wanted > room - used else wanted
                left[request] = wanted - take
                used += take
                if wanted - take > TINY or used >= room:
                    break
            row = rows[decoding if decoding < most else most]
            place = bisect_right(tokens, used)
            place = place if place < widest else widest
            low, short = tokens[place - 1], row[place - 1]
            seconds = short + (row[place] - short) * (used - low) / (tokens[place] - low)
            turns = 1
        elif decoding:  # iterations without, until a last token or, with room, an arrival
            seconds, turns = alone[decoding], ends[0] // count - turn
            if coming < now + seconds * turns and decoding < most:
                turns = min(max(ceil((coming - now) / seconds) + ahead, 1), turns)
        else:
            now = seen = max(now, coming)
            continue
        now += seconds * turns
        turn += turns
        seen = now - ahead * seconds
        until = (turn + 1) * count
        while ends and ends[0] < until:
            last[heappop(ends) % count] = now
            decoding -= 1
            done += 1
        while reading and left[reading[0]] <= TINY:  # a prompt is read: its first token
            request = reading.popleft()
            first[request] = last[request] = now
            if answers[request] > 1:
                heappush(ends, (turn + answers[request] - 1) * count + request)
                decoding += 1
            else:
                done += 1
        if clients:
            sent += [now + transport_s] * min(done - over, count - len(sent))
            coming = sent[arrived] if arrived < len(sent) else inf
    return np.array(first), np.array(last), now
