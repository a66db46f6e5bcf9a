# mypy: ignore-errors
"""SmolLM2-135M's shape in transformers, on the CPU, random weights: `llama_torch.py THREADS f32|bf16 PROMPT STEPS`.

Speeds do not depend on the values of weights; tokens do, and are not compared.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is to be fetched

import torch
import transformers
from serve import serve


def main() -> None:
    """Serve."""
    threads, dtype, prompt_length, steps = sys.argv[1:]
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    length, count = int(prompt_length), int(steps)
    config = transformers.LlamaConfig(
        hidden_size=576, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3, intermediate_size=1536,
        vocab_size=49152, max_position_embeddings=8192, rope_theta=1e5, rms_norm_eps=1e-5, tie_word_embeddings=True,
    )  # fmt: skip
    config._attn_implementation = "sdpa"
    model = transformers.LlamaForCausalLM(config).eval().to(torch.bfloat16 if dtype == "bf16" else torch.float32)
    ids = torch.randint(0, config.vocab_size, (1, length))
    cache = transformers.DynamicCache()

    def prefill() -> list[float]:
        nonlocal cache
        cache = transformers.DynamicCache()
        out = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return [float(out.logits[0, -1].argmax())]

    def decode() -> list[float]:
        if (more := cache.get_seq_length() - length) > 0:
            cache.crop(-more)
        for i in range(count):
            out = model(ids[:, i : i + 1], past_key_values=cache, use_cache=True)
        return [float(out.logits[0, -1].argmax())]

    def after_prompt() -> Callable[[], Any]:
        prefill()
        return decode

    about = f"PyTorch {torch.__version__}, transformers {transformers.__version__}, {dtype}"
    serve(about, {"prefill": lambda: prefill, "decode": after_prompt})


if __name__ == "__main__":
    main()
