"""The OpenAPI 3.1 description of a node's API, made of its operations."""

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from harness.web.api.operation import BINARY, JSON, Body, Operation

PROBLEM: Final = "application/problem+json"

_VARIABLE: Final = re.compile(r"\{(\w+)\}")


class Problem(Body):
    """What went wrong (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


def describe(operations: Iterable[Operation], *, title: str, server: str) -> dict[str, Any]:
    """Return the description as JSON values."""
    listed = tuple(operations)
    models: dict[str, type[BaseModel]] = {"Problem": Problem}
    for one in listed:
        if one.body is not None and not isinstance(one.body, str):
            models[one.body.__name__] = one.body
        if one.answer is not None and not isinstance(one.answer, str):
            models[one.answer.__name__] = one.answer
    modes: list[Any] = [(model, "validation") for _, model in sorted(models.items())]
    references, schemas = models_json_schema(modes, ref_template="#/components/schemas/{model}")
    refs = {model: reference for (model, _), reference in references.items()}
    paths: dict[str, dict[str, Any]] = {}
    for one in listed:
        paths.setdefault(one.path, {})[one.method.lower()] = _describe(one, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": "1",
            "description": "The functions of the administration pages. Log in with `POST /api/login` and send the "
            "token as `Authorization: Bearer TOKEN`.",
        },
        "servers": [{"url": server}],
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {"session": {"type": "http", "scheme": "bearer"}},
        },
    }


def _describe(one: Operation, refs: dict[Any, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.summary,
        "tags": [one.tag],
        "security": [{"session": []}] if one.roles else [],
        "responses": {
            str(one.status): {"description": HTTPStatus(one.status).phrase, **_content(one.answer, refs)},
            "default": {"description": "What went wrong.", **_content(Problem, refs, PROBLEM)},
        },
    }
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _VARIABLE.findall(one.path)
    ]
    parameters += [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
        for name, text in one.query.items()
    ]
    if parameters:
        described["parameters"] = parameters
    if one.body is not None:
        described["requestBody"] = {"required": True, **_content(one.body, refs)}
    return described


def _content(
    kind: type[BaseModel] | str | None, refs: dict[Any, Any], media_type: str = JSON
) -> dict[str, Any]:
    if kind is None:
        return {}
    if isinstance(kind, str):
        schema = {"type": "string", "format": "binary"} if kind == BINARY else {"type": "string"}
        return {"content": {kind: {"schema": schema}}}
    return {"content": {media_type: {"schema": refs[kind]}}}
