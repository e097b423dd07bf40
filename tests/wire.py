"""HTTP as bytes on a socket, for tests that must see or send what no client library would."""

from __future__ import annotations

import json
import re
import socket

CLOSE = "Connection: close"


def everything(link: socket.socket) -> bytes:
    """Read until the server closes."""
    return b"".join(iter(lambda: link.recv(65536), b""))


def until(link: socket.socket, end: bytes) -> bytes:
    """Read until what was read ends so."""
    got = b""
    while not got.endswith(end):
        piece = link.recv(65536)
        assert piece, got
        got += piece
    return got


def get(path: str, *headers: str, version: str = "1.1") -> bytes:
    lines = [f"GET {path} HTTP/{version}", "Host: x", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def post(path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def statuses(data: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", data)]


def error(data: bytes) -> dict:
    head, _, body = data.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head.lower()
    return json.loads(body)["error"]
