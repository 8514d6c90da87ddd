"""What a model string and the control header ask for."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.simulator import settings
from penstock.simulator.behavior import Behavior, BehaviorError, Fault, parse

READ: list[tuple[str, str, dict[str, Any]]] = [
    ("echo", "", {"model": "echo"}),
    ("sim/echo", "", {"model": "echo"}),
    ("echo?ttft=2&fault=reset@3", "", {"ttft": 2.0, "fault": (Fault("reset", 3),)}),
    ("echo?fault=reset", "", {"fault": (Fault("reset", None),)}),
    (
        "echo?fault=no-done,trailers&fault=gzip",
        "",
        {"fault": tuple(map(Fault, ("no-done", "trailers", "gzip")))},
    ),
    ("echo?shape=bom,crlf&shape=ids", "", {"shape": ("bom", "crlf", "ids")}),
    ("echo?retry-after=2", "", {"retry_after": "2"}),
    ("echo?retry_after=-1", "", {"retry_after": "-1"}),
    ("echo?rate-limits=1", "", {"rate_limits": True}),
    ("echo?rate-limits=0", "", {"rate_limits": False}),
    ("echo?speed=inf", "", {"speed": float("inf")}),
    ("replay/a.b/c", "", {"model": "replay/a.b/c"}),
    ("gpt-5.4", "text?tokens=3", {"model": "text", "tokens": 3}),
    ("gpt-5.4", "sim/text", {"model": "text"}),
    ("gpt-5.4", "replay/x", {"model": "replay/x"}),
    ("echo?ttft=2", "ttft=3", {"model": "echo", "ttft": 3.0}),
    ("echo?ttft=2&rate=5", "text?ttft=3", {"model": "text", "ttft": 3.0, "rate": 5.0}),
    ("echo?fail=2", "", {"status": 503, "fail": 2, "key": "echo?fail=2|"}),
    ("echo?fail=2&fault=html&key=k", "", {"status": None, "fail": 2, "key": "k"}),
]


@pytest.mark.parametrize(("model", "header", "expected"), READ)
def test_a_behavior_is_read(model: str, header: str, expected: dict[str, Any]) -> None:
    """The settings come from the model's query, the header's win."""
    behavior = parse(model, header)

    assert expected == {name: getattr(behavior, name) for name in expected}


REFUSED = [
    ("eco", "", "`eco` does not exist here. Did you mean `echo`?"),
    ("zzz", "", "There are: audio, echo, image, json"),
    ("", "", "There are: audio, echo"),
    ("echo?ttt=1", "", "The setting `ttt` does not exist. Did you mean `ttft`?"),
    ("echo?fault=resett", "", "The fault `resett` does not exist. Did you mean `reset`?"),
    ("echo?fault=reset@x", "", "`reset@x` needs a whole number after the @."),
    ("echo?shape=crrlf", "", "The shape `crrlf` does not exist. Did you mean `crlf`?"),
    ("echo?style=opnai", "", "`style=opnai` is not known. Did you mean `openai`?"),
    ("echo?ttft=soon", "", "`ttft=soon` needs a number."),
    ("echo?tokens=1.5", "", "`tokens=1.5` needs a number."),
    ("echo?rate=-1", "", "`rate=-1` needs a number of 0 or more."),
    ("echo?ttft=nan", "", "`ttft=nan` needs a number of 0 or more."),
    ("echo?choices=129", "", "`choices=129` is more than 128."),
    ("echo", "fault=nope", "The fault `nope` does not exist."),
]


@pytest.mark.parametrize(("model", "header", "message"), REFUSED)
def test_what_does_not_exist_is_refused_with_the_nearest(
    model: str, header: str, message: str
) -> None:
    """The error says what was meant, or what there is."""
    with pytest.raises(BehaviorError) as caught:
        parse(model, header)

    assert message in str(caught.value)


def test_every_setting_is_listed() -> None:
    """What can be set has a line that says what it does; the model is no setting."""
    listed = {name.replace("-", "_") for name in settings()}

    assert set(Behavior.__slots__) - {"model"} == listed


def test_a_healthy_form_keeps_the_answer() -> None:
    """Without its faults a behavior has the same model, text and pace."""
    behavior = parse("text?tokens=3&rate=9&fault=reset@1&status=500&fail=1")

    assert (
        parse("text?tokens=3&rate=9&key=x")
        == parse("text?tokens=3&rate=9&fault=reset@1&status=500&fail=1&key=x").without_faults()
    )
    assert "text" == behavior.without_faults().model
