"""How alike two short texts are, by a small model that a Python package brings: no download, no other process.

Facts
  - wordllama holds 256 numbers for each token of Llama 2's vocabulary (16 MB, MIT licence). The mean of a text's tokens
    stands for the text: words count, their order does not.
  - The package itself loads requests and pydantic, sets up the root logger, and fetches files that it does not find.
    So its two files are read here, and the package is never imported.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_WEIGHTS, _TOKENS = "weights/l2_supercat_256.safetensors", "tokenizers/l2_supercat_tokenizer_config.json"
_TENSOR = "embedding.weight"


class StaticModel:
    """The model; takes about 50 MB, and 30 µs for two questions.

    Raises:
        ImportError: the extra ``semantic`` is not installed.
    """

    def __init__(self) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # threads of its own do not survive a fork
        import numpy
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        spec = find_spec("wordllama")
        if spec is None or spec.origin is None:
            raise ImportError("wordllama is not installed")
        folder = Path(spec.origin).parent
        self._numpy: Any = numpy
        self._tokenizer: Any = Tokenizer.from_file(str(folder / _TOKENS))
        self._tokenizer.no_padding()
        self._numbers: Any = load_file(folder / _WEIGHTS)[_TENSOR]

    def __call__(self, one: str, other: str) -> float:
        """How alike two texts are, 0 to 1."""
        return cosine(self._vector(one), self._vector(other))

    def _vector(self, text: str) -> Any:
        tokens = self._tokenizer.encode(text.lower(), add_special_tokens=False).ids
        return self._numbers[tokens].astype(self._numpy.float32).sum(0)


def cosine(one: Any, other: Any) -> float:
    """The cosine of two vectors of numpy's, 0 where it is negative or there is none."""
    sizes = float((one @ one) * (other @ other)) ** 0.5
    return min(1.0, max(0.0, float(one @ other) / sizes)) if sizes > 0 else 0.0
