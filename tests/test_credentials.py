"""What holds a credential: `penstock.credentials`."""

from __future__ import annotations

import pytest

from penstock.credentials import is_credential


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Authorization", True),
        ("proxy-authorization", True),
        ("X-Api-Key", True),
        ("api-key", True),
        ("key", True),
        ("ocp-apim-subscription-key", True),
        ("cookie", True),
        ("x-corp-auth", True),
        ("x-amz-security-token", True),
        ("cf-access-client-secret", True),
        ("content-type", False),
        ("x-title", False),
        ("idempotency-key", False),
        ("x-author", False),
    ],
)
def test_a_header_that_holds_a_credential_is_known_by_its_name(name: str, expected: bool) -> None:
    """The names of vendors, gateways and proxies."""
    assert expected is is_credential(name)
