"""Keys of a config.json that nobody asked for: harmless, doubtful, or a reason to refuse."""

import re
from typing import Any

from gpuspec.catalog.models.families import Family, table
from gpuspec.catalog.models.kinds import EXPERT_RULES, SOURCES
from gpuspec.catalog.models.reading import Config

_HARMLESS = re.compile(
    r"(^|_)(ids?|tokens?|token_index|eps|epsilon|dtype|version|drop|pdrop|dropout|dropout_prob|layerdrop|std|"
    r"seed|label|labels|act|activation|function|impl|loss|coef|coefficient|tp|scale|scaling|"
    r"factor|multiplier|multipliers|norm_type|limit|range|theta|base|softcapping|softcap|cap|"
    r"interleave|floor|min|max|bound|beta|alpha|kernels|chunk_size|head_type|tokenizer|path|"
    r"url|license|date|author|name|logits|jitter|noise|cache|method|func|group|tie|init|style|"
    r"format|template|mode|backend|implementation|checkpoint|checkpointing|class|classes|stage)$|"
    r"^(_|bos|eos|pad|sep|cls|mask|unk|init|initializer|rope|rotary|partial_rotary|output_|return_"
    r"|use_cache|torch|transformers|quant|compression|task|problem|id2|label2|auto_map|arch"
    r"|model_type|time_step|norm_topk|routed|router_|scoring|topk_group|n_group|aux|z_loss|pruned"
    r"|is_|add_cross|cross_attention_hidden|finetuning|prefix|temperature|top_[kp]$|do_sample"
    r"|num_beams|repetition|diversity|length_penalty|no_repeat|early_stopping|encoder_no"
    r"|bad_words|suppress|forced|begin_|remove_invalid|exponential|typical|max_length|min_length"
    r"|num_return|decoder_start|mup|logit|emb_|embd_|resid|attn_pdrop|attention_dropout|hidden_act"
    r"|hidden_dropout|activation|gradient|dataset|language|summary|scale_attn|reorder|tf_legacy"
    r"|use_bfloat16|ep_size|embedding_multiplier|residual_|mamba_ssm|mamba_hidden_act|mamba_dt_"
    r"|rescale|ssm_dtype|kda_|vision|image|video|audio|mm_|dtype|dt_|swiglu|query_pre_attn|attn_logit"
    r"|final_logit|norm_|for_llm|order_of|position_embedding_type|use_embedding|use_parallel_block|full_attn_mod|softmax|bias_dropout|use_routing|moe_renorm|mamba_norm|original_max|enable_moe_fp32|moe_shared_expert_overlap|use_mtp|index_local|use_bidirectional|attention_softmax|masked_softmax|slow_but|embedding_fraction|vocab_size_per_layer|layer_norm|rms_norm|layernorm|expert_selection|expert_capacity|llama_4)"
)
_STRUCTURAL = re.compile(
    r"layer|head|expert|moe|hidden|width|dim|size|window|rank|latent|lora|conv|ssm|mamba|state|kv"
    r"|attn|attention|ffn|mlp|block|pattern|freq|interval|period|shared|mtp|nextn|embed|vocab"
    r"|depth|channel|index|sparse|compress|multi_query|linear|bias"
)


def vocabulary() -> set[str]:
    """Return the keys that say something about layers in some family."""
    names = {name for several in table()["names"].values() for name in several}
    return names | SOURCES.keys() | EXPERT_RULES.keys() | set(table()["structural"])


def doubts(config: Config, family: Family, layers: int) -> list[str]:
    """Return a sentence about every key that may matter and was not read.

    Raises
    ------
    InputError
        For a key that says something about layers in other families, and for a list with an entry
        for every layer: what is left out then is not a detail.
    """
    known = vocabulary()
    said = []
    for key, value in config.values.items():
        if key in config.read | family.unused or _says_nothing(value):
            continue
        listed = isinstance(value, list) and len(value) == layers > 1
        if key in known or (listed and not _HARMLESS.search(key)):
            valid = f"layers of {family.name} with this key are not read; it changes what they are"
            raise config.error(key, value, valid)
        if _STRUCTURAL.search(key) and not _HARMLESS.search(key):
            shown = str(value)[:40] if isinstance(value, int | float | str) else "a list or section"
            said.append(f"the key {key[:60]} ({shown}) is not read: check what it changes")
    return said[:20]


def _says_nothing(value: Any) -> bool:
    return value is None or value is False or value in (0, "") or value == [] or value == {}
