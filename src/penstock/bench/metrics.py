"""One request, measured: what ends which clock, by the field's definitions.

``ttft``: time to first token, until the first content: text, thinking, a tool call's name or
arguments, a refusal or media. A chunk that only names the role ends nothing (as in vLLM's
``benchmark_serving`` and in AIPerf, which both skip empty answers).
``ttfot``: time to first output token, until the first of the answer itself: neither thinking nor a
tool call (GuideLLM's name; AIPerf's TTFO leaves out thinking only).
``e2e``: until the last chunk of a whole answer: its last content, finish reason or usage (vLLM's
E2EL, AIPerf's request latency). What is read after it to use the connection again is not in it.
``tpot``: time per output token, ``(last content - first content) / (output tokens - 1)`` of one
request (vLLM and MLPerf Inference; AIPerf and GuideLLM call this request average ITL).
``itl``: inter-token latency, over all tokens of all requests: a gap between chunks belongs to the
tokens that ended it, which the provider's count tells. An answer of n tokens in k chunks has
``r = (n - 1) / (k - 1)`` tokens to a gap, so each of its gaps counts as r tokens of ``gap / r``.
The mean over all tokens is then right however a server bundles them; vLLM's ITL is per chunk, which
says something else of a server that bundles. Tokens of thinking that is not shown are not counted
in n.
``icl``: inter-chunk latency, the gaps as they are (AIPerf's name).
``user_throughput``: output tokens a second that one user sees, ``1 / tpot`` (AIPerf).
``start_delay``: how late a request was sent after it was due.

With an open loop ``ttft``, ``ttfot`` and ``e2e`` begin when the request was due, not when it was
sent: a client or a bound on concurrency that holds requests back would otherwise leave out the
waiting ("coordinated omission", Tene; as wrk2 and HdrHistogram correct it).

Sources, read in November 2026: vLLM ``vllm/benchmarks/serve.py``; AIPerf's metrics reference
(docs.nvidia.com/aiperf); GuideLLM ``docs/guides/metrics.md``; llmperf's README; MLPerf Inference's
rules for LLM servers (TTFT and TPOT).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

from penstock.chunks import (
    AudioDelta,
    Finish,
    ImageDelta,
    ReasoningDelta,
    RefusalDelta,
    TextDelta,
    ToolCallDelta,
    Usage,
)

if TYPE_CHECKING:
    from penstock.chunks import Chunk

__all__ = ["Measurement"]

Clock = Callable[[], float]


class Measurement:
    """Notes when the chunks of one answer came: a middleware of that one call.

    It is a stage (`penstock.interfaces.StageFactory`), so that it reads the clock once for all
    chunks that one network read brought. The chunks themselves go no further.

    Args:
        keep_text: Whether `text` has the answer, for the next turn.
        clock: Seconds; only differences matter.
    """

    def __init__(self, *, keep_text: bool = False, clock: Clock = perf_counter) -> None:
        self.sent: float | None = None
        """When the request was sent, by the clock."""
        self.first: float | None = None
        """When the first content came."""
        self.first_output: float | None = None
        """When the first of the answer itself came."""
        self.last_content: float | None = None
        """When the last content came."""
        self.last: float | None = None
        """When the last chunk of any kind came."""
        self.chunks = 0
        """Chunks with content."""
        self.gaps = array("d")
        """Seconds between one chunk with content and the next; 0 within one read."""
        self.usage: Usage | None = None
        """The tokens, as the provider counts them."""
        self.reasoned = False
        """Whether thinking was among the content."""
        self.finish_reason: str | None = None
        """Why the first choice ended."""
        self._texts: list[str] | None = [] if keep_text else None
        self._clock = clock

    @property
    def streamed_tokens(self) -> int:
        """The tokens that the chunks with content brought: as many as chunks, if nobody counts.

        Thinking that is counted but not shown came with none of them.
        """
        if self.usage is None or not self.usage.output_tokens:
            return self.chunks
        hidden = 0 if self.reasoned else self.usage.reasoning_tokens or 0
        return max(self.usage.output_tokens - hidden, 0)

    @property
    def text(self) -> str:
        """The first choice's text."""
        return "".join(self._texts or ())

    @property
    def decoding(self) -> float | None:
        """Seconds from the first content to the last."""
        if self.first is None or self.last_content is None:
            return None
        return self.last_content - self.first

    def begin(self) -> Callable[[list[Chunk]], list[Chunk]]:
        """Return the stage; a measurement is for one stream."""
        return self._note

    def _note(self, batch: list[Chunk]) -> list[Chunk]:
        now = self._clock()
        self.last = now
        for chunk in batch:
            if type(chunk) is Usage:
                self.usage = chunk
            elif type(chunk) is Finish:
                if chunk.choice == 0:
                    self.finish_reason = chunk.reason
            elif chunk.content and _says_something(chunk):
                self._content(chunk, now)
        return []

    def _content(self, chunk: Chunk, now: float) -> None:
        self.chunks += 1
        if self.last_content is None:
            self.first = now
        else:
            self.gaps.append(now - self.last_content)
        self.last_content = now
        if type(chunk) is ReasoningDelta:
            self.reasoned = True
        elif self.first_output is None and type(chunk) is not ToolCallDelta:
            self.first_output = now
        if self._texts is not None and type(chunk) is TextDelta and chunk.choice == 0:
            self._texts.append(chunk.text)


def _says_something(chunk: Chunk) -> bool:
    """Tell whether `chunk` has a token in it: some servers begin with empty content."""
    match chunk:
        case TextDelta():
            return chunk.text != ""
        case ReasoningDelta():
            return chunk.reasoning != "" or bool(chunk.details)
        case ToolCallDelta():
            return bool(chunk.name or chunk.arguments)
        case RefusalDelta():
            return chunk.refusal != ""
        case AudioDelta():
            return bool(chunk.data or chunk.transcript)
        case ImageDelta():
            return True
        case _:
            return False
