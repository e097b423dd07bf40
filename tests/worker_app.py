"""A small WSGI application for the tests of the worker class: each path does one thing an application may do."""

import sys
from urllib.parse import parse_qs

import gevent

from aura import disconnect
from aura.errors import BadRequest, ShuttingDown, TooLarge

LIMIT = 1 << 20


def app(environ, start):
    """Serve a path by the function of its name."""
    options = {key: values[0] for key, values in parse_qs(environ["QUERY_STRING"]).items()}
    name = environ["PATH_INFO"].strip("/").replace("/", "_") or "actuator_health"
    return ROUTES.get(name, missing)(environ, start, options)


def answer(start, body, status="200 OK"):
    start(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def health(environ, start, options):
    if disconnect.draining():
        return answer(start, b"draining", "503 Service Unavailable")
    return answer(start, b"up")


def missing(environ, start, options):
    return answer(start, b"missing", "404 Not Found")


def echo(environ, start, options):
    body = environ["wsgi.input"].read(LIMIT + 1)
    if len(body) > LIMIT:
        raise TooLarge("The body is too large.")
    return answer(start, body)


def lines(environ, start, options):
    stream = environ["wsgi.input"]
    return answer(start, b"|".join([stream.read(3), stream.readline(), stream.readline(), *stream]))


def early(environ, start, options):
    return answer(start, b"no", "401 Unauthorized")


def fail(environ, start, options):
    raise RuntimeError("a bug")


def fail_late(environ, start, options):
    start("200 OK", [])

    def pieces():
        yield b"begun"
        raise RuntimeError("a bug in the middle")

    return pieces()


def bad(environ, start, options):
    raise BadRequest("Not so.", param="field")


def block(environ, start, options):
    """Hold the loop, as no application should."""
    while True:
        pass


def inject(environ, start, options):
    start("200 OK", [("X-A", "b\r\nX-Injected: 1"), ("Content-Length", "0")])
    return []


def short(environ, start, options):
    start("200 OK", [("Content-Length", "10")])
    return [b"short"]


def blob(environ, start, options):
    return answer(start, b"b" * int(options["size"]))


def sleep(environ, start, options):
    watch = disconnect.watch(environ)
    try:
        environ["wsgi.input"].read()
        note("sleeping")
        gevent.sleep(float(options["seconds"]))
        return answer(start, b"slept")
    except disconnect.ClientGone:
        note("gone")
        raise
    except ShuttingDown:
        return answer(start, b"told", "503 Service Unavailable")
    finally:
        watch.stop()


def unwary(environ, start, options):
    """Know nothing of clients that leave and servers that stop."""
    watch = disconnect.watch(environ)
    try:
        note("sleeping")
        gevent.sleep(60)
    finally:
        watch.stop()


def afterwards(environ, start, options):
    """Go on working when the watch has ended."""
    watch = disconnect.watch(environ)
    watch.stop()
    note("sleeping")
    gevent.sleep(float(options["seconds"]))
    note("finished")
    return answer(start, b"done")


def stream(environ, start, options):
    start("200 OK", [("Content-Type", "text/event-stream")])
    return pieces(environ, int(options["count"]), float(options["gap"]), int(options.get("size", 0)))


def pieces(environ, count, gap, size):
    watch = disconnect.watch(environ)
    try:
        for index in range(count):
            yield b"data: %d %b\n\n" % (index, b"x" * size)
            gevent.sleep(gap)
        note("streamed")
    except disconnect.ClientGone:
        note("gone")
        raise
    except GeneratorExit:
        note("closed")
        raise
    except ShuttingDown:
        yield b"data: told\n\n"
    finally:
        watch.stop()


def note(event):
    sys.stderr.write(f"app: {event}\n")
    sys.stderr.flush()


ROUTES = {
    "actuator_health": health,
    "echo": echo,
    "v1_chat_completions": echo,
    "lines": lines,
    "early": early,
    "fail": fail,
    "fail_late": fail_late,
    "bad": bad,
    "block": block,
    "inject": inject,
    "short": short,
    "blob": blob,
    "sleep": sleep,
    "unwary": unwary,
    "afterwards": afterwards,
    "stream": stream,
}
