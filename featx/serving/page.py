"""The page to try a model on: one document with its style and its script, in several languages."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from featx.serving.texts import TEXTS, language_of

#: The label of a picture that shows none of the classes.
NONE_OF_THESE = "none of these"

_HERE = Path(__file__).parent
_FILES = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_POLICY = "; ".join(  # nothing but what this service hands out, and nothing within the document
    (
        *("default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"),
        *("img-src 'self' data: blob:", "form-action 'none'", "base-uri 'none'"),
        *("frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"),
    )
)


@dataclass(frozen=True)
class PageSettings:
    """What the page offers.

    Parameters
    ----------
    collects : bool
        Whether answers can be corrected.
    shows_nearest : bool
        Whether there are training pictures to show.
    most_bytes : int
        Of a picture's file.
    """

    collects: bool = False
    shows_nearest: bool = False
    most_bytes: int = 20_000_000


def page_routes(settings: PageSettings) -> list[Route]:
    """List the paths of the page and its files, and what answers them."""

    async def page(request: Request) -> Response:
        wished = request.query_params.get("lang") or request.headers.get("accept-language", "")
        headers = {"content-security-policy": _POLICY, "vary": "accept-language"}
        content = page_in(language_of(wished), settings)
        return Response(content, media_type="text/html; charset=utf-8", headers=headers)

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _FILES:
            return Response("there is no such file", 404, media_type="text/plain")
        return Response(_content_of(name), media_type=_FILES[name])

    return [Route("/", page), Route("/static/{name}", file)]


@cache
def page_in(language: str, settings: PageSettings) -> str:
    """Write the document in a language."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined
    )
    texts = TEXTS[language]
    others = [
        {"language": other, "name": TEXTS[other]["language"]}
        for other in TEXTS
        if other != language
    ]
    told = {**asdict(settings), "texts": dict(texts), "none": NONE_OF_THESE}
    template = environment.get_template("page.html.j2")
    return template.render(language=language, text=texts, others=others, settings=told)


@cache
def _content_of(name: str) -> bytes:
    return (_HERE / name).read_bytes()
