"""Asks a gateway as openai 0.28 does; run by an interpreter that has it. Prints one JSON line."""

import json
import sys

import openai

openai.api_base = f"{sys.argv[1]}/v1"
openai.api_key = "none"
messages = [{"role": "user", "content": "Hello!"}]
whole = openai.ChatCompletion.create(model="gpt-4", messages=messages)
pieces = [
    chunk["choices"][0]["delta"].get("content") or ""
    for chunk in openai.ChatCompletion.create(model="gpt-4", messages=messages, stream=True)
]
print(json.dumps({"whole": whole["choices"][0]["message"]["content"], "streamed": "".join(pieces)}))
