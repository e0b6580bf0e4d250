"""The representatives' console: its pages, and the way in.

A login link holds a code that works once. The code stands behind the ``#``, which browsers send to nobody, and is
exchanged for the cookie with a POST; so neither code nor token is ever part of an address that a server logs. The link
lies in a file that only its owner can read, and is replaced as soon as it was used.
"""

from __future__ import annotations

import contextlib
import hmac
import os
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.datastructures import Cookie
from litestar.exceptions import NotAuthorizedException, NotFoundException
from litestar.params import JSONBody, PathParameter
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler

from rrsim.live_clock import fresh_secret
from rrsim.server.live import api, screens, shown

PATH: Final = "/console"
LOGIN_FILE: Final = "console-login"
INDEX: Final = "index.html"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}  # fmt: skip


class Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody wants in."""

    secret: Annotated[str, msgspec.Meta(max_length=256)]
    """The code of the login link, or the run's token."""


class Pages:
    """The console's files, and the one login code that is good now."""

    def __init__(self, token: str, link_file: Path) -> None:
        """Read the console's files; nobody can log in with a code before :meth:`opened`.

        Raises:
            OSError: rrsim was installed without the console's files.
        """
        self.screens = screens.Screens()
        self.link_file = link_file
        """Where the login link lies; readable by its owner only."""
        self.address = ""
        self._token = token
        self._code = ""
        self._files = _read_files()

    def opened(self, address: str) -> None:
        """Say where the console is found, and write the first login link.

        Raises:
            OSError: the link cannot be written.
        """
        self.address = address + PATH
        self._renew()

    def closed(self) -> None:
        """Take the login link away."""
        self._code = ""
        with contextlib.suppress(OSError):
            self.link_file.unlink(missing_ok=True)

    def link(self) -> str:
        """Return the link that logs a representative in, once. It holds a secret."""
        return f"{self.address}#code={self._code}"

    def lets_in(self, secret: str) -> bool:
        """Say whether a secret is good; a login code is used up by that."""
        given = secret.strip().encode()
        if self._code and hmac.compare_digest(given, self._code.encode()):
            self._renew()
            return True
        return hmac.compare_digest(given, self._token.encode())

    def _renew(self) -> None:
        self._code = fresh_secret()
        fresh = self.link_file.with_name(f"{self.link_file.name}.new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(self.link() + "\n")
        fresh.replace(self.link_file)

    def handlers(self) -> tuple[ControllerRouterHandler, ...]:
        """Return everything to serve beside the control API."""
        return (*self._pages(), self._login(), screens.handlers(self.screens), shown.handlers(self.screens))

    def _pages(self) -> tuple[ControllerRouterHandler, ...]:
        @get("/", include_in_schema=False)
        async def front() -> Redirect:
            return Redirect(PATH)

        @get(PATH, include_in_schema=False)
        async def index(request: Request[Any, Any, Any]) -> Response[bytes]:
            return self._page(INDEX, request)

        @get(PATH + "/{name:str}", include_in_schema=False)
        async def part(
            name: Annotated[str, PathParameter(description="A file of the console.")], request: Request[Any, Any, Any]
        ) -> Response[bytes]:
            return self._page(name, request)

        return front, index, part

    def _page(self, name: str, request: Request[Any, Any, Any]) -> Response[bytes]:
        found = self._files.get(name)
        if found is None:
            raise NotFoundException(f"expected a file of the console, saw another name; go to {PATH}")
        content, media_type = found
        return Response(content, media_type=media_type, headers=_headers(request.headers.get("host", "")))

    def _login(self) -> ControllerRouterHandler:
        @post("/login", status_code=204)
        async def login(data: JSONBody[Login], request: Request[Any, Any, Any]) -> Response[None]:
            """Exchange the code of a login link, or the run's token, for the cookie that opens the API."""
            if not api.same_origin(request) or not self.lets_in(data.secret):
                raise NotAuthorizedException(
                    "expected a login code that was not used yet, saw another; each link works once, and the next "
                    f"one is in the file {self.link_file.name} of the server's state folder"
                )
            cookie = Cookie(api.COOKIE, value=self._token, path="/", httponly=True, samesite="strict")
            return Response(None, status_code=204, cookies=[cookie], headers={"Cache-Control": "no-store"})

        @post("/logout", status_code=204)
        async def logout() -> Response[None]:
            """Take the cookie back. Sessions stay with their representative until the console has been away long."""
            gone = Cookie(api.COOKIE, value="", path="/", max_age=0, httponly=True, samesite="strict")
            return Response(None, status_code=204, cookies=[gone])

        return Router(PATH, route_handlers=[login, logout], include_in_schema=False)


def _read_files() -> dict[str, tuple[bytes, str]]:
    folder = resources.files("rrsim.server.live") / "console"
    return {
        file.name: (file.read_bytes(), media_type)
        for file in folder.iterdir()
        if (media_type := _TYPES.get(Path(file.name).suffix))
    }


def _headers(host: str) -> dict[str, str]:
    """Return what keeps a page to itself. ``host`` was found to be a loopback name before anything is served."""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        f"connect-src 'self' ws://{host}; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-cache",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
