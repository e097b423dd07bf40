"""What follows from the settings where they are served: how many workers and connections, and whether at all."""

from __future__ import annotations

import os
import resource
from ipaddress import ip_address

from ..call import TIERS
from ..settings import Settings

_SPARE_DESCRIPTORS = 200
_UNLIMITED = 1_048_576


def may_serve(settings: Settings) -> str | None:
    """Why the settings may not be served on their address; None if they may."""
    if settings.auth.keys or settings.auth.allow_anonymous or is_loopback(settings.server.host):
        return None
    return (
        f"without client keys only this machine is served, and {settings.server.host or 'every address'} is open to"
        " others: configure keys (AURA_AUTH_KEYS=name:key), or say AURA_ALLOW_ANONYMOUS=true"
    )


def is_loopback(host: str) -> bool:
    """Whether an address to listen on reaches no other machine."""
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return host.lower() == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def worker_count(settings: Settings, cores: int | None = None) -> int:
    """How many workers serve: the number set, else one for each core that the process may use."""
    if settings.server.workers or cores:
        return settings.server.workers or cores or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def connection_count(settings: Settings, hard_limit: int | None = None) -> int:
    """How many connections a worker takes: the number set, else what its descriptors allow, two for each call."""
    if settings.server.worker_connections:
        return settings.server.worker_connections
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1] if hard_limit is None else hard_limit
    limit = _UNLIMITED if limit in (resource.RLIM_INFINITY, -1) else limit
    return max(1, (limit - _SPARE_DESCRIPTORS) // 2)


def who_answers(settings: Settings) -> list[str]:
    """A sentence for each tier, with its targets in the order of the configuration; none where the demo answers."""
    on = [entry for entry in settings.providers.values() if entry.enabled]
    if all(entry.type == "demo" for entry in on):
        return []
    told = []
    for tier in TIERS:
        targets = [f"{entry.name}/{model.name}" for entry in on for model in entry.models.get(tier, ())]
        told.append(f"{tier.value}: {', '.join(targets) or 'no model; the next tier up answers, else one below'}.")
    return told
