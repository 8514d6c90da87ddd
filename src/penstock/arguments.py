"""What each argument of a call, and of a client, may be: checked before a byte leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from penstock.errors import ConfigurationError, PenstockError, UsageError
from penstock.limits import Limits, Timeouts

__all__ = ["check_call", "check_client", "error_kinds"]

_Rule: TypeAlias = "tuple[Callable[[object], bool], str]"

_PROXIES = frozenset({"http", "https", "socks5", "socks5h"})
"""What httpx takes, socks with its extra."""


def check_call(options: Mapping[str, Any]) -> None:  # Any: whatever the caller wrote
    """Refuse an option of a call that is not what it must be; None is "not given".

    Raises:
        UsageError: The message has the option's name, and what it must be.
    """
    for name, value in options.items():
        rule = _CALL.get(name)
        if rule is not None and value is not None and not rule[0](value):
            raise UsageError(f"{name} must be {rule[1]}, not {_shown(name, value)}", param=name)


def check_client(arguments: Mapping[str, Any]) -> None:  # Any: whatever the caller wrote
    """Refuse an argument of a client that is not what it must be; None is "not given".

    Raises:
        ConfigurationError: The message has the argument's name, and what it must be.
    """
    for name, (fits, wanted) in _CLIENT.items():
        value = arguments.get(name)
        if value is not None and not fits(value):
            raise ConfigurationError(
                f"{name} must be {wanted}, not {_shown(name, value)}", param=name
            )


def error_kinds(names: Iterable[str]) -> frozenset[str]:
    """Return `names`, each of which must be the ``kind`` of some `PenstockError`.

    Raises:
        UsageError: There is no such kind; the message has the nearest.
    """
    wanted, known = frozenset(names), _kinds(PenstockError)
    for name in sorted(map(str, wanted - known)):
        near = get_close_matches(name, sorted(known), 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
        raise UsageError(f"fallback_on has no kind of error {name!r:.80}: {hint}", param=name)
    return wanted


def _kinds(error: type[PenstockError]) -> set[str]:
    return {error.kind}.union(*map(_kinds, error.__subclasses__()))


def _is_proxy(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in _PROXIES and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _is_trusted(value: object) -> bool:
    # An SSLContext by its shape, as ssl is loaded with the first connection only.
    return isinstance(value, bool) or hasattr(value, "wrap_bio") or _is_there(value)


def _is_certificate(value: object) -> bool:
    if isinstance(value, tuple):
        return len(value) in (2, 3) and all(map(_is_there, value[:2]))
    return _is_there(value)


def _is_there(value: object) -> bool:
    return isinstance(value, (str, PathLike)) and Path(value).exists()


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def _is_text_mapping(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and _is_mapping(value)
        and all(isinstance(text, str) for text in value.values())
    )


def _is_path(value: object) -> bool:
    # An int would be written to as a file descriptor, whatever is open there.
    return isinstance(value, (str, PathLike))


def _is_list(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))


def _is_mounts(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and name and "/" not in name and callable(getattr(each, "open", None))
        for name, each in value.items()
    )


def _is_list_of_providers(value: object) -> bool:
    # By its shape, as this module knows no provider.
    return isinstance(value, tuple) and all(
        not isinstance(each, type) and hasattr(each, "row") and hasattr(each, "secret")
        for each in value
    )


def _is_http_client(value: object) -> bool:
    # Duck-typed, as neither httpx nor httpx2 is loaded for a client that never calls.
    return all(callable(getattr(value, name, None)) for name in ("send", "aclose"))


def _is_transport(value: object) -> bool:
    if isinstance(value, str):
        return value in ("direct", "httpx", "httpx2", "aiohttp")
    return not isinstance(value, type) and all(
        callable(getattr(value, name, None)) for name in ("open", "aclose")
    )


def _shown(name: str, value: object) -> str:
    """Return what was given as an error may show it: headers and bodies by their type only."""
    return f"{value!r:.80}" if isinstance(value, (bool, int, float)) else _type_name(name, value)


def _type_name(name: str, value: object) -> str:
    if isinstance(value, (str, PathLike)) and name in ("transport", "timeouts", "verify"):
        return f"{value!r:.80}"
    if isinstance(value, Mapping) and (name == "aliases" or name.endswith("headers")):
        return f"one with {', '.join(sorted(_odd(value)))}"
    return type(value).__name__


def _odd(headers: Mapping[object, object]) -> set[str]:
    """Name the fields that are no text, by their types where they are no names."""
    return {
        f"{key!r:.40}: {type(value).__name__}" if isinstance(key, str) else f"{key!r:.40} as a name"
        for key, value in headers.items()
        if not (isinstance(key, str) and isinstance(value, str))
    }


def _is_a(name: str) -> Callable[[object], bool]:
    """Return whether a value is of the class so named, without loading its module for others."""
    return lambda value: any(each.__name__ == name for each in type(value).__mro__)


_FLAG: _Rule = (_is_flag, "True or False")
_HEADERS: _Rule = (_is_text_mapping, "a mapping of str to str")
_JSON: _Rule = (_is_mapping, "a mapping with str keys")
_CLOCKS: _Rule = (
    lambda value: isinstance(value, Timeouts),
    "penstock.Timeouts(...), such as Timeouts(total=5)",
)

_CALL: Mapping[str, _Rule] = {
    "cache_guard": (_is_a("PromptCacheGuard"), "a penstock.PromptCacheGuard()"),
    "cache_points": (_is_a("CachePoints"), "penstock.CachePoints(...)"),
    "capture": (_is_path, "a path"),
    "extra_body": _JSON,
    "extra_headers": _HEADERS,
    "functions": (_is_list, "a list"),
    "keep_raw": _FLAG,
    "max_retries": (_is_count, "a whole number, 0 or more"),
    "metadata": _JSON,
    "spool": _FLAG,
    "stream": _FLAG,
    "strict": _FLAG,
    "tenant": (lambda value: isinstance(value, str), "a str"),
    "timeouts": _CLOCKS,
    "usage": _FLAG,
}

_CLIENT: Mapping[str, _Rule] = {
    "aliases": (_is_text_mapping, "a mapping of short names to models"),
    "cert": (_is_certificate, "the path of a file that is there, or a tuple of two"),
    "default_model": (lambda value: isinstance(value, str), "a str"),
    "deployments": (lambda value: isinstance(value, Mapping), "a mapping of names to Deployment"),
    "fallbacks": (lambda value: isinstance(value, Mapping), "a mapping of models to lists"),
    "headers": _HEADERS,
    "http_client": (_is_http_client, "an httpx.AsyncClient or httpx2.AsyncClient"),
    "keys": (lambda value: isinstance(value, Mapping), "a mapping of providers to keys"),
    "limits": (lambda value: isinstance(value, Limits), "penstock.Limits(...)"),
    "max_retries": (_is_count, "a whole number, 0 or more"),
    "middleware": (_is_list, "a list"),
    "mounts": (_is_mounts, "a mapping of prefixes without a slash to providers, which have open()"),
    "providers": (_is_list_of_providers, "a list of CustomProviderConfig"),
    "proxy": (_is_proxy, "an address such as http://proxy.example:3128"),
    "timeouts": _CLOCKS,
    "verify": (_is_trusted, "True, False, an SSLContext or a path that is there"),
    "transport": (
        _is_transport,
        '"direct", "httpx", "httpx2", "aiohttp" or a penstock.interfaces.Transport',
    ),
}
