"""Header fields: which of them hold a credential, and how they stay out of sight."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from os import environ

from penstock.errors import MissingCredentialsError

__all__ = ["Address", "Headers", "is_credential", "refuse_lost"]

# An idempotency key is no secret, and an author is no authorization.
_CREDENTIAL = re.compile(
    r".*(auth(?!ors?\b)|api[-_]?key|(?<!idempotency)[-_]key\b|^key\b|token|secret|passw|cookie"
    r"|credential"
    r"|signature|jwt).*"
)


def is_credential(name: str) -> bool:
    """Return whether a header, or a variable, of that name holds what lets its bearer in."""
    return _CREDENTIAL.fullmatch(name.lower()) is not None


# What stands before the host of an address: who asks there, and by what word (RFC 3986, 3.2.1).
_WHO = re.compile(r"^([a-z][a-z0-9+.-]*://)?[^/?#]*@", re.IGNORECASE)


class Address(str):
    """A proxy's address: who asks there is in no ``repr``, and in no pickle.

    A pickle has the name of the variable that holds the whole address, where one does; else the
    address without the name and the password.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(_WHO.sub(r"\1***@", self))

    def __reduce__(self) -> tuple[object, ...]:
        return _readdressed, (_variable(str(self)), _WHO.sub(r"\1", self))


def _readdressed(variable: str | None, bare: str) -> Address:
    return Address(environ.get(variable or "") or bare)


class Headers(dict[str, str]):
    """Header fields that show their names only, and pickle without their credentials.

    As with a key, a pickle has the name of the variable that holds a credential, where one does;
    what no variable holds is left out, and its name is in `lost` afterwards.
    """

    __slots__ = ("lost",)

    def __init__(self, fields: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(fields)
        self.lost: tuple[str, ...] = getattr(fields, "lost", ())
        """The names of the fields that a pickle left out."""

    def __repr__(self) -> str:
        return f"Headers({', '.join(map(str, self))})"

    def __reduce__(self) -> tuple[object, ...]:
        shown = {name: value for name, value in self.items() if not is_credential(name)}
        held = {name: _variable(self[name]) for name in self if name not in shown}
        return _restored, (shown, held, self.lost)


def refuse_lost(fields: Mapping[str, str], where: str) -> None:
    """Refuse headers or variables whose credentials are in another process.

    Raises:
        MissingCredentialsError: A pickle left one out.
    """
    if isinstance(fields, Headers) and fields.lost:
        raise MissingCredentialsError(
            f"{where} had the value of {fields.lost[0]!r} in the program, and a pickle takes no "
            "credential along: put it in a variable of the environment, in both processes"
        )


def _variable(value: str) -> str | None:
    return next((name for name, held in environ.items() if held and held == value), None)


def _restored(shown: dict[str, str], held: dict[str, str | None], lost: tuple[str, ...]) -> Headers:
    headers = Headers(shown)
    for name, variable in held.items():
        value = environ.get(variable) if variable is not None else None
        if value:
            headers[name] = value
        else:
            lost = (*lost, name)
    headers.lost = lost
    return headers
