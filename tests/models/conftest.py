"""Models for tests: two real ones where they can be had, a small random one written in every form."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
import tokenizers
from sohu.models import Checkpoint, LlamaConfig, ModelError, Pretrained, load
from sohu.models.weights import assemble

STORIES = Path(__file__).parents[2].parent / "shared" / "data" / "stories260K"
CHAT = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}"
    "{{ '<|' + m.role + '|>' + m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
WORDS = "the quick brown fox jumps over the lazy dog while 1234 chips hum and don't mind; naïve cafés, 東京 🙂\n"


@pytest.fixture(scope="session")
def smollm2() -> Pretrained:
    """SmolLM2-135M-Instruct, fetched into the user's cache the first time."""
    try:
        return load("smollm2")
    except ModelError as error:
        if "could not be downloaded" not in error.message:
            raise
        pytest.skip(f"SmolLM2 cannot be had: {error.message}")


@pytest.fixture(scope="session")
def stories() -> Pretrained:
    """stories260K in the llama2.c form, from $SOHU_STORIES260K or the folder of shared data."""
    folder = Path(os.environ.get("SOHU_STORIES260K", STORIES))
    if not (folder / "stories260K.bin").exists():
        pytest.skip("stories260K is not here: set SOHU_STORIES260K to the folder with stories260K.bin and tok512.bin")
    return load(folder / "stories260K.bin")


@pytest.fixture(scope="session")
def small_tokenizer() -> tokenizers.Tokenizer:
    """A byte-level BPE trained on a few words: 320 tokens, the first two of them control tokens."""
    backend = tokenizers.Tokenizer(tokenizers.models.BPE())
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Digits(individual_digits=True),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    backend.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|endoftext|>", "<|user|>"],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([WORDS] * 4, trainer)
    return backend


@pytest.fixture(scope="session")
def tiny(small_tokenizer: tokenizers.Tokenizer) -> Checkpoint:
    """Random weights in the shape of a small Llama with grouped heads and a head of its own."""
    config = LlamaConfig(
        dim=32,
        n_layers=2,
        n_heads=8,
        n_kv_heads=2,
        head_dim=8,
        ffn_dim=64,
        vocab_size=small_tokenizer.get_vocab_size(),
        max_positions=48,
        rope_theta=500.0,
        norm_eps=1e-5,
        tied=False,
        bos_id=0,
        eos_ids=(0,),
    )
    random = np.random.default_rng(5)
    # bfloat16 values: every form of file can hold them exactly.
    tensors = {
        name: (random.standard_normal(shape) * 0.3).astype(ml_dtypes.bfloat16).astype(np.float32)
        for name, shape in config.shapes()
    }
    return assemble(config, tensors.__getitem__, where="random weights")


_GGUF = {"tok_embed": "token_embd", "final_norm": "output_norm", "lm_head": "output"}
_GGUF |= {"attn_norm": "attn_norm", "wq": "attn_q", "wk": "attn_k", "wv": "attn_v", "wo": "attn_output"}
_GGUF |= {"mlp_norm": "ffn_norm", "w_gate": "ffn_gate", "w_up": "ffn_up", "w_down": "ffn_down"}
_HF = {"tok_embed": "model.embed_tokens", "final_norm": "model.norm", "lm_head": "lm_head"}
_HF |= {"attn_norm": "input_layernorm", "mlp_norm": "post_attention_layernorm"}
_HF |= {f"w{x}": f"self_attn.{x}_proj" for x in "qkvo"} | {f"w_{x}": f"mlp.{x}_proj" for x in ("gate", "up", "down")}


def file_name(canonical: str, names: dict[str, str], layer: str) -> str:
    """`layers.3.wq` as a file spells it: `blk.3.attn_q.weight`, `model.layers.3.self_attn.q_proj.weight`."""
    *inside, tensor = canonical.split(".")
    return ".".join([*([layer, inside[1]] if inside else []), names[tensor], "weight"])


def interleaved(rows: np.ndarray, head_dim: int) -> np.ndarray:
    """Rows of a half-split Q or K matrix in the order GGUF keeps them: written here index by index."""
    out = np.empty_like(rows)
    for row in range(len(rows)):
        head, i = divmod(row, head_dim)
        half, pair = divmod(i, head_dim // 2)
        out[head * head_dim + 2 * pair + half] = rows[row]
    return out


@pytest.fixture(scope="session")
def write_gguf(tiny: Checkpoint, small_tokenizer: tokenizers.Tokenizer) -> Callable[..., Path]:
    """`write_gguf(path, ...)` writes tiny as GGUF.

    `changes` (metadata key -> value) and `tensors` (name in the file -> array) replace or add; None leaves
    one out. `kind` is the type of the matrices.
    """

    def write(
        path: Path,
        changes: dict[str, Any] | None = None,
        tensors: dict[str, np.ndarray | None] | None = None,
        kind: gguf.GGMLQuantizationType = gguf.GGMLQuantizationType.F32,
    ) -> Path:
        config = tiny.config
        spelled = json.loads(small_tokenizer.to_str())["model"]
        vocab = sorted(spelled["vocab"], key=spelled["vocab"].__getitem__)
        metadata: dict[str, Any] = {
            "llama.block_count": config.n_layers,
            "llama.context_length": config.max_positions,
            "llama.embedding_length": config.dim,
            "llama.feed_forward_length": config.ffn_dim,
            "llama.attention.head_count": config.n_heads,
            "llama.attention.head_count_kv": config.n_kv_heads,
            "llama.attention.key_length": config.head_dim,
            "llama.attention.value_length": config.head_dim,
            "llama.rope.freq_base": config.rope_theta,
            "llama.attention.layer_norm_rms_epsilon": config.norm_eps,
            "llama.vocab_size": config.vocab_size,
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": "smollm",
            "tokenizer.ggml.tokens": vocab,
            "tokenizer.ggml.token_type": [3, 3] + [1] * (len(vocab) - 2),
            "tokenizer.ggml.merges": [" ".join(pair) for pair in spelled["merges"]],
            "tokenizer.ggml.bos_token_id": 0,
            "tokenizer.ggml.eos_token_id": 0,
            "tokenizer.chat_template": CHAT,
        }
        arch = (changes or {}).pop("general.architecture", "llama")
        arrays: dict[str, np.ndarray] = {}
        for name, array in tiny.tensors.items():
            rows = interleaved(array, config.head_dim) if name.endswith((".wq", ".wk")) else array
            arrays[file_name(name, _GGUF, "blk")] = np.array(rows)
        writer = gguf.GGUFWriter(path, arch)
        for key, value in (metadata | (changes or {})).items():
            if value is not None:
                _add_value(writer, key, value)
        for name, replaced in (arrays | (tensors or {})).items():
            if replaced is not None:
                if replaced.ndim == 2 and kind != gguf.GGMLQuantizationType.F32:
                    writer.add_tensor(name, gguf.quantize(replaced, kind), raw_dtype=kind)
                else:
                    writer.add_tensor(name, replaced)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return write


def _add_value(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if isinstance(value, str):
        writer.add_string(key, value)
    elif isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, list):
        writer.add_array(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    else:
        writer.add_uint32(key, value)


@pytest.fixture(scope="session")
def write_hf(tiny: Checkpoint, small_tokenizer: tokenizers.Tokenizer) -> Callable[..., Path]:
    """`write_hf(folder, ...)` writes tiny as a Hugging Face folder, with changes as `write_gguf`."""

    def write(
        folder: Path,
        changes: dict[str, Any] | None = None,
        tensors: dict[str, np.ndarray | None] | None = None,
        dtype: Any = np.float32,
        shards: int = 1,
    ) -> Path:
        config = tiny.config
        folder.mkdir(parents=True, exist_ok=True)
        description = {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": config.dim,
            "num_hidden_layers": config.n_layers,
            "num_attention_heads": config.n_heads,
            "num_key_value_heads": config.n_kv_heads,
            "head_dim": config.head_dim,
            "intermediate_size": config.ffn_dim,
            "vocab_size": config.vocab_size,
            "max_position_embeddings": config.max_positions,
            "rope_theta": config.rope_theta,
            "rms_norm_eps": config.norm_eps,
            "tie_word_embeddings": config.tied,
            "hidden_act": "silu",
            "bos_token_id": 0,
            "eos_token_id": 0,
        } | (changes or {})
        (folder / "config.json").write_text(json.dumps(description))
        (folder / "tokenizer.json").write_text(small_tokenizer.to_str())
        (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": CHAT}))
        arrays = {
            file_name(name, _HF, "model.layers"): np.array(array).astype(dtype) for name, array in tiny.tensors.items()
        }
        kept = {name: array for name, array in (arrays | (tensors or {})).items() if array is not None}
        if shards == 1:
            safetensors.numpy.save_file(kept, folder / "model.safetensors")
            return folder
        files = {name: f"model-{i % shards + 1:05}-of-{shards:05}.safetensors" for i, name in enumerate(kept)}
        for file in set(files.values()):
            safetensors.numpy.save_file({n: a for n, a in kept.items() if files[n] == file}, folder / file)
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
        return folder

    return write
