"""The API's description, and the page that shows it and tries it: OpenAPI 3.1 and Swagger UI.

Facts
  - Swagger UI's files are those of the package flask-swagger-ui; of its code nothing is used. ``validatorUrl: null``
    keeps the page from showing the address of what it describes to a validator on the internet.
  - springdoc served ``/swagger-ui.html`` and ``/v3/api-docs``; links to them keep working, without its redirect.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import gevent
import orjson
from flask import Blueprint, Flask, Response, current_app, request

from ...errors import NotFound

RULES = frozenset(("/swagger-ui.html", "/swagger-ui/index.html", "/swagger-ui/<name>", "/v3/api-docs", "/openapi.json"))

blueprint = Blueprint("docs", __name__)
_PACKAGE, _DISTRIBUTION = "flask_swagger_ui", "flask-swagger-ui"
_SCRIPT = "swagger-initializer.js"
_JAVASCRIPT = "text/javascript"
_ASSETS = {
    "swagger-ui-bundle.js": _JAVASCRIPT,
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
# Everything comes from here; no script or handler stands in the page itself. Icons are written into the style sheet.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Aura Gateway</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="/swagger-ui/swagger-ui.css">
<link rel="icon" type="image/png" href="/swagger-ui/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/swagger-ui/swagger-ui-bundle.js"></script>
<script src="/swagger-ui/{_SCRIPT}"></script>
</body>
</html>
"""
# Keys that are entered are forgotten with the page.
_START = """SwaggerUIBundle({
  url: "/v3/api-docs",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  displayRequestDuration: true,
  persistAuthorization: false,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
});
"""


def register(app: Flask, public: frozenset[str], keys: bool) -> None:
    """Serve the documentation of an application.

    Args:
        public: rules that answer without a key.
        keys: whether keys are configured.
    """

    @cache
    def described() -> bytes:
        # What it imports and builds takes 90 ms, and is wanted by few.
        from .document import document

        return orjson.dumps(document(app, public, keys))

    app.extensions["aura.document"] = described
    app.register_blueprint(blueprint)


@blueprint.get("/v3/api-docs")
@blueprint.get("/openapi.json")
def document() -> Response:
    """This document."""
    told: bytes = gevent.get_hub().threadpool.apply(current_app.extensions["aura.document"])  # the loop goes on
    return Response(told, mimetype="application/json")


@blueprint.get("/swagger-ui.html")
@blueprint.get("/swagger-ui/index.html")
def page() -> Response:
    """The page that shows this document and tries what it describes."""
    return _locked(Response(_PAGE, mimetype="text/html"))


@blueprint.get("/swagger-ui/<name>")
def asset(name: str) -> Response:
    """What the page is made of."""
    if name == _SCRIPT:
        return _locked(Response(_START, mimetype=_JAVASCRIPT))
    if name not in _ASSETS:
        raise NotFound("There is no such part of the page.")
    response = Response(mimetype=_ASSETS[name])
    response.set_etag(version(_DISTRIBUTION))
    response.cache_control.no_cache = True  # a browser may keep it, and asks whether it is still the same
    response.make_conditional(request)
    del response.headers["date"]  # the server's to say
    if response.status_code == 200:
        response.set_data((_folder() / name).read_bytes())
    return _locked(response)


@cache
def _folder() -> Path:
    found = find_spec(_PACKAGE)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "dist"


def _locked(response: Response) -> Response:
    response.headers["content-security-policy"] = _POLICY
    response.headers["x-content-type-options"] = "nosniff"
    response.headers["referrer-policy"] = "no-referrer"
    return response
