"""Keys: where each comes from, and that it shows itself to nobody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from os import environ
from typing import TypeAlias, TypeGuard

from penstock.errors import ConfigurationError, MissingCredentialsError

__all__ = ["Credential", "Secret", "secrets"]

Credential: TypeAlias = "str | Callable[[], str] | Callable[[], Awaitable[str]]"
"""A key, ``"env:NAME"`` for a variable that holds one, or a callable that supplies a fresh one."""


class Secret:
    """A credential that shows itself to nobody: not in ``repr``, not in a pickle.

    A pickle keeps where the key is (``env:NAME``), never the key: a literal one, or a callable, is
    gone after a round trip, and the first call then says so.

    Raises:
        ConfigurationError: `source` is neither a str nor a callable.
    """

    __slots__ = ("_lost", "_optional", "_source", "_variable", "spare")

    def __init__(
        self,
        source: Credential | None,
        *,
        variables: tuple[str, ...] = (),
        spare: bool = False,
        optional: bool = False,
    ) -> None:
        if not (source is None or isinstance(source, str) or callable(source)):
            raise ConfigurationError(
                'api_key must be a str, "env:NAME" or a function that returns one, not '
                f"{type(source).__name__}",
                param="api_key",
            )
        self._variable: tuple[str, ...] = variables
        self._source: Credential | None = source
        self._lost = False
        self._optional = optional
        self.spare = spare
        """Whether a provider's own variable comes before it, as before what a file says."""
        if isinstance(source, str) and source.startswith("env:"):
            self._variable, self._source = (source[4:],), None

    def __repr__(self) -> str:
        if self._source is not None:
            return "Secret(***)"
        return f"Secret(env:{'|'.join(self._variable)})" if self._variable else "Secret(None)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return (self._source, self._variable) == (other._source, other._variable)

    def __hash__(self) -> int:
        return hash(self._variable)

    def __getstate__(self) -> tuple[tuple[str, ...], bool, bool, bool]:
        variable = self._variable
        if isinstance(self._source, str) and not variable:
            variable = tuple(name for name, value in environ.items() if value == self._source)[:1]
        lost = self._lost or (self._source is not None and not variable)
        return variable, lost, self._optional, self.spare

    def __setstate__(self, state: tuple[tuple[str, ...], bool, bool, bool]) -> None:
        self._source = None
        self._variable, self._lost, self._optional, self.spare = state

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that may hold the key, in order."""
        return self._variable

    @property
    def given(self) -> bool:
        """Whether there is a key at all, here or in the environment."""
        return self._source is not None or any(environ.get(name) for name in self._variable)

    @property
    def lost(self) -> bool:
        """Whether there was a key before a pickle, which takes none along."""
        return self._lost

    @property
    def present(self) -> bool:
        """Whether there is a key, or should be one."""
        wanted = bool(self._variable) and not self._optional
        return self._source is not None or self._lost or wanted or self.given

    async def reveal(self, deployment: str) -> str | None:
        """Return the key; None where none is needed.

        Raises:
            MissingCredentialsError: The environment should hold one and does not, or the function
                that supplies it fails or returns none.
        """
        if callable(self._source):
            return await _supplied(self._source, deployment)
        return self.known(deployment)

    @property
    def fixed(self) -> bool:
        """Whether it is what the program said, so that every call finds the same."""
        return not (callable(self._source) or self._variable)

    @property
    def supplied(self) -> bool:
        """Whether a function supplies it, which may take its time."""
        return callable(self._source)

    def known(self, deployment: str) -> str | None:
        """Return the key, which no function has to be asked for; None where none is needed.

        Raises:
            MissingCredentialsError: The environment should hold one and does not.
        """
        if self._lost:
            raise MissingCredentialsError(
                f"{deployment} had its key in the program, and a pickle takes no key along: "
                f"name a variable that holds it, api_key='env:NAME'",
                deployment=deployment,
            )
        key = self._source if isinstance(self._source, str) else None
        if key is None:
            key = next((found for name in self._variable if (found := environ.get(name))), None)
        if key is None and self._variable and not self._optional:
            raise MissingCredentialsError(
                f"{deployment} needs a key: export {' or '.join(self._variable)}, or pass api_key=",
                deployment=deployment,
            )
        return key


def secrets(keys: Mapping[str, Credential | Secret]) -> dict[str, Secret]:
    """Return `keys` out of sight, by the same names.

    Raises:
        ConfigurationError: A name is no str, or a key is neither a str nor a callable.
    """
    if any(not isinstance(name, str) for name in keys):
        raise ConfigurationError("keys maps names of providers to keys", param="keys")
    return {
        name: key if isinstance(key, Secret) else Secret(key or None) for name, key in keys.items()
    }


async def _supplied(
    source: Callable[[], str] | Callable[[], Awaitable[str]], deployment: str
) -> str:
    """Return what the caller's function supplies, if it is a key."""
    try:
        supplied: object = source()
        if _is_awaitable(supplied):
            supplied = await supplied
    except Exception as exc:
        # By its type only: what a failed look-up of a secret says may have it in it.
        raise MissingCredentialsError(
            f"the function that supplies the key of {deployment} raised {type(exc).__name__}",
            deployment=deployment,
        ) from exc
    if isinstance(supplied, str) and supplied:
        return supplied
    what = "an empty str" if supplied == "" else type(supplied).__name__
    raise MissingCredentialsError(
        f"the function that supplies the key of {deployment} must return a str, not {what}",
        deployment=deployment,
    )


def _is_awaitable(value: object) -> TypeGuard[Awaitable[str]]:
    return hasattr(value, "__await__")
