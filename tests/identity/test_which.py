"""Which identity service is asked stands in the configuration, and what would stop it is found at the start."""

import pytest

from broker.app import identity_service
from broker.errors import ConfigurationError
from broker.identity import FileIdentity, NoIdentity
from broker.lookup import SparedIdentity
from broker.settings import load

SIGNED = 'auth = {kind = "private-key-jwt", client_id = "a", key_id = "b", token_url = "https://pds.example/t", key_file = "key.pem"}'
PDS = 'kind = "pds"\nbase_url = "https://pds.example/FHIR/R4/"\n'


@pytest.fixture
def settings(tmp_path):
    def make(text):
        (tmp_path / "patients").mkdir(exist_ok=True)
        (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----\n")
        (tmp_path / "broker.toml").write_text(f"[identity]\n{text}\n")
        return load(tmp_path / "broker.toml", {})

    return make


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", NoIdentity),
        ('kind = "none"', NoIdentity),
        ('kind = "file"\ndirectory = "patients"', FileIdentity),
        (PDS, SparedIdentity),
        (f'{PDS}timeout = "1s"\norganisation = "QKK"', SparedIdentity),
    ],
)
def test_the_configuration_names_the_service(settings, text, kind):
    assert type(identity_service(settings(text))) is kind


def test_a_key_that_is_none_is_a_fault_of_the_configuration_that_does_not_repeat_it(settings):
    with pytest.raises(
        ConfigurationError, match=r"broker\.toml: \[identity\] auth: key: write a private key as PEM"
    ) as fault:
        identity_service(settings(f"{PDS}{SIGNED}"))
    assert "BEGIN" not in str(fault.value)


def test_a_secret_is_in_no_word_of_the_settings(settings):
    assert "BEGIN" not in repr(settings(f"{PDS}{SIGNED}"))
