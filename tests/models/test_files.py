"""Model files: every form gives the same weights, and no damaged file does anything but say so."""

import json
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gguf
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sohu.models import Checkpoint, LlamaConfig, ModelError, Pretrained, load
from sohu.models.gguf_file import GgufFile, load_gguf
from sohu.models.hf_folder import load_hf
from sohu.models.llama2c import load_llama2c, load_llama2c_vocabulary

Write = Callable[..., Path]


def assert_same(a: Checkpoint, b: Checkpoint) -> None:
    assert list(a.tensors) == list(b.tensors)
    for name, array in a.tensors.items():
        np.testing.assert_array_equal(array, b.tensors[name], err_msg=name)


def changed(config: LlamaConfig, **values: Any) -> dict[str, Any]:
    return {field: getattr(config, field) for field in config.__dataclass_fields__} | values


# What a file gives


def test_gguf_gives_the_weights_in_half_split_order(tiny: Checkpoint, write_gguf: Write, tmp_path: Path) -> None:
    got = load_gguf(GgufFile(write_gguf(tmp_path / "tiny.gguf")))
    assert got.config == LlamaConfig(**changed(tiny.config, norm_eps=float(np.float32(1e-5))))
    assert_same(got, tiny)
    array = got.tensors["layers.1.wq"]
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    assert not array.flags.writeable


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0"])
def test_gguf_dequantizes(tiny: Checkpoint, write_gguf: Write, tmp_path: Path, kind: str) -> None:
    """Against the gguf package's own round trip of the same matrix, in one piece."""
    number = gguf.GGMLQuantizationType[kind]
    got = load_gguf(GgufFile(write_gguf(tmp_path / "tiny.gguf", kind=number)))
    for name in ("tok_embed", "layers.0.w_down", "layers.1.wv", "lm_head"):
        stored = gguf.dequantize(gguf.quantize(np.array(tiny.tensors[name]), number), number)
        np.testing.assert_array_equal(got.tensors[name], stored)
        assert np.abs(got.tensors[name] - tiny.tensors[name]).max() < 0.2
    np.testing.assert_array_equal(got.final_norm, tiny.final_norm)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("shards", [1, 3])
def test_hugging_face_folder(tiny: Checkpoint, write_hf: Write, tmp_path: Path, dtype: Any, shards: int) -> None:
    got = load_hf(write_hf(tmp_path, dtype=dtype, shards=shards))
    assert got.config == tiny.config
    assert_same(got, tiny)


def test_tied_heads(tiny: Checkpoint, write_gguf: Write, write_hf: Write, tmp_path: Path) -> None:
    from_gguf = load_gguf(GgufFile(write_gguf(tmp_path / "tied.gguf", tensors={"output.weight": None})))
    # A head that the configuration ties is not read, as in Hugging Face's own loader.
    from_hf = load_hf(write_hf(tmp_path / "hf", {"tie_word_embeddings": True}))
    for got in (from_gguf, from_hf):
        assert got.config.tied
        assert "lm_head" not in got.tensors
        assert got.lm_head is got.tok_embed
        np.testing.assert_array_equal(got.lm_head, tiny.tok_embed)


def test_rope_in_the_newer_spelling(write_hf: Write, tmp_path: Path) -> None:
    folder = write_hf(tmp_path, {"rope_theta": None, "rope_parameters": {"rope_theta": 7e5, "rope_type": "default"}})
    assert load_hf(folder).config.rope_theta == 7e5


def test_smollm2_is_what_its_card_says(smollm2: Pretrained) -> None:
    config = smollm2.checkpoint.config
    assert (config.n_layers, config.dim, config.ffn_dim, config.vocab_size) == (30, 576, 1536, 49152)
    assert (config.n_heads, config.n_kv_heads, config.head_dim, config.group) == (9, 3, 64, 3)
    assert (config.rope_theta, config.tied, config.max_positions) == (1e5, True, 8192)
    assert config.norm_eps == pytest.approx(1e-5)
    assert sum(array.size for array in smollm2.checkpoint.tensors.values()) == 134_515_008


def test_stories260k_is_what_its_card_says(stories: Pretrained) -> None:
    config = stories.checkpoint.config
    assert (config.n_layers, config.dim, config.n_heads, config.n_kv_heads) == (5, 64, 8, 4)
    assert (config.ffn_dim, config.vocab_size, config.max_positions, config.tied) == (172, 512, 512, True)
    assert load(stories.path).tokenizer.vocab_size == 512


def test_load_takes_every_form(tiny: Checkpoint, write_gguf: Write, write_hf: Write, tmp_path: Path) -> None:
    write_gguf(tmp_path / "model.of.mine")  # known by its content
    for path in (tmp_path / "model.of.mine", write_hf(tmp_path / "folder")):
        model = load(str(path))
        assert_same(model.checkpoint, tiny)
        assert model.tokenizer.decode(model.tokenizer.encode("lazy dog")) == "lazy dog"


def test_map_makes_a_new_checkpoint(tiny: Checkpoint) -> None:
    half = tiny.map(lambda name, array: array * np.float32(0.5) if name == "layers.1.wo" else array)
    np.testing.assert_array_equal(half.layers[1].wo, tiny.layers[1].wo / 2)
    np.testing.assert_array_equal(half.layers[0].wo, tiny.layers[0].wo)
    with pytest.raises(ModelError, match="tensor final_norm was read as"):
        tiny.map(lambda name, array: array[:1] if name == "final_norm" else array)


# What a bad file says


@contextmanager
def refused(message: str, where: Path) -> Iterator[None]:
    """Expects a ModelError of one short line about the file `where` (or one inside that folder)."""
    with pytest.raises(ModelError, match=message) as raised:
        yield
    assert raised.value.where.startswith(str(where))
    assert "\n" not in raised.value.message
    assert len(raised.value.message) < 200


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"general.architecture": "qwen2"}, "the architecture is 'qwen2'; only 'llama' is built here"),
        ({"llama.block_count": None}, "'llama.block_count' is missing"),
        ({"llama.block_count": "two"}, "'llama.block_count' is not an integer"),
        ({"llama.block_count": True}, "'llama.block_count' is not an integer"),
        ({"llama.block_count": 3}, "tensor layers.2.attn_norm is missing"),
        ({"llama.block_count": 1}, "tensor layers.1.attn_norm has no place"),
        ({"llama.block_count": 4_000_000_000}, "n_layers is 4000000000; it must be 1 to 1024"),
        ({"llama.vocab_size": 4_000_000_000}, "vocab_size is 4000000000"),
        ({"llama.embedding_length": 64}, r"tensor tok_embed has shape \[320, 32\]; .* \[320, 64\]"),
        ({"llama.attention.head_count": 0}, "0 attention heads over a width of 32"),
        ({"llama.attention.head_count": 5}, "5 heads cannot share 2 key/value heads"),
        ({"llama.attention.head_count_kv": 4}, r"tensor layers.0.wk has shape \[16, 32\]"),
        ({"llama.attention.key_length": 7, "llama.attention.value_length": 7}, "head_dim is 7"),
        ({"llama.attention.value_length": 4}, "'llama.attention.value_length' is 4; only 8"),
        ({"llama.rope.dimension_count": 4}, "'llama.rope.dimension_count' is 4; only 8"),
        ({"llama.rope.scaling.type": "yarn"}, "RoPE scaling 'yarn' is not built here"),
        ({"llama.rope.freq_base": float("nan")}, "rope_theta is nan"),
        ({"llama.rope.freq_base": -1.0}, "rope_theta is -1.0"),
        ({"llama.attention.layer_norm_rms_epsilon": 0.0}, "norm_eps is 0.0"),
        ({"llama.expert_count": 8}, "'llama.expert_count' is 8; only 0"),
        ({"tokenizer.ggml.bos_token_id": 9999}, "special token 9999 is outside"),
    ],
)
def test_bad_metadata(write_gguf: Write, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = write_gguf(tmp_path / "bad.gguf", changes)
    with refused(message, path):
        load_gguf(GgufFile(path))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"blk.1.attn_k.weight": None}, "tensor layers.1.wk is missing"),
        ({"output_norm.weight": np.ones(31, np.float32)}, r"final_norm has shape \[31\]"),
        ({"rope_freqs.weight": np.ones(4, np.float32)}, "'rope_freqs.weight' is no part of a plain Llama"),
        ({"blk.0.attn_q.bias": np.ones(48, np.float32)}, "'blk.0.attn_q.bias' is no part"),
        ({"blk.0.ffn_norm.weight": np.full(32, np.nan, np.float32)}, "layers.0.mlp_norm holds NaN"),
        ({"output_norm.weight": np.full(32, 3e38, np.float32)}, "final_norm holds NaN, infinity or absurd"),
        ({"output_norm.weight": np.ones(32, np.int32)}, "stored as I32, which cannot be read"),
    ],
)
def test_bad_tensors(write_gguf: Write, tmp_path: Path, tensors: dict[str, Any], message: str) -> None:
    path = write_gguf(tmp_path / "bad.gguf", tensors=tensors)
    with refused(message, path):
        load_gguf(GgufFile(path))


def patched(path: Path, at: int, data: bytes) -> Path:
    content = bytearray(path.read_bytes())
    content[at : at + len(data)] = data
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("at", "data", "message"),
    [
        (0, b"GGML", "not a GGUF file"),
        (4, struct.pack("<I", 1), "GGUF version 1; 2 and 3 are read"),
        (4, struct.pack(">I", 3), "big-endian GGUF"),
        (8, struct.pack("<Q", 2**63), "9,223,372,036,854,775,808 tensors cannot fit"),
        (16, struct.pack("<Q", 2**40), "1,099,511,627,776 metadata values cannot fit"),
        (24, struct.pack("<Q", 2**62), "a name of 4,611,686,018,427,387,904 bytes"),
        (24 + 8, b"\xff\xfe", "text that is not UTF-8"),
        (24 + 8 + len("general.architecture"), struct.pack("<I", 77), "value type 77"),
        (24 + 8 + len("general.architecture") + 4, struct.pack("<Q", 2**50), "the file is cut short"),
    ],
)
def test_a_damaged_header(write_gguf: Write, tmp_path: Path, at: int, data: bytes, message: str) -> None:
    path = patched(write_gguf(tmp_path / "bad.gguf"), at, data)
    with refused(message, path):
        GgufFile(path)


def test_damaged_tensor_entries(write_gguf: Write, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "good.gguf")
    content = path.read_bytes()
    # A tensor's entry: name, uint32 dimensions, each uint64, uint32 type, uint64 offset.
    entry = content.index(b"output_norm.weight") + len("output_norm.weight")
    for at, data, message in (
        (entry, struct.pack("<I", 5), "with 5 dimensions"),
        (entry, struct.pack("<I", 0), "with 0 dimensions"),
        (entry + 4, struct.pack("<Q", 0), "no whole number of blocks"),
        (entry + 4, struct.pack("<Q", 2**60), "the file is cut short"),
        (entry + 12, struct.pack("<I", 99), "of ggml type 99, which is not known"),
        (entry + 16, struct.pack("<Q", 33), "is misaligned"),
        (entry + 16, struct.pack("<Q", 0), "lies over another"),
        (entry + 16, struct.pack("<Q", 2**40), "the file is cut short"),
    ):
        bad = tmp_path / "bad.gguf"
        bad.write_bytes(content)
        patched(bad, at, data)
        with refused(message, bad):
            GgufFile(bad)
    bad.write_bytes(content.replace(b"blk.0.attn_k.weight", b"blk.0.attn_v.weight"))
    with refused("tensor 'blk.0.attn_v.weight' twice", bad):
        GgufFile(bad)


def test_every_truncation_is_refused(write_gguf: Write, tmp_path: Path) -> None:
    """A file cut anywhere loses a tensor or part of the header; never does it load."""
    content = write_gguf(tmp_path / "good.gguf").read_bytes()
    bad = tmp_path / "cut.gguf"
    # Alignment leaves padding after the last tensor; short of that, every length is refused.
    for length in [*range(0, 400), *range(400, len(content) - 128, 997), len(content) - 128]:
        bad.write_bytes(content[:length])
        with pytest.raises(ModelError) as raised:
            GgufFile(bad)
        assert raised.value.where == str(bad)


@given(data=st.data())
@settings(max_examples=150)
def test_flipped_bytes_never_crash_the_loader(
    write_gguf: Write, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.getbasetemp() / "flips"
    folder.mkdir(exist_ok=True)
    good = folder / "good.gguf"
    content = bytearray((good if good.exists() else write_gguf(good)).read_bytes())
    header = content.index(b"blk.1.ffn_up.weight") + 64
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(4, header) | st.integers(4, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    bad = folder / "bad.gguf"
    bad.write_bytes(content)
    try:
        model = load(bad)
    except ModelError as error:
        assert "\n" not in error.message
    else:
        model.tokenizer.decode(model.tokenizer.encode("the lazy dog 🙂"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "mistral"}, 'model_type is "mistral"; only "llama" is built here'),
        ({"model_type": None}, "model_type is null"),
        ({"hidden_act": "gelu"}, 'hidden_act is "gelu"'),
        ({"attention_bias": True}, "attention_bias is set"),
        ({"mlp_bias": True}, "mlp_bias is set"),
        ({"quantization_config": {"bits": 4}}, "quantization_config is set"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8}}, 'RoPE scaling "llama3" is not built'),
        ({"rope_scaling": {"type": "linear"}}, 'RoPE scaling "linear"'),
        ({"rope_scaling": "yarn"}, "rope_scaling is not an object"),
        ({"hidden_size": None}, "'hidden_size' is null, not int"),
        ({"hidden_size": "32"}, "'hidden_size' is \"32\", not int"),
        ({"hidden_size": 32.0}, "'hidden_size' is 32.0, not int"),
        ({"num_hidden_layers": True}, "'num_hidden_layers' is true, not int"),
        ({"num_hidden_layers": -1}, "n_layers is -1"),
        ({"num_hidden_layers": 3}, "tensor layers.2.attn_norm is missing"),
        ({"num_attention_heads": 10**30}, "attention heads over a width of 32"),
        ({"rope_theta": 10**400}, "'rope_theta' is 1000.*, not float"),
        ({"rope_theta": "big"}, "'rope_theta' is \"big\", not float"),
        ({"rms_norm_eps": float("nan")}, "norm_eps is nan"),
        ({"tie_word_embeddings": "no"}, "'tie_word_embeddings' is \"no\", not bool"),
        ({"eos_token_id": ["a"]}, "'eos_token_id' is .*, not token ids"),
        ({"eos_token_id": [5, 320]}, "special token 320 is outside"),
    ],
)
def test_bad_config_json(write_hf: Write, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    folder = write_hf(tmp_path, changes)
    with refused(message, folder):
        load_hf(folder)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"model.norm.weight": None}, "tensor final_norm is missing"),
        ({"model.norm.weight": np.ones(31, np.float32)}, r"final_norm has shape \[31\]"),
        (
            {"model.norm.weight": np.ones(32, np.int8)},
            "'model.norm.weight' is I8; F32, F16 and BF16 are read",
        ),
        ({"model.layers.0.self_attn.q_proj.bias": np.ones(48, np.float32)}, "no part of a plain Llama"),
        ({"model.layers.7.mlp.up_proj.weight": np.ones((64, 32), np.float32)}, "layers.7.w_up has no place"),
        ({"model.norm.weight": np.full(32, np.inf, np.float32)}, "final_norm holds NaN, infinity"),
    ],
)
def test_bad_safetensors(write_hf: Write, tmp_path: Path, tensors: dict[str, Any], message: str) -> None:
    folder = write_hf(tmp_path, tensors=tensors)
    with refused(message, folder):
        load_hf(folder)


def test_old_checkpoints_carry_rope_frequencies(tiny: Checkpoint, write_hf: Write, tmp_path: Path) -> None:
    extra = {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(4, np.float32)}
    assert_same(load_hf(write_hf(tmp_path, tensors=extra)), tiny)


def test_truncated_safetensors(write_hf: Write, tmp_path: Path) -> None:
    folder = write_hf(tmp_path)
    file = folder / "model.safetensors"
    content = file.read_bytes()
    for length in (0, 4, 8, 100, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:length])
        with refused("damaged safetensors", file):
            load_hf(folder)
    file.write_bytes(struct.pack("<Q", 2**62) + content[8:])
    with refused("damaged safetensors", file):
        load_hf(folder)


def test_incomplete_folders(write_hf: Write, tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        folder = write_hf(tmp_path / name)
        (folder / name).unlink()
        with refused("no such file", folder / name):
            load(folder)
    folder = write_hf(tmp_path / "shards", shards=2)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with refused("no such file", folder / "model-00002-of-00002.safetensors"):
        load(folder)


@pytest.mark.parametrize("name", ["../other/model.safetensors", "/etc/passwd", "..\\x.safetensors", "x.bin", 3, [], {}])
def test_a_shard_index_stays_in_its_folder(write_hf: Write, tmp_path: Path, name: object) -> None:
    folder = write_hf(tmp_path / "model", shards=2)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"model.norm.weight": name}}))
    with refused("not a file of this folder", index):
        load_hf(folder)
    index.write_text("{}")
    with refused("no weight_map", index):
        load_hf(folder)


def test_files_that_are_no_model(tmp_path: Path) -> None:
    for name, content in (("x.txt", b"hello"), ("empty", b""), ("short.gguf", b"GG")):
        path = tmp_path / name
        path.write_bytes(content)
        with refused("not a model file", path):
            load(path)
    with refused("no such model file or folder", tmp_path):
        load(tmp_path / "gone.gguf")
    (tmp_path / "dir").mkdir()
    with refused("no such file", tmp_path / "dir" / "config.json"):
        load(tmp_path / "dir")
    with refused("not a regular file", tmp_path / "dir"):
        GgufFile(tmp_path / "dir")


def test_a_tokenizer_with_more_tokens_than_the_model(write_gguf: Write, tiny: Checkpoint, tmp_path: Path) -> None:
    fewer = {
        "token_embd.weight": np.array(tiny.tok_embed[:300]),
        "output.weight": np.array(tiny.lm_head[:300]),
    }
    path = write_gguf(tmp_path / "bad.gguf", {"llama.vocab_size": 300}, fewer)
    with refused("the tokenizer has 320 tokens, the model 300", path):
        load(path)


# llama2.c


def write_llama2c(folder: Path) -> Path:
    """A random untied model in the llama2.c form, with a few tokens besides the bytes."""
    random = np.random.default_rng(1)
    dim, ffn, layers, heads, kv_heads, vocab, positions = 16, 24, 2, 4, 2, 262, 32
    kv = dim // heads * kv_heads
    shapes = [(vocab, dim), (layers, dim), (layers, dim, dim), (layers, kv, dim), (layers, kv, dim)]
    shapes += [(layers, dim, dim), (layers, dim), (layers, ffn, dim), (layers, dim, ffn), (layers, ffn, dim)]
    shapes += [(dim,), (2, positions, dim // heads // 2), (vocab, dim)]
    blob = struct.pack("<7i", dim, ffn, layers, heads, kv_heads, -vocab, positions)
    blob += b"".join(random.standard_normal(shape).astype("<f4").tobytes() for shape in shapes)
    (folder / "model.bin").write_bytes(blob)
    pieces = ["<unk>", "\n<s>\n", "\n</s>\n", *(f"<0x{b:02X}>" for b in range(256)), " ", "a", " a"]
    table = b"".join(struct.pack("<fi", float(-i), len(p.encode())) + p.encode() for i, p in enumerate(pieces))
    (folder / "tokenizer.bin").write_bytes(struct.pack("<i", 7) + table)
    return folder / "model.bin"


def test_llama2c_with_a_head_of_its_own(tmp_path: Path) -> None:
    path = write_llama2c(tmp_path)
    model = load(path)
    got, flat = model.checkpoint, np.frombuffer(path.read_bytes()[28:], "<f4")
    assert not got.config.tied
    np.testing.assert_array_equal(got.tok_embed.ravel(), flat[: 262 * 16])
    np.testing.assert_array_equal(got.lm_head.ravel(), flat[-262 * 16 :])
    wq = flat[262 * 16 + 32 :][: 16 * 16].reshape(16, 16)  # layer 0, heads of 4: rows 0 2 1 3
    np.testing.assert_array_equal(got.layers[0].wq[:4], wq[[0, 2, 1, 3]])
    assert model.tokenizer.encode("a b") == [1, 261, 259, 3 + ord("b")]
    assert model.tokenizer.decode(model.tokenizer.encode("a é"), special=False) == "a é"


def test_bad_llama2c(tmp_path: Path) -> None:
    path = write_llama2c(tmp_path)
    content = path.read_bytes()
    for data, message in (
        (b"", "shorter than its header"),
        (content[:-1], "its header asks for"),
        (content + b"\0", "its header asks for"),
        (struct.pack("<7i", *[2**31 - 1] * 7) + content[28:], "not a llama2.c model"),
        (struct.pack("<7i", *[-1] * 7) + content[28:], "not a llama2.c model"),
        (b"\x89PNG\r\n\x1a\n" * 10, "not a llama2.c model"),
    ):
        path.write_bytes(data)
        with refused(message, path):
            load_llama2c(path)
    path.write_bytes(content)
    words = tmp_path / "tokenizer.bin"
    table = words.read_bytes()
    for data, message in (
        (b"", "damaged tokenizer: token 0 of 262"),
        (table[:100], "damaged tokenizer: token"),
        (table[:8] + struct.pack("<i", -5) + table[12:], "damaged tokenizer: token 0"),
        (table[:8] + struct.pack("<i", 2**31 - 1) + table[12:], "damaged tokenizer: token 0"),
        (table[:4] + struct.pack("<f", float("nan")) + table[8:], "damaged tokenizer: token 0"),
        (table + b"more", "4 bytes after 262 tokens"),
        (b"\0" * 1_000_000, "at most 270,388 are read"),
    ):
        words.write_bytes(data)
        with refused(message, words):
            load_llama2c_vocabulary(words, 262)
    words.unlink()
    with refused("no tokenizer beside it", path):
        load(path)
