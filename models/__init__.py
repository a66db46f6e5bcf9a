"""Real transformers on the chip: model files, tokenizers and the NumPy reference they are checked against.

`load("smollm2")` gives weights and tokenizer; `reference.forward` runs them as plain NumPy. Opening a model
file needs the `models` extra (gguf, tokenizers, safetensors, jinja2); importing this room does not.
"""

from sohu.emulator.cache import cache_folder
from sohu.models.config import LlamaConfig
from sohu.models.errors import ModelError
from sohu.models.fetch import MODELS, resolve
from sohu.models.pretrained import Pretrained, load
from sohu.models.tokenizer import StreamDecoder, Tokenizer
from sohu.models.weights import Checkpoint, LayerWeights

__all__ = [
    "MODELS",
    "Checkpoint",
    "LayerWeights",
    "LlamaConfig",
    "ModelError",
    "Pretrained",
    "StreamDecoder",
    "Tokenizer",
    "cache_folder",
    "load",
    "resolve",
]
