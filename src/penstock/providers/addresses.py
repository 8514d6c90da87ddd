"""Where a provider is: its address with what it leaves open filled in, and back from an address."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from os import environ
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from penstock.deployment import check_address
from penstock.errors import ConfigurationError
from penstock.providers.catalogue import catalogue

if TYPE_CHECKING:
    from penstock.providers.catalogue import Also, ProviderRow

__all__ = ["Located", "located", "row_at", "variable"]

_OPEN = re.compile(r"\{(\w+)\}")
# A name of one's own in a host or a path: nothing that would lead the key to another origin.
_SAFE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:-]*[A-Za-z0-9])?")
# arn:aws:bedrock:us-west-2:123456789012:inference-profile/us.amazon.nova-pro-v1:0
_ARN = re.compile(r"arn:aws[a-z-]*:(?:bedrock|sagemaker):([a-z]{2}(?:-[a-z]+)+-[0-9]+):")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Located:
    """An address, and who said what of it."""

    base_url: str
    """The address."""
    region: str | None = None
    """The region, where it has one."""
    project: str | None = None
    """The project, where it has one."""
    api_version: str | None = None
    """The version of the API, where there is one."""
    said_by: Mapping[str, str] = field(default_factory=dict)
    """For each name, who said it: ``$VARIABLE``, ``deployment``, ``model`` or
    ``catalogue``."""


def variable(names: Iterable[str]) -> str | None:
    """Return the first of the environment's variables `names` that is set, or None."""
    return next((name for name in names if environ.get(name)), None)


def located(
    row: ProviderRow, given: Mapping[str, str | None] | None = None, *, model: str = ""
) -> Located:
    """Return where `row` is for this user.

    Args:
        row: The provider, as it is for the dialect that is spoken.
        given: What a deployment says of ``region``, ``project`` and ``api_version``; it comes over
            the environment, which comes over the catalogue.
        model: What is served: an ARN names its region, and AWS finds it in no other; that comes
            over the environment, too.

    Raises:
        ConfigurationError: The address leaves something open that nobody says.
    """
    said_by: dict[str, str] = {}
    values = _values(row, given or {}, said_by, model)
    template, said_by["base_url"] = row.base_url, "catalogue"
    moved = variable((*row.base_url_env, *row.host_env))
    if moved is not None:
        template = _moved(moved, row, whole=moved in row.base_url_env)
        said_by["base_url"] = f"${moved}"
    elif "region" in values:
        template = _regional(row, values["region"])
    return Located(
        _filled(template, values, row),
        region=values.get("region"),
        project=values.get("project"),
        api_version=values.get("api_version"),
        said_by=said_by,
    )


def _values(
    row: ProviderRow, given: Mapping[str, str | None], said_by: dict[str, str], model: str
) -> dict[str, str]:
    arn = _ARN.match(model) if "{region}" in row.base_url else None
    of_model = {"region": arn[1] if arn else None}
    defaults = {"region": row.region, "api_version": row.api_version}
    variables = {"api_version": row.version_env, **row.variables}
    values = {}
    for name in {"region", "project", "api_version", *variables}:
        found = variable(variables.get(name, ()))
        for value, source in (
            (given.get(name), "deployment"),
            (of_model.get(name), "model"),
            (environ[found] if found else None, f"${found}"),
            (defaults.get(name), "catalogue"),
        ):
            if value:
                values[name], said_by[name] = value, source
                break
    return values


def _regional(row: ProviderRow, region: str) -> str:
    """Return the address of `region`.

    Raises:
        ConfigurationError: The vendor has no such region: it would change nothing, unseen.
    """
    template = row.regions.get(region, row.base_url)
    if region not in row.regions and "{region}" not in template:
        there = f": there is {', '.join(row.regions)}" if row.regions else ", nor any other"
        raise ConfigurationError(f"{row.key} has no region {region!r:.80}{there}", param="region")
    return template


def _moved(name: str, row: ProviderRow, *, whole: bool) -> str:
    """Return the address that a variable gives; without a path it gets the row's, if it may.

    Raises:
        ConfigurationError: The variable holds no address.
    """
    try:
        address = _address(environ[name], row, whole=whole)
        check_address(address)
    except (ConfigurationError, ValueError) as error:
        said = getattr(error, "message", str(error))
        raise ConfigurationError(f"${name}, for {row.key}: {said}", param="base_url") from None
    return address


def _address(value: str, row: ProviderRow, *, whole: bool) -> str:
    if whole and not row.local:
        return value
    usual = urlsplit(row.base_url)
    parts = urlsplit(value if "://" in value else f"//{value}", scheme=usual.scheme)
    host = "127.0.0.1" if parts.hostname in (None, "0.0.0.0", "::") else str(parts.hostname)
    if ":" in host:
        host = f"[{host}]"
    port = parts.port or (usual.port if "://" not in value else None)
    return parts._replace(
        netloc=f"{host}:{port}" if port else host, path=parts.path.rstrip("/") or usual.path
    ).geturl()


def _filled(template: str, values: Mapping[str, str], row: ProviderRow) -> str:
    if not template:
        raise ConfigurationError(
            f"{row.key} has no address of its own: set {' or '.join(row.base_url_env)}, or pass "
            f"base_url= in a Deployment",
            param="base_url",
        )
    for name in _OPEN.findall(template):
        value = values.get(name)
        if value is None:
            raise ConfigurationError(_missing(row, name), param=name)
        if not _SAFE.fullmatch(value):
            raise ConfigurationError(
                f"the {name} of {row.key} is letters, digits and what joins them, not "
                f"{value!r:.80}",
                param=name,
            )
        template = template.replace(f"{{{name}}}", value)
    return template


def _missing(row: ProviderRow, name: str) -> str:
    ways = [f"set {' or '.join(row.variables[name])}"] if row.variables.get(name) else []
    if name in ("region", "project"):
        ways.append(f"pass {name}= in a Deployment")
    whole = (*row.base_url_env, *row.host_env)
    ways.append(
        f"set {' or '.join(whole)} to the address" if whole else "pass the whole base_url= in one"
    )
    return f"the address of {row.key} leaves its {name} open: {', or '.join(ways)}"


@dataclass(frozen=True, slots=True)
class _Place:
    """One address of a row, to be compared with others."""

    row: ProviderRow
    host: re.Pattern[str]
    path: re.Pattern[str]
    local: bool
    anywhere: bool
    """Whether the whole host is the user's own."""
    first: bool
    """Whether it is the one of the row's first dialect."""


def row_at(base_url: str, key: str = "", more: Iterable[ProviderRow] = ()) -> ProviderRow | None:
    """Return the provider that is at `base_url`, or None.

    The longest path decides among providers of one host, then the name before the slash of `key`.
    On this machine, where many servers like the same port, one that is not named must be the only
    one.

    Args:
        base_url: The address.
        key: The name of a deployment.
        more: Providers beside those of the catalogue, which come first.
    """
    netloc, path = urlsplit(base_url).netloc, urlsplit(base_url).path
    found = []
    for place in [*_of(more), *_places()]:
        if place.host.fullmatch(netloc):
            below = place.path.match(path)
            if below is not None or not place.anywhere:
                found.append((len(below.group()) if below else -1, place))
    if not found:
        return None
    named = [(n, place) for n, place in found if place.row.key == key.partition("/")[0]]
    if named:
        return max(named, key=_depth)[1].row
    if found[0][1].local and len({place.row.key for _, place in found}) > 1:
        return None
    return max(found, key=_depth)[1].row


def _depth(found: tuple[int, _Place]) -> tuple[int, bool]:
    return found[0], found[1].first


@cache
def _places() -> tuple[_Place, ...]:
    return _of(catalogue().values())


def _of(rows: Iterable[ProviderRow]) -> tuple[_Place, ...]:
    places = []
    for row in rows:
        own = _addresses(row)
        others = [each for other in row.also.values() for each in _addresses(other)]
        for template in dict.fromkeys([*own, *others]):
            parts = urlsplit(template)
            places.append(
                _Place(
                    row,
                    host=re.compile(_pattern(parts.netloc)),
                    path=re.compile(_pattern(parts.path) + r"(?=/|$)"),
                    local=parts.hostname in _LOOPBACK,
                    anywhere=_OPEN.fullmatch(parts.netloc) is not None,
                    first=template in own,
                )
            )
    return tuple(places)


def _addresses(row: ProviderRow | Also) -> list[str]:
    return [address for address in (row.base_url, *row.regions.values()) if address]


def _pattern(template: str) -> str:
    """Return a regular expression of what `template` can be."""
    pieces = _OPEN.split(template)
    return "".join("[^/]+" if n % 2 else re.escape(piece) for n, piece in enumerate(pieces))
