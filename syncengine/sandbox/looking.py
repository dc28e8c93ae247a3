"""Everything that is not the API: control (JSON under `/sandbox/`) and the pages for people.

Neither needs a token, since the sandbox listens on loopback. A web page from elsewhere, open in the same browser, may
still reach for it: it is turned away by the `Host` and `Origin` headers.
"""

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from syncengine.sandbox.control import control_routes
from syncengine.sandbox.pages import page_routes

if TYPE_CHECKING:
    from syncengine.sandbox.sandbox import Sandbox


def looking_app(sandbox: "Sandbox") -> ASGIApp:
    app = Starlette(routes=[*control_routes(sandbox), *page_routes(sandbox)])
    app.router.redirect_slashes = False
    return _OurVisitorsOnly(app)


class _OurVisitorsOnly:
    """Turns away what another site has a browser send."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_ours(Headers(scope=scope)):
            refusal = PlainTextResponse("This sandbox is looked at by its IP address, or as localhost.\n", 403)
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _is_ours(headers: Headers) -> bool:
    """A host name with a dot in it may be anybody's, pointed at loopback; an origin must be the host itself."""
    host = headers.get("host", "")
    origin = headers.get("origin")
    return _is_local_name(urlsplit(f"//{host}").hostname or "") and (origin is None or urlsplit(origin).netloc == host)


def _is_local_name(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return "." not in name
    return True
