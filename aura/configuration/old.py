"""The Java service's names: what each of them is now, or that it has no counterpart."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from .problems import squashed
from .tree import Leaf, Path, Tree
from .units import boolean

JAVA_LOGGER = "io.github.girisenji.ai.aura"


@dataclass(frozen=True, slots=True)
class Row:
    """A key of a Spring file.

    Args:
        path: the key.
        now: Aura's key that it sets; empty where it is understood otherwise.
        sentence: what is to be known beside that.
        words: values that have another name now.
    """

    path: Path
    now: Path = ()
    sentence: str = ""
    words: tuple[tuple[str, str], ...] = ()


def _row(old: str, now: str = "", sentence: str = "", **words: str) -> Row:
    return Row(tuple(old.split(".")), tuple(now.split(".")) if now else (), sentence, tuple(words.items()))


ROWS = (
    _row("server.port", "aura.server.port"),
    _row("server.address", "aura.server.host"),
    _row("spring.lifecycle.timeout-per-shutdown-phase", "aura.server.graceful-timeout"),
    _row(
        "spring.cache.type",
        "aura.cache.type",
        "`caffeine` and `simple` are `local` now; `none` switches the cache off.",
        caffeine="local",
        simple="local",
    ),
    _row("spring.cache.caffeine.spec", "aura.cache.spec"),
    _row("spring.cache.redis.time-to-live", "aura.cache.ttl", "Spring counts a plain number as milliseconds."),
    _row("spring.data.redis.url", "aura.cache.redis-url"),
    _row("spring.data.redis.host", "", "Part of `aura.cache.redis-url`."),
    _row("spring.data.redis.port", "", "Part of `aura.cache.redis-url`."),
    _row("spring.data.redis.username", "", "Part of `aura.cache.redis-url`."),
    _row("spring.data.redis.password", "", "Part of `aura.cache.redis-url`."),
    _row("spring.data.redis.database", "", "Part of `aura.cache.redis-url`."),
    _row("spring.data.redis.ssl.enabled", "", "`rediss://` in `aura.cache.redis-url`."),
    _row(
        "spring.threads.virtual.enabled",
        "",
        "Green threads are the counterpart, and always on: `true` is accepted, `false` refused.",
    ),
    _row("spring.profiles.active", "", "`AURA_PROFILE`; profiles are files such as `aura-prod.yml`."),
    _row("spring.config.activate.on-profile", "", "Understood: the document of a file is for that profile."),
    _row("logging.file.name", "aura.log.file"),
)
# Sections of a Spring file that configure Spring, its libraries or its build, not the gateway.
SECTIONS = frozenset({"spring", "server", "logging", "management", "springdoc", "info", "debug", "trace"}) | frozenset(
    {"resilience4j", "eureka", "feign", "micrometer", "otel", "jasypt", "app", "application"}
)


def translate(tree: Tree, problems: list[tuple[str, str]]) -> list[str]:
    """Put the old keys' values under the new keys, unless those are said in a layer as high.

    Returns:
        A sentence naming what has no counterpart.
    """
    understood = set()
    for row in ROWS:
        path, leaf = _find(tree, row.path)
        if leaf is None:
            continue
        understood.add(path)
        if row.path == ("spring", "threads", "virtual", "enabled"):
            problems += _threads(tree, path, leaf)
        if row.now and leaf.value is not None:
            _move(tree, path, leaf, row)
    _redis(tree)
    understood |= _levels(tree)
    ignored = [path for path in tree.leaves if path[0] in SECTIONS and path not in understood]
    names = dict.fromkeys(_short(path) for path in ignored if tree.leaves[path].value is not None)
    return [f"Ignored, for they have no counterpart here: {', '.join(names)}."] if names else []


def _find(tree: Tree, wanted: Path) -> tuple[Path, Leaf | None]:
    """The leaf of a key, however its words are written; the highest layer's."""
    flat = squashed(".".join(wanted))
    found = [(path, leaf) for path, leaf in tree.leaves.items() if squashed(".".join(path)) == flat]
    return max(found, key=lambda pair: pair[1].layer, default=(wanted, None))


def _move(tree: Tree, path: Path, leaf: Leaf, row: Row) -> None:
    there = tree.leaves.get(row.now)
    if there is not None and there.value is not None and there.layer >= leaf.layer:
        return
    value = leaf.value
    if isinstance(value, str):
        value = dict(row.words).get(value.strip().lower(), value)
        if row.path[-1] == "time-to-live" and value.strip().isdigit():
            value += "ms"
    tree.lay(row.now, Leaf(value, leaf.where, leaf.layer, ".".join(path)))


def _threads(tree: Tree, path: Path, leaf: Leaf) -> list[tuple[str, str]]:
    """What is wrong with a word on virtual threads: anything but yes."""
    try:
        on = leaf.value is None or boolean(str(leaf.value))
    except ValueError as error:
        return [(tree.place(path), str(error))]
    problem = "green threads, the counterpart of virtual threads, cannot be switched off; remove it or say true"
    return [] if on else [(tree.place(path), problem)]


def _redis(tree: Tree) -> None:
    """Make the URL of Redis from Spring's parts of it, where they are the last word."""
    parts = {}
    for name in ("host", "port", "username", "password", "database", "ssl.enabled"):
        path, leaf = _find(tree, ("spring", "data", "redis", *name.split(".")))
        if leaf is not None and isinstance(leaf.value, str) and leaf.value:
            parts[name] = (path, leaf)
    target: Path = ("aura", "cache", "redis-url")
    layer = max((leaf.layer for _, leaf in parts.values()), default=-1)
    there = tree.leaves.get(target)
    if not parts or (there is not None and there.layer >= layer):
        return

    def part(name: str, default: str = "") -> str:
        return parts[name][1].value.strip() if name in parts else default

    host = part("host", "localhost")
    host = f"[{host}]" if ":" in host else host
    login = f"{quote(part('username'), safe='')}:{quote(part('password'), safe='')}@" if "password" in parts else ""
    scheme = "rediss" if part("ssl.enabled", "false").lower() in ("true", "yes", "on") else "redis"
    where = " and ".join(dict.fromkeys(leaf.where for _, leaf in parts.values()))
    url = f"{scheme}://{login}{host}:{part('port', '6379')}/{part('database', '0')}"
    tree.lay(target, Leaf(url, where, layer, "spring.data.redis"))


def _levels(tree: Tree) -> set[Path]:
    """The level of the Java service's logger, or of the nearest one above it."""
    found = {}
    for path, leaf in tree.below(("logging", "level")).items():
        logger = path[-1].lower()
        if logger == "root" or f"{JAVA_LOGGER}.".startswith(f"{logger}."):
            found[path] = leaf
    if not found:
        return set()
    ranked = sorted(found, key=lambda path: (path[-1].lower() != "root", len(path[-1]), found[path].layer))
    _move(tree, ranked[-1], found[ranked[-1]], Row(ranked[-1], ("aura", "log", "level")))
    return set(found)


def _short(path: Path) -> str:
    """A key as far as an operator needs it to recognise it."""
    return ".".join(path if path[0] == "logging" else path[:2])
