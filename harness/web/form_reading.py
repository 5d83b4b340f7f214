"""Forms as browsers send them: url-encoded or multipart, with limits."""

from typing import Final

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from certs.errors import ConfigError
from harness.web.page import MAXIMUM_FIELD, Form, UploadedFile

_MAXIMUM_FIELDS: Final = 500


async def read_form(request: web.Request) -> Form:
    """Read a form in either encoding. Raises ConfigError where it is none or has too much in it."""
    if request.content_type == "multipart/form-data":
        return await _read_multipart(request)
    if request.content_type != "application/x-www-form-urlencoded":
        raise ConfigError(f"expected a form, seen {request.content_type}")
    values: dict[str, list[str]] = {}
    try:
        fields = await request.post()
    except ValueError as error:
        raise ConfigError(f"the form cannot be read: {error}") from error
    for name, value in fields.items():
        if isinstance(value, str):
            values.setdefault(name, []).append(_checked(name, value))
    return Form(values)


async def _read_multipart(request: web.Request) -> Form:
    values: dict[str, list[str]] = {}
    files: dict[str, UploadedFile] = {}
    size = 0
    try:
        reader = await request.multipart()
        for _ in range(_MAXIMUM_FIELDS):
            part = await reader.next()
            if part is None:
                return Form(values, files)
            if not isinstance(part, BodyPartReader) or not part.name:
                raise ConfigError("expected a form of fields and files")
            content = bytearray()
            while chunk := await part.read_chunk():
                content += chunk
                size += len(chunk)
                if size > request.client_max_size:
                    raise ConfigError(f"File: expected at most {request.client_max_size} bytes")
            if part.filename is not None:
                files[part.name] = UploadedFile(name=part.filename, content=bytes(content))
            else:
                text = content.decode("utf-8", "replace")
                values.setdefault(part.name, []).append(_checked(part.name, text))
    except (ValueError, HttpProcessingError) as error:
        raise ConfigError(f"the form cannot be read: {error}") from error
    raise ConfigError(f"expected at most {_MAXIMUM_FIELDS} fields")


def _checked(name: str, value: str) -> str:
    if len(value) > MAXIMUM_FIELD:
        raise ConfigError(f"{name[:50]}: expected at most {MAXIMUM_FIELD} characters, seen {len(value)}")
    return value
