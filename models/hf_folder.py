"""Reading a model folder in Hugging Face form: config.json and safetensors (one file or shards)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  (registers bfloat16 with NumPy, which safetensors asks for by name)
import numpy as np
from sohu.models.config import LlamaConfig
from sohu.models.errors import ModelError, file_size, optional, read_text
from sohu.models.weights import F32, Checkpoint, Source, check_tensors

JSON_LIMIT = 64 << 20  # the largest published tokenizer.json is about 30 MB
_READABLE = {"F32", "F16", "BF16"}

_NAMES = {
    "model.embed_tokens.weight": "tok_embed",
    "model.norm.weight": "final_norm",
    "lm_head.weight": "lm_head",
}
_LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "wq",
    "self_attn.k_proj": "wk",
    "self_attn.v_proj": "wv",
    "self_attn.o_proj": "wo",
    "post_attention_layernorm": "mlp_norm",
    "mlp.gate_proj": "w_gate",
    "mlp.up_proj": "w_up",
    "mlp.down_proj": "w_down",
}
_LAYER_TENSOR = re.compile(r"model\.layers\.(0|[1-9]\d*)\.([\w.]+)\.weight", re.ASCII)
# Old checkpoints store RoPE's frequencies; they follow from rope_theta.
_DERIVED = re.compile(r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq", re.ASCII)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path` (at most JSON_LIMIT bytes); ModelError when it holds anything else."""
    return parse_json(read_text(path, limit=JSON_LIMIT), path)


def parse_json(text: str, path: Path) -> dict[str, Any]:
    """The JSON object in `text`, which came from `path`; ModelError when it holds anything else."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ModelError(f"not JSON: {error.msg} (line {error.lineno})", where=str(path)) from error
    except RecursionError:
        raise ModelError("not JSON that can be read: nested too deep", where=str(path)) from None
    except ValueError as error:  # an integer with more digits than Python converts
        raise ModelError(f"not JSON that can be read: {error}", where=str(path)) from error
    if not isinstance(value, dict):
        raise ModelError("not a JSON object", where=str(path))
    return value


def _get(config: Mapping[str, Any], key: str, kind: type, where: str, default: object = None) -> Any:
    value = config.get(key)
    value = default if value is None else value
    # JSON writes 10000.0 as 10000; an integer that no float holds is not a number we can use.
    if kind is float and type(value) is int and abs(value) < 1 << 53:
        return float(value)
    if type(value) is not kind:  # a bool is no int here
        raise ModelError(f"{key!r} is {json.dumps(value)[:40]}, not {kind.__name__}", where=where)
    return value


def token_ids(value: object, key: str, where: str) -> tuple[int, ...]:
    """The ids in a config's `eos_token_id`-like entry: absent, one integer or a list of them."""
    ids = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(i, int) and not isinstance(i, bool) for i in ids):
        raise ModelError(f"{key!r} is {json.dumps(value)[:40]}, not token ids", where=where)
    return tuple(ids)


def hf_config(folder: Path) -> LlamaConfig:
    """The LlamaConfig of `folder`/config.json; ModelError when it is another architecture or variant."""
    path = folder / "config.json"
    where = str(path)
    raw = read_json(path)
    kind = raw.get("model_type")
    if kind != "llama":
        raise ModelError(f'model_type is {json.dumps(kind)[:40]}; only "llama" is built here', where=where)
    act = raw.get("hidden_act", "silu")
    if act != "silu":
        raise ModelError(f'hidden_act is {json.dumps(act)[:40]}; only "silu" is built here', where=where)
    for key in ("attention_bias", "mlp_bias", "quantization_config"):
        if raw.get(key):
            raise ModelError(f"{key} is set, which is not built here", where=where)
    # `rope_parameters` is the newer spelling; it holds rope_theta as well.
    rope = raw.get("rope_parameters") or raw.get("rope_scaling") or {}
    if not isinstance(rope, dict):
        raise ModelError("rope_scaling is not an object", where=where)
    style = rope.get("rope_type", rope.get("type", "default"))
    if style != "default":
        raise ModelError(f"RoPE scaling {json.dumps(style)[:40]} is not built here", where=where)
    dim, heads = _get(raw, "hidden_size", int, where), _get(raw, "num_attention_heads", int, where)
    if not 1 <= heads <= dim:
        raise ModelError(f"{heads} attention heads over a width of {dim}", where=where)
    bos = token_ids(raw.get("bos_token_id"), "bos_token_id", where)
    theta = rope if "rope_theta" in rope else raw
    try:
        return LlamaConfig(
            dim=dim,
            n_layers=_get(raw, "num_hidden_layers", int, where),
            n_heads=heads,
            n_kv_heads=_get(raw, "num_key_value_heads", int, where, heads),
            head_dim=_get(raw, "head_dim", int, where, dim // heads),
            ffn_dim=_get(raw, "intermediate_size", int, where),
            vocab_size=_get(raw, "vocab_size", int, where),
            max_positions=_get(raw, "max_position_embeddings", int, where, 2048),
            rope_theta=_get(theta, "rope_theta", float, where, 10000.0),
            norm_eps=_get(raw, "rms_norm_eps", float, where, 1e-6),
            tied=_get(raw, "tie_word_embeddings", bool, where, False),
            bos_id=bos[0] if bos else None,
            eos_ids=token_ids(raw.get("eos_token_id"), "eos_token_id", where),
        )
    except ModelError as error:
        raise ModelError(error.message, where=where) from error


def _canonical(name: str) -> str | None:
    if match := _LAYER_TENSOR.fullmatch(name):
        layer, tensor = match.groups()
        return f"layers.{layer}.{_LAYER_NAMES[tensor]}" if tensor in _LAYER_NAMES else None
    return _NAMES.get(name)


def _shards(folder: Path) -> list[Path]:
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.exists() or not index.exists():
        return [single]
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict):
        raise ModelError("no weight_map", where=str(index))
    for name in names.values():
        if not isinstance(name, str) or "/" in name or "\\" in name or not name.endswith(".safetensors"):
            raise ModelError(f"weight_map names {json.dumps(name)[:60]}, not a file of this folder", where=str(index))
    return [folder / name for name in sorted(set(names.values()))]


def load_hf(folder: Path) -> Checkpoint:
    """Load a Hugging Face folder to a Checkpoint; raises ModelError as `open_hf` does."""
    return open_hf(folder).checkpoint()


def open_hf(folder: Path) -> Source:
    """Open a Hugging Face folder (float32, float16 or bfloat16 safetensors).

    Names, shapes and dtypes are checked before anything is allocated, and the safetensors package checks
    that the data covers the file exactly, so at most twice the files' size is allocated. Raises ModelError.
    """
    safetensors = optional("safetensors")
    config = hf_config(folder)
    opened: dict[str, tuple[Any, str]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    shards = _shards(folder)
    for path in shards:
        file_size(path)
        try:
            file = safetensors.safe_open(path, framework="numpy")
        except (safetensors.SafetensorError, OSError) as error:
            raise ModelError(f"damaged safetensors: {error}", where=str(path)) from error
        for name in file.keys():  # noqa: SIM118  (not a dict)
            canonical = _canonical(name)
            if _DERIVED.fullmatch(name) or (canonical == "lm_head" and config.tied):
                continue
            if canonical is None or canonical in opened:
                why = "twice" if canonical else "no part of a plain Llama (biases and experts are not built here)"
                raise ModelError(f"tensor {name!r} is {why}", where=str(path))
            view = file.get_slice(name)
            if view.get_dtype() not in _READABLE:
                raise ModelError(f"tensor {name!r} is {view.get_dtype()}; F32, F16 and BF16 are read", where=str(path))
            opened[canonical] = (file, name)
            shapes[canonical] = tuple(view.get_shape())
    check_tensors(config, shapes, where=str(folder))

    def read(canonical: str) -> F32:
        file, name = opened[canonical]
        return np.asarray(file.get_tensor(name), dtype=np.float32)

    return Source(config, read, str(folder), (folder / "config.json", *shards))
