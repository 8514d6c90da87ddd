"""What a reply says of itself, said by a stream as well, as far as the answer has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penstock.chunks import Usage
    from penstock.errors import Attempt
    from penstock.interfaces import CallRecord
    from penstock.response import Audio, Choice, RateLimit, Reply, Timings, ToolCall

__all__ = ["AnswerFacts"]

# JSON as the provider sent it.
Json = Any


class AnswerFacts:
    """The properties that `penstock.ChatStream` shares with `penstock.Reply`.

    Those of the call itself are always there; those of the answer need the fold (``collect=True``).
    """

    __slots__ = ()
    _record: CallRecord

    @property
    def response(self) -> Reply:
        """The answer as far as it has come."""
        raise AssertionError("a stream says how")

    @property
    def buffered(self) -> int:
        """Bytes of the answer that were received and not yet handed out."""
        return self._record.buffered()

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self._record.provider

    @property
    def deployment(self) -> str:
        """The key of the deployment that answers."""
        return self._record.deployment

    @property
    def request_id(self) -> str | None:
        """The provider's name for the request, from its headers."""
        return self._record.request_id

    @property
    def headers(self) -> dict[str, str]:
        """The answer's headers that say something about it."""
        return dict(self._record.headers)

    @property
    def rate_limit(self) -> RateLimit | None:
        """What the provider says is left."""
        return self._record.rate_limit

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """Every try of this call, the one that answered last."""
        return tuple(self._record.attempts)

    @property
    def timings(self) -> Timings:
        """When things happened, in seconds from the start of the call."""
        return self._record.timings

    @property
    def dropped(self) -> list[str]:
        """Fields and parameters that the dialect could not say, as paths."""
        return list(self._record.dropped)

    @property
    def metadata(self) -> dict[str, Json]:
        """The caller's own mapping."""
        return dict(self._record.metadata)

    @property
    def id(self) -> str:
        """The provider's id for the answer."""
        return self.response.id

    @property
    def created(self) -> int:
        """When the answer was made, Unix time in seconds."""
        return self.response.created

    @property
    def model(self) -> str:
        """The model that answers, as the provider names it."""
        return self.response.model

    @property
    def choices(self) -> list[Choice]:
        """The choices, at least one."""
        return self.response.choices

    @property
    def reasoning(self) -> str:
        """The first choice's thinking so far."""
        return self.response.reasoning

    @property
    def refusal(self) -> str | None:
        """Why the model declines; None where it does not."""
        return self.response.refusal

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The calls that the model asks for."""
        return self.response.tool_calls

    @property
    def images(self) -> list[str]:
        """URLs of the answer's images."""
        return self.response.images

    @property
    def audio(self) -> Audio | None:
        """The spoken answer."""
        return self.response.audio

    @property
    def citations(self) -> list[Json]:
        """Sources, as OpenAI's ``annotations``."""
        return self.response.citations

    @property
    def finish_reason(self) -> str | None:
        """Why the answer ended; None while it has not."""
        return self.response.finish_reason

    @property
    def message(self) -> dict[str, Json]:
        """The answer so far as a plain dict of the OpenAI shape."""
        return self.response.message

    @property
    def usage(self) -> Usage | None:
        """The tokens, once the provider has counted them."""
        return self.response.usage

    @property
    def cost(self) -> float | None:
        """The provider's own figure, US dollars."""
        return self.response.cost

    @property
    def cost_reason(self) -> str | None:
        """Why there is no `cost`."""
        return self.response.cost_reason

    @property
    def system_fingerprint(self) -> str | None:
        """The provider's name for its configuration."""
        return self.response.system_fingerprint

    @property
    def service_tier(self) -> str | None:
        """The tier that served the request."""
        return self.response.service_tier
