"""The error conditions of RFC 6120: what ends a stream, what fails a login, and what an error stanza says."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class StreamErrorCondition(StrEnum):
    """Why a stream is over (RFC 6120 4.9.3)."""

    BAD_FORMAT = "bad-format"
    BAD_NAMESPACE_PREFIX = "bad-namespace-prefix"
    CONFLICT = "conflict"
    CONNECTION_TIMEOUT = "connection-timeout"
    HOST_GONE = "host-gone"
    HOST_UNKNOWN = "host-unknown"
    IMPROPER_ADDRESSING = "improper-addressing"
    INTERNAL_SERVER_ERROR = "internal-server-error"
    INVALID_FROM = "invalid-from"
    INVALID_NAMESPACE = "invalid-namespace"
    INVALID_XML = "invalid-xml"
    NOT_AUTHORIZED = "not-authorized"
    NOT_WELL_FORMED = "not-well-formed"
    POLICY_VIOLATION = "policy-violation"
    REMOTE_CONNECTION_FAILED = "remote-connection-failed"
    RESET = "reset"
    RESOURCE_CONSTRAINT = "resource-constraint"
    RESTRICTED_XML = "restricted-xml"
    SEE_OTHER_HOST = "see-other-host"
    SYSTEM_SHUTDOWN = "system-shutdown"
    UNDEFINED_CONDITION = "undefined-condition"
    UNSUPPORTED_ENCODING = "unsupported-encoding"
    UNSUPPORTED_FEATURE = "unsupported-feature"
    UNSUPPORTED_STANZA_TYPE = "unsupported-stanza-type"
    UNSUPPORTED_VERSION = "unsupported-version"


class SaslErrorCondition(StrEnum):
    """Why SASL negotiation failed (RFC 6120 6.5)."""

    ABORTED = "aborted"
    ACCOUNT_DISABLED = "account-disabled"
    CREDENTIALS_EXPIRED = "credentials-expired"
    ENCRYPTION_REQUIRED = "encryption-required"
    INCORRECT_ENCODING = "incorrect-encoding"
    INVALID_AUTHZID = "invalid-authzid"
    INVALID_MECHANISM = "invalid-mechanism"
    MALFORMED_REQUEST = "malformed-request"
    MECHANISM_TOO_WEAK = "mechanism-too-weak"
    NOT_AUTHORIZED = "not-authorized"
    TEMPORARY_AUTH_FAILURE = "temporary-auth-failure"


class StanzaErrorType(StrEnum):
    """What the sender can do about it (RFC 6120 8.3.2)."""

    AUTH = "auth"
    CANCEL = "cancel"
    CONTINUE = "continue"
    MODIFY = "modify"
    WAIT = "wait"


class StanzaErrorCondition(StrEnum):
    """Why a stanza was not processed (RFC 6120 8.3.3)."""

    BAD_REQUEST = "bad-request"
    CONFLICT = "conflict"
    FEATURE_NOT_IMPLEMENTED = "feature-not-implemented"
    FORBIDDEN = "forbidden"
    GONE = "gone"
    INTERNAL_SERVER_ERROR = "internal-server-error"
    ITEM_NOT_FOUND = "item-not-found"
    JID_MALFORMED = "jid-malformed"
    NOT_ACCEPTABLE = "not-acceptable"
    NOT_ALLOWED = "not-allowed"
    NOT_AUTHORIZED = "not-authorized"
    POLICY_VIOLATION = "policy-violation"
    RECIPIENT_UNAVAILABLE = "recipient-unavailable"
    REDIRECT = "redirect"
    REGISTRATION_REQUIRED = "registration-required"
    REMOTE_SERVER_NOT_FOUND = "remote-server-not-found"
    REMOTE_SERVER_TIMEOUT = "remote-server-timeout"
    RESOURCE_CONSTRAINT = "resource-constraint"
    SERVICE_UNAVAILABLE = "service-unavailable"
    SUBSCRIPTION_REQUIRED = "subscription-required"
    UNDEFINED_CONDITION = "undefined-condition"
    UNEXPECTED_REQUEST = "unexpected-request"


_C, _T = StanzaErrorCondition, StanzaErrorType

USUAL_TYPE: Final[Mapping[StanzaErrorCondition, StanzaErrorType]] = MappingProxyType(
    {
        _C.BAD_REQUEST: _T.MODIFY,
        _C.CONFLICT: _T.CANCEL,
        _C.FEATURE_NOT_IMPLEMENTED: _T.CANCEL,
        _C.FORBIDDEN: _T.AUTH,
        _C.GONE: _T.CANCEL,
        _C.INTERNAL_SERVER_ERROR: _T.CANCEL,
        _C.ITEM_NOT_FOUND: _T.CANCEL,
        _C.JID_MALFORMED: _T.MODIFY,
        _C.NOT_ACCEPTABLE: _T.MODIFY,
        _C.NOT_ALLOWED: _T.CANCEL,
        _C.NOT_AUTHORIZED: _T.AUTH,
        _C.POLICY_VIOLATION: _T.MODIFY,
        _C.RECIPIENT_UNAVAILABLE: _T.WAIT,
        _C.REDIRECT: _T.MODIFY,
        _C.REGISTRATION_REQUIRED: _T.AUTH,
        _C.REMOTE_SERVER_NOT_FOUND: _T.CANCEL,
        _C.REMOTE_SERVER_TIMEOUT: _T.WAIT,
        _C.RESOURCE_CONSTRAINT: _T.WAIT,
        _C.SERVICE_UNAVAILABLE: _T.CANCEL,
        _C.SUBSCRIPTION_REQUIRED: _T.AUTH,
        _C.UNDEFINED_CONDITION: _T.CANCEL,
        _C.UNEXPECTED_REQUEST: _T.WAIT,
    }
)
"The error type that RFC 6120 8.3.3 gives or recommends for each condition."
