"""The latest picture of each customer's screen, put by whoever runs the machine and looked at in the console's viewer.

Pictures are kept in memory only, one a session, and all of them together are bounded: the oldest go first.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, Router, get, put
from litestar.exceptions import ClientException, NotFoundException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter

from rrsim.live_clock import monotonic_us
from rrsim.server.live import api, wishes

MAX_BYTES: Final = 4 * 1024 * 1024
"""The largest picture that is taken."""
MAX_ALL_BYTES: Final = 128 * 1024 * 1024
"""How much memory all pictures together may use."""
MAX_SIDE: Final = 16_384
_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_HEADER: Final = len(_SIGNATURE) + 4 + 4 + 8
"""Signature, length and type of the first chunk, width and height."""

SessionId = Annotated[str, PathParameter(pattern=wishes.NAME_PATTERN, description="A session's id.")]


class NotAPicture(ValueError):
    """What was put is no PNG that can be shown."""


class Picture(msgspec.Struct, frozen=True):
    """One screenshot."""

    number: int
    """Counts from 1 in each session."""
    taken_us: int
    """Monotonic time at which the server got it."""
    png: bytes


class ScreenshotKept(msgspec.Struct, frozen=True):
    """A screenshot is kept."""

    number: int
    """Counts from 1 in each session."""
    size_bytes: int


class Screens:
    """The latest picture of each session."""

    def __init__(self, keep_bytes: int = MAX_ALL_BYTES) -> None:
        self._keep_bytes = keep_bytes
        self._size_bytes = 0
        self._pictures: dict[str, Picture] = {}
        self._numbers: dict[str, int] = {}

    def put(self, session: str, png: bytes) -> Picture:
        """Keep a picture in place of the session's last one.

        Raises:
            NotAPicture: it is no PNG, or one of a size that no screen has.
        """
        _look_at(png)
        number = self._numbers[session] = self._numbers.get(session, 0) + 1
        self.forget(session)
        picture = self._pictures[session] = Picture(number, monotonic_us(), png)
        self._size_bytes += len(png)
        while self._size_bytes > self._keep_bytes and len(self._pictures) > 1:
            self.forget(next(iter(self._pictures)))
        return picture

    def latest(self, session: str) -> Picture | None:
        """Return the session's latest picture, or None."""
        return self._pictures.get(session)

    def forget(self, session: str) -> None:
        """Forget the session's picture; harmless if there is none."""
        gone = self._pictures.pop(session, None)
        if gone is not None:
            self._size_bytes -= len(gone.png)


def _look_at(png: bytes) -> None:
    if not png.startswith(_SIGNATURE) or png[12:16] != b"IHDR" or len(png) < _HEADER:
        raise NotAPicture("expected a PNG picture, saw other bytes; send the file itself as the request's body")
    width, height = int.from_bytes(png[16:20]), int.from_bytes(png[20:24])
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise NotAPicture(f"expected a screen of at most {MAX_SIDE} by {MAX_SIDE} pixels, saw {width} by {height}")


def handlers(screens: Screens) -> Router:
    """Return the handlers that put and show screenshots."""

    @put(
        "/sessions/{session_id:str}/screenshot", request_max_body_size=MAX_BYTES,
        summary="Put the latest picture of the customer's screen", raises=[ClientException],
    )  # fmt: skip
    async def put_screenshot(session_id: SessionId, request: Request[Any, Any, Any]) -> ScreenshotKept:
        """Keep a PNG of at most 4 MiB, sent as the body itself, in place of the one before."""
        api.running(request).registry.session(session_id)
        png = await request.body()
        try:
            picture = screens.put(session_id, png)
        except NotAPicture as error:
            raise ClientException(str(error)) from None
        return ScreenshotKept(picture.number, len(png))

    @get(
        "/sessions/{session_id:str}/screenshot", summary="The latest picture of the customer's screen",
        media_type="image/png", raises=[NotFoundException],
        responses={200: ResponseSpec(bytes, generate_examples=False, media_type="image/png", description="A PNG")},
    )  # fmt: skip
    async def show_screenshot(session_id: SessionId, request: Request[Any, Any, Any]) -> Response[bytes]:
        """Show the latest picture; 404 while there is none."""
        api.running(request).registry.session(session_id)
        picture = screens.latest(session_id)
        if picture is None:
            raise NotFoundException("expected a screenshot, saw none yet; whoever runs the machine can PUT one here")
        headers = {
            "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        }  # fmt: skip
        return Response(picture.png, media_type="image/png", headers=headers)

    return Router("/api", guards=[api.has_token], security=[{"bearer": []}], route_handlers=[
        put_screenshot, show_screenshot,
    ])  # fmt: skip
