"""What a client sends over HTTP, read whole: whatever is wrong with it is told as its fault."""

from __future__ import annotations

import asyncio
import zlib
from urllib.parse import parse_qsl

from aiohttp import web
from grpc import StatusCode

from .errors import RequestError, invalid
from .limits import Limits

FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 100  # of a form


async def read_content(request: web.Request, limits: Limits) -> bytes:
    """Reads the body of a request, unpacked where it is sent with gzip.

    The application is served without aiohttp's own decoding: it knows encodings that
    upstream does not, and takes a body that was cut short.

    Args:
      request: as it came.
      limits: its size, and how long it may take to arrive.

    Raises:
      RequestError: INVALID_ARGUMENT or DEADLINE_EXCEEDED.
    """
    if request.content_length:
        limits.check_bytes(request.content_length)
    try:
        content = await asyncio.wait_for(request.read(), limits.body_seconds)
    except web.HTTPRequestEntityTooLarge:
        raise _too_large(limits) from None
    except asyncio.TimeoutError:
        raise RequestError(
            StatusCode.DEADLINE_EXCEEDED,
            f"expected the whole body within {limits.body_seconds:g} s",
        ) from None
    except (web.HTTPException, web.RequestPayloadError, ValueError) as error:
        raise invalid(f"the body cannot be read: {error}") from None
    if "gzip" in request.headers.get("Content-Encoding", ""):
        return _unpacked(content, limits)
    return content


async def read_form(request: web.Request, limits: Limits) -> dict[str, str]:
    """Reads a form as browsers send it; of a name that comes twice the last value.

    Args:
      request: as it came.
      limits: see `read_content`.

    Raises:
      RequestError: as there, and where it is no such form.
    """
    # Not `request.post`: it trusts what a client says of encodings, and fails in many ways.
    if request.content_type != FORM:
        raise invalid(
            f"Content-Type: expected {FORM}, received {request.headers.get('Content-Type')!r:.100}"
        )
    if (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise invalid(
            f"Content-Type: expected a charset of utf-8, received {request.charset!r:.50}"
        )
    content = await read_content(request, limits)
    try:
        pairs = parse_qsl(
            content.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except UnicodeDecodeError:
        raise invalid("expected a form in UTF-8, received other bytes") from None
    except ValueError:
        raise invalid(f"expected a form of at most {MOST_FIELDS} fields, received more") from None
    return dict(pairs)


def _unpacked(content: bytes, limits: Limits) -> bytes:
    packed = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)  # gzip, with its header
    try:
        plain = packed.decompress(content, limits.request_bytes + 1)
    except zlib.error:
        raise invalid("expected a body in gzip, as Content-Encoding says") from None
    if len(plain) > limits.request_bytes:
        raise _too_large(limits)
    if not packed.eof or packed.unused_data:
        raise invalid("expected the whole body in gzip, and nothing behind it")
    return plain


def _too_large(limits: Limits) -> RequestError:
    most = limits.request_bytes
    return invalid(f"expected a request of at most {most} bytes, received more")
