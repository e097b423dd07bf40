"""What is known of models: tier, window, output limit, capabilities, prices.

Capabilities, a closed set:

``vision`` ``tools`` ``json_object`` ``json_schema`` ``audio`` ``documents``   what a request may hold
``reasoning``            a reasoning model: longer limits, ``reasoning_effort``
``sampling``             takes ``temperature``, ``top_p`` and penalties
``prefill``              continues a conversation that ends with an assistant turn
``adaptive_thinking``    Anthropic: thinking is ``adaptive`` with an effort, not a budget
``system_anywhere``      takes a system message in mid-conversation
``developer_role``       knows the role ``developer``
``max_completion_tokens``  wants that name instead of ``max_tokens``
``streaming``            can stream
``embeddings``           makes embeddings; not a chat model
"""

from __future__ import annotations

from .call import Model

# What an unknown model is taken for: an ordinary one that can do everything, of unknown window.
ORDINARY = frozenset(
    {"vision", "tools", "json_object", "json_schema", "audio", "documents", "sampling", "system_anywhere"}
    | {"developer_role", "streaming"}
)


def unknown(name: str) -> Model:
    """The model that nothing is known of."""
    return Model(name, capabilities=ORDINARY)
