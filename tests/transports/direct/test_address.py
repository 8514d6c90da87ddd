"""Addresses taken apart, without an HTTP library."""

from __future__ import annotations

import httpx
import pytest

from penstock.errors import ConfigurationError
from penstock.transports.direct.address import Origin, address_of
from penstock.transports.direct.head import head_of


@pytest.mark.parametrize(
    ("url", "origin", "host", "target"),
    [
        ("http://llm.example", ("http", "llm.example", 80), "llm.example", "/"),
        ("https://LLM.example:443/v1?a=b", ("https", "llm.example", 443), "llm.example", "/v1?a=b"),
        ("http://a:8080/v1", ("http", "a", 8080), "a:8080", "/v1"),
        ("http://[::1]:80/v1", ("http", "::1", 80), "[::1]", "/v1"),
        ("https://[::1]:8443/", ("https", "::1", 8443), "[::1]:8443", "/"),
        ("https://user:key@a/v1", ("https", "a", 443), "a", "/v1"),
        ("https://a/v1#part", ("https", "a", 443), "a", "/v1"),
        ("https://bücher.example/", ("https", "xn--bcher-kva.example", 443), None, "/"),
        ("http+unix://%2Ftmp%2Fa.sock/v1?x", ("unix", "/tmp/a.sock", 0), "localhost", "/v1?x"),
    ],
)
def test_where_an_address_leads(
    url: str, origin: tuple[str, str, int], host: str | None, target: str
) -> None:
    """Scheme, host and port say whom to connect to; the rest is asked for there."""
    found = address_of(url)

    assert origin == found.origin
    assert (host or origin[1]).encode() == found.host
    assert target.encode() == found.target


@pytest.mark.parametrize(
    "rest",
    [
        *["/v1/models/a:b", "/v1/a%2Fb", "/v1/ü", "/v1/a b", "/v1/~a'b(c)*!", "/a|b", "/v1/{m}"],
        *["/v1?a=ü&b=%20", "/v1?a=b c", "/v1?a[]=1&b={x}", '/v1?a="<>"', "/v1?a=b?c=/d"],
    ],
)
def test_what_is_encoded_is_what_httpx_encodes(rest: str) -> None:
    """Signatures are made over the target, so both transports ask for the same one."""
    url = f"https://llm.example{rest}"

    assert httpx.URL(url).raw_path == address_of(url).target


@pytest.mark.parametrize(
    "url",
    [
        *["ftp://a/", "a:80", "http://", "http://[::1", "http://a:b/", "http://a:99999/", ""],
        *["http://a b/", "http://a\r\nx: y/", "http://a/\r\nx", "http://a%0d/", "/v1"],
    ],
)
def test_what_is_no_address(url: str) -> None:
    """What HTTP cannot call, and what would break a request, is refused before any socket."""
    with pytest.raises(ConfigurationError):
        address_of(url)


def test_an_origin_is_told_without_its_credentials() -> None:
    """Errors name scheme, host and port, and no more."""
    assert "https://a" == str(address_of("https://user:key@a/v1?key=1").origin)
    assert "http://[::1]:8080" == str(Origin("http", "::1", 8080))
    assert "unix:/tmp/a.sock" == str(Origin("unix", "/tmp/a.sock"))


@pytest.mark.parametrize("method", ["", "GET /x HTTP/1.1\r\nX:", "G T", "GÉT"])
def test_what_is_no_method(method: str) -> None:
    """A method is a token: nothing in it ends the request's first line."""
    with pytest.raises(ConfigurationError):
        head_of(method, address_of("http://a/"), [])
