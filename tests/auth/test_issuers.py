"""An issuer that could not be trusted, or told from another, stops the start and says what to write."""

import re

import pytest

from broker.auth import Authenticator, Issuer
from broker.errors import ConfigurationError

from .conftest import AUDIENCE, Pair


@pytest.mark.parametrize(
    "url",
    [
        "https://idp.example/jwks.json",
        "http://127.0.0.1:8090/jwks.json",
        "http://localhost/jwks.json",
        "http://[::1]:8090/jwks.json",
    ],
)
async def test_a_pinned_address_is_taken(url):
    async with Authenticator([Issuer(iss="https://idp.example", jwks_url=url)], AUDIENCE):
        pass


@pytest.mark.parametrize(
    "url",
    [
        "http://idp.example/jwks.json",
        "http://127.0.0.1.example/jwks.json",
        "ftp://127.0.0.1/jwks.json",
        "file:///etc/passwd",
        "https://user:secret@idp.example/jwks.json",
        "https://",
        "https://idp.example:port/",
        "",
    ],
)
def test_an_address_that_others_could_answer_at_is_refused(url):
    with pytest.raises(ConfigurationError, match="https"):
        Authenticator([Issuer(iss="https://idp.example", jwks_url=url, declared_in="RJ1.toml")], AUDIENCE)


def test_the_message_names_the_file_and_what_to_write(tmp_path, key_file):
    weak = key_file(Pair.make("RS256", bits=1024).jwk, name="weak.json")
    (tmp_path / "page.json").write_text("<html>")
    cases = [
        ([Issuer(iss="https://idp.example")], "broker.toml: .* has no keys: write `jwks_url` or `jwks_file`"),
        ([Issuer(iss="", demo=True)], "broker.toml: .*without `iss`"),
        ([Issuer(iss="a", demo=True), Issuer(iss="a", demo=True, declared_in="RJ1.toml")], "RJ1.toml: .*twice"),
        ([Issuer(iss="a", jwks_url="https://a.example", jwks_file=weak)], "both `jwks_url` and `jwks_file`"),
        ([Issuer(iss="a", jwks_file=weak)], "weak.json: no key .*key 1: an RSA key of 1024 bits"),
        ([Issuer(iss="a", jwks_file=tmp_path / "absent.json")], "absent.json: .*can't be read"),
        ([Issuer(iss="a", jwks_file=tmp_path / "page.json")], re.escape('write {"keys": [...]}')),
        ([Issuer(iss="a", jwks_file=key_file(name="empty.json"))], "empty.json: .*empty"),
    ]
    for issuers, message in cases:
        with pytest.raises(ConfigurationError, match=message):
            Authenticator(issuers, AUDIENCE)
