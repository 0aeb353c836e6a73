"""Continuous batching one iteration after another, to hold the package's simulation against.

Written without it: a clock, a list of requests, no iteration passed over. Each iteration decodes
a token for every sequence whose prompt is done and gives what is left of the token budget to
waiting prompts, first come first served, in chunks.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import RegularGridInterpolator

from gpuspec.formulas.serving import Deployment, max_concurrency


@dataclass
class Served:
    """What each request saw, after a warm-up."""

    ttft_s: np.ndarray
    tpot_s: np.ndarray
    in_flight: float


def iteration_table(replica: Deployment, isl: int, osl: int, most: int):
    """Return seconds of an iteration by decoding sequences and prompt tokens."""
    budget = int(replica.limits.max_tokens)
    loads = np.unique(np.r_[0, np.round(np.geomspace(1, most + 1, 60))])
    whole = np.arange(0, budget, isl)[:40] if isl < budget else [budget, isl % budget]
    tokens = np.unique(np.r_[0, np.round(np.geomspace(16, budget, 24)), whole])
    b, t = np.meshgrid(loads, tokens, indexing="ij")
    chunk = np.minimum(np.maximum(t, 1), isl)
    parts = replica.iteration_parts(
        b, isl + osl / 2, chunk, t / chunk * replica.layout.pp, np.maximum(isl - chunk, 0) / 2
    )
    seconds = sum(parts.values()) - 0 * b
    return RegularGridInterpolator((loads, tokens), seconds, bounds_error=False, fill_value=None)


def simulate(
    replica: Deployment, rate: float, isl: int, osl: int, requests: int = 3000, seed: int = 0
) -> Served:
    """Run Poisson arrivals at `rate` requests a second through one replica."""
    rng = np.random.default_rng(seed)
    arrivals = np.cumsum(rng.exponential(1 / rate, requests))
    most = int(max_concurrency(replica, isl, osl))
    budget = int(replica.limits.max_tokens)
    table = iteration_table(replica, isl, osl, most)
    dense = table(np.stack(np.meshgrid(np.arange(most + 1), table.grid[1], indexing="ij"), -1))
    knots, no_prompt = table.grid[1], dense[:, 0].tolist()
    left = [isl] * requests  # prompt tokens still to read
    first, last = np.zeros(requests), np.zeros(requests)
    now, step, arrived, admitted, seen = 0.0, 0, 0, 0, 0.0
    ahead = replica.limits.works_ahead  # the next iteration is ready when one ends
    reading: list[int] = []
    decoding: deque[tuple[int, int]] = deque()  # the step of the last token, and whose it is
    area = 0.0
    while decoding or reading or arrived < requests:
        if not decoding and not reading and admitted == arrived:
            now = seen = max(now, arrivals[arrived])
        while arrived < requests and arrivals[arrived] <= seen:
            arrived += 1
        while admitted < arrived and len(decoding) + len(reading) < most:
            reading.append(admitted)
            admitted += 1
        room, read = budget - len(decoding), 0
        done = []
        for request in reading:
            take = min(left[request], room - read)
            left[request] -= take
            read += take
            if left[request] == 0:
                done.append(request)
            if read >= room:
                break
        load = min(len(decoding), most)
        seconds = float(np.interp(read, knots, dense[load])) if read else no_prompt[load]
        area += seconds * (len(decoding) + len(reading))
        now, step = now + seconds, step + 1
        seen = now - seconds if ahead else now
        while decoding and decoding[0][0] == step:  # who began first is done first
            last[decoding.popleft()[1]] = now
        for request in done:
            reading.remove(request)
            first[request] = now
            decoding.append((step + osl - 1, request))
    kept = slice(requests // 4, requests * 9 // 10)
    return Served((first - arrivals)[kept], ((last - first) / (osl - 1))[kept], area / now)
