"""An operation of the API as data: what is asked, what is answered, who may ask."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from certs.errors import ConfigError
from harness.access.accounts import Role
from harness.web.sessions import Session
from proxies.observer import ConnectionInfo

JSON: Final = "application/json"
PEM: Final = "application/x-pem-file"
TEXT: Final = "text/plain"
BINARY: Final = "application/octet-stream"

ADMINISTRATORS: Final = frozenset({Role.ADMINISTRATOR})
EVERYBODY_LOGGED_IN: Final = frozenset(Role)

ModelT = TypeVar("ModelT", bound=BaseModel)


class Body(BaseModel):
    """A JSON object that comes or goes: what it does not name is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """An answer that is not JSON."""

    content: bytes
    "Its bytes."

    media_type: str
    "What it is."


Answer = BaseModel | Raw | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request for an operation."""

    path: Mapping[str, str]
    "The variable parts of the path."

    query: Mapping[str, str]
    "What follows the question mark."

    content: bytes = field(repr=False)
    "The body."

    connection: ConnectionInfo
    "Over which connection it came."

    session: Session | None
    "Who asks; None where nobody has logged in."

    key: str = field(default="", repr=False)
    "The session's key."

    def body(self, model: type[ModelT]) -> ModelT:
        """Return the body as a model. Raises ConfigError with a line for each thing that is wrong."""
        try:
            return model.model_validate_json(self.content or b"{}")
        except ValidationError as error:
            lines = [
                f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}"
                for one in error.errors(include_url=False, include_context=False, include_input=False)
            ]
            raise ConfigError("; ".join(lines)) from None

    @property
    def account(self) -> Any:
        """Who asks, on operations that are not public."""
        assert self.session is not None
        return self.session.account


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation."""

    method: str
    "As `GET`."

    path: str
    "As `/api/services/{service}/restart`."

    name: str
    "Its operation id, as `restart_service`."

    summary: str
    "What it does, in one sentence."

    tag: str
    "The page of the product that does the same."

    handle: Callable[[Call], Awaitable[Answer]]
    "Does it. Raises HarnessError where it cannot."

    answer: type[BaseModel] | str | None = None
    "What it answers: a model, a media type, or nothing."

    body: type[BaseModel] | str | None = None
    "What it takes: a model, a media type, or nothing."

    query: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    "Its query parameters, each with a description."

    roles: frozenset[Role] = ADMINISTRATORS
    "Who may ask; nobody in particular where it is empty."

    status: int = 200
    "The status of a good answer."
