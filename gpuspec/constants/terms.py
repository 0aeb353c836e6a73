"""Records of fitted constants: each has a name, a physical meaning and bounds."""

from pydantic import BaseModel, ConfigDict, Field


class Hardware(BaseModel):
    """The rates of a GPU that a roofline needs, in SI units."""

    model_config = ConfigDict(frozen=True)

    peak_flops: float = Field(gt=0)
    """Dense peak at the precision that the operation computes in."""
    bandwidth_bytes_s: float = Field(gt=0)
    sm_count: int = Field(gt=0)
    l2_bytes: float = Field(40e6, gt=0)


class Terms(BaseModel):
    """Fitted constants; every field has bounds, so a fit cannot leave physics."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    @classmethod
    def bounds(cls) -> dict[str, tuple[float, float, float]]:
        """Return name: (start, low, high) of every constant."""
        found = {}
        for name, field in cls.model_fields.items():
            low = next(m.ge for m in field.metadata if hasattr(m, "ge"))
            high = next(m.le for m in field.metadata if hasattr(m, "le"))
            found[name] = (float(field.default), float(low), float(high))
        return found


class MatmulTerms(Terms):
    """Constants of a matrix product."""

    peak_share: float = Field(0.8, ge=0.2, le=1.1)
    """Share of the dense peak that full tiles reach (clocks fall under load)."""
    bandwidth_share: float = Field(0.85, ge=0.2, le=1.1)
    """Share of the memory bandwidth that streaming reaches."""
    launch_us: float = Field(4.0, ge=0.1, le=25.0)
    """Time of a kernel that does nothing."""
    sharpness: float = Field(3.0, ge=1.0, le=12.0)
    """Exponent p of the norm that joins compute and memory; infinity is a perfect overlap."""
    prologue_k: float = Field(100.0, ge=0.0, le=2000.0)
    """Filling and emptying a tile's pipeline, as extra depth of the product."""
    tile_overhead: float = Field(0.1, ge=0.0, le=3.0)
    """How much smaller tiles lose: the efficiency of area a is a / (a + overhead * 128^2)."""
    split_us: float = Field(1.0, ge=0.0, le=30.0)
    """Reducing the partial sums where the depth is split over SMs."""
    depth_us: float = Field(0.5, ge=0.0, le=30.0)
    """Latency of walking 8192 of depth, whatever the width."""
    quantize_passes: float = Field(0.0, ge=0.0, le=40.0)
    """Bytes moved per activation element to quantize it first (0: weights only)."""


class DecodeAttentionTerms(Terms):
    """Constants of attention with one new token a sequence."""

    bandwidth_share: float = Field(0.8, ge=0.1, le=1.1)
    """Share of the memory bandwidth at which the cache is read."""
    peak_share: float = Field(0.2, ge=0.01, le=1.1)
    """Share of the dense peak in the products of few queries with many keys."""
    launch_us: float = Field(5.0, ge=0.1, le=60.0)
    """Time of a kernel that does nothing."""
    sharpness: float = Field(3.0, ge=1.0, le=12.0)
    """Exponent p of the norm that joins compute and memory."""
    split_us: float = Field(0.5, ge=0.0, le=10.0)
    """Each doubling of the context beyond 256: splitting and merging it."""
    head_passes: float = Field(2.0, ge=0.0, le=80.0)
    """Times that queries, new keys and outputs are moved (rotary, cache write, reduction)."""
    cache_gain: float = Field(0.2, ge=0.0, le=3.0)
    """Extra bandwidth where a benchmark's cache lies in L2; not used in estimates."""
    padded_queries: float = Field(1.0, ge=0.0, le=30.0)
    """Queries that fill up a tensor-core tile beside those of a group."""


class PrefillAttentionTerms(Terms):
    """Constants of causal attention over whole prompts or chunks."""

    peak_share: float = Field(0.6, ge=0.05, le=1.2)
    """Share of the dense peak on full tiles."""
    bandwidth_share: float = Field(0.5, ge=0.05, le=1.2)
    """Share of the memory bandwidth for queries, keys, values and outputs."""
    launch_us: float = Field(8.0, ge=0.1, le=60.0)
    """Time of a kernel that does nothing."""
    sharpness: float = Field(1.5, ge=0.7, le=10.0)
    """Exponent p of the norm that joins compute and memory."""
    short_tokens: float = Field(50.0, ge=0.0, le=3000.0)
    """Length at which a sequence reaches half of the full efficiency."""


class ExpertTerms(Terms):
    """Constants of the routed experts of a layer, all products together."""

    peak_share: float = Field(0.6, ge=0.05, le=1.1)
    """Share of the dense peak in the grouped products."""
    bandwidth_share: float = Field(0.7, ge=0.1, le=1.1)
    """Share of the memory bandwidth at which the experts' weights are read."""
    launch_us: float = Field(20.0, ge=1.0, le=200.0)
    """Routing, sorting and the kernels that do nothing."""
    sharpness: float = Field(2.0, ge=1.0, le=12.0)
    """Exponent p of the norm that joins compute and memory."""
    row_tile: float = Field(64.0, ge=1.0, le=256.0)
    """Rows to which each expert's share of the tokens is padded."""
    passes: float = Field(4.0, ge=0.0, le=60.0)
    """Times that a routed token's hidden vector is moved (permute, quantize, combine)."""


class GenerationTerms(Terms):
    """What a generation of GPUs makes of the calibrated kernels, whatever the engine.

    Kernels are timed one by one on a cool GPU; in a model they follow each other, with other
    clocks and a cache that the weights displace.
    """

    matmul_factor: float = Field(1.0, ge=0.8, le=1.4)
    """Time of the products over that of the calibrated kernels."""
    attention_factor: float = Field(1.0, ge=0.7, le=1.5)
    """Time of attention while decoding over that of the calibrated kernels."""
    expert_factor: float = Field(1.0, ge=0.7, le=1.6)
    """Time of the experts over that of the calibrated kernels."""
    host_factor: float = Field(1.0, ge=0.5, le=3.0)
    """Time of a Python engine's host over that in servers of other generations: processors are as
    old as the GPUs. vLLM of 2023 launches a layer in 560 us beside A100, in 370 beside H100."""


class CollectiveTerms(Terms):
    """Constants of an engine's own collectives over the link of a GPU."""

    start_us: float = Field(3.0, ge=0.5, le=40.0)
    """A small message between two GPUs."""
    per_doubling_us: float = Field(0.5, ge=0.0, le=25.0)
    """More for each doubling of the group."""
    one_shot_share: float = Field(0.5, ge=0.005, le=1.2)
    """Share of the link at which every GPU reads all the others' small messages at once."""
    ring_start_us: float = Field(10.0, ge=0.5, le=100.0)
    """Start of the two-step algorithm (reduce-scatter, all-gather)."""
    share_2: float = Field(0.75, ge=0.003, le=1.3)
    """Share of the link as bus bandwidth of large messages: 2 GPUs."""
    share_4: float = Field(0.75, ge=0.003, le=1.3)
    """As before, 4 GPUs."""
    share_8: float = Field(0.75, ge=0.003, le=1.3)
    """As before, 8 GPUs; above 1 where the switch adds up (NVLink SHARP)."""
