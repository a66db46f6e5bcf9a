"""The commands as people run them: real processes; and a very small model to talk with."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import tokenizers

TEMPLATE = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}<|assistant|>"
BIN = Path(sys.executable).parent

Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]
WORDS = "the chip hums; a kernel waits for its tile, and the tile for its kernel"


def environment(**more: str) -> dict[str, str]:
    """The environment of a command: its tools on the path, no colours, no display."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "NO_COLOR": "1", "TERM": "dumb", **more}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`run("sohu", "isa", ...)` in a folder of its own; a traceback fails the test."""

    def call(*words: str | Path, input: str = "", timeout: float = 120, **more: str) -> Done:
        raw = subprocess.run(
            [str(BIN / words[0]), *map(str, words[1:])],
            cwd=tmp_path, env=environment(**more), input=input.encode(), capture_output=True, timeout=timeout,
            check=False,
        )  # fmt: skip
        # decoded here, since text mode would turn the carriage returns of a model's answer into newlines
        done = subprocess.CompletedProcess(raw.args, raw.returncode, raw.stdout.decode(), raw.stderr.decode())
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return call


@pytest.fixture
def kernel_file(tmp_path: Path) -> Path:
    """A Python file with one kernel: y = 2 x."""
    path = tmp_path / "double.py"
    path.write_text(
        "import sohu\n"
        "from sohu import In, Out, f32\n\n\n"
        "@sohu.kernel\n"
        'def double(x: In[f32, "R C"], y: Out[f32, "R C"], *, rows: int = 64):\n'
        "    for r in sohu.range(0, x.R, rows):\n"
        "        y[r : r + rows] = x[r : r + rows] * 2.0\n"
    )
    return path


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama with random weights as a Hugging Face folder, with a byte-level tokenizer and a chat template."""
    folder = tmp_path_factory.mktemp("small-model")
    backend = tokenizers.Tokenizer(tokenizers.models.BPE())
    backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = tokenizers.decoders.ByteLevel()
    special = ["<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>"]
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=special,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator([WORDS] * 4, trainer)
    backend.save(str(folder / "tokenizer.json"))
    vocabulary, width, heads, hidden, layers = backend.get_vocab_size(), 32, 4, 48, 2
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE, "eos_token": "<|end|>"}))
    (folder / "config.json").write_text(
        json.dumps(
            {
                "architectures": ["LlamaForCausalLM"],
                "model_type": "llama",
                "hidden_act": "silu",
                "hidden_size": width,
                "intermediate_size": hidden,
                "num_hidden_layers": layers,
                "num_attention_heads": heads,
                "num_key_value_heads": 2,
                "vocab_size": vocabulary,
                "max_position_embeddings": 160,
                "rms_norm_eps": 1e-5,
                "rope_theta": 10000.0,
                "tie_word_embeddings": True,
                "eos_token_id": 3,
            }
        )
    )
    random = np.random.default_rng(3)

    def weight(*shape: int) -> np.ndarray:
        return random.normal(0, 0.5, shape).astype(np.float32)

    tensors = {"model.embed_tokens.weight": weight(vocabulary, width), "model.norm.weight": weight(width)}
    for i in range(layers):
        at = f"model.layers.{i}."
        rows = {"q": width, "k": width // 2, "v": width // 2, "o": width}
        tensors |= {f"{at}self_attn.{n}_proj.weight": weight(rows[n], width) for n in rows}
        tensors |= {f"{at}mlp.{n}_proj.weight": weight(hidden, width) for n in ("gate", "up")}
        tensors |= {f"{at}mlp.down_proj.weight": weight(width, hidden)}
        tensors |= {f"{at}{n}_layernorm.weight": weight(width) for n in ("input", "post_attention")}
    safetensors.numpy.save_file(tensors, str(folder / "model.safetensors"))
    return folder
