"""The caller's mistakes, found before a byte leaves."""

from __future__ import annotations

from penstock.errors.base import PenstockError

__all__ = [
    "ConfigurationError",
    "EncodeError",
    "InvalidHeaderError",
    "MissingCredentialsError",
    "MissingExtraError",
    "UnknownModelError",
    "UnsupportedFeatureError",
    "UsageError",
]


class UsageError(PenstockError):
    """The call cannot be made as it stands; nothing has left the process."""

    kind = "usage"


class ConfigurationError(UsageError):
    """An option, address or combination of them is not valid."""

    kind = "configuration"


class UnknownModelError(UsageError):
    """No deployment, provider or model prefix fits the name; the message has the nearest."""

    kind = "unknown_model"


class MissingCredentialsError(UsageError):
    """The deployment needs a key, and none was given or found in the environment."""

    kind = "missing_credentials"
    elsewhere = True


class MissingExtraError(UsageError, ImportError):
    """An optional package is not installed; the message names the extra that has it."""

    kind = "missing_extra"


class EncodeError(UsageError, ValueError):
    """A value cannot be said in JSON; the message has its path, such as ``messages[3].content``."""

    kind = "encode"


class InvalidHeaderError(UsageError):
    """A header's name or value has characters that HTTP forbids (RFC 9110 section 5.5)."""

    kind = "invalid_header"


class UnsupportedFeatureError(UsageError):
    """The dialect has no words for a field or parameter, and the request is strict."""

    kind = "unsupported_feature"
    elsewhere = True
