"""Signed so that any receiver of Standard Webhooks can check it; and the secret is one, or the start is refused."""

import base64
import os

import pytest

from broker.alerts import Receiver, read_secrets
from broker.alerts.sending import signature
from broker.errors import ConfigurationError

from .conftest import IN_A_FILE, SECRET


def test_the_signature_is_that_of_the_specifications_example():
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = signature(
        [secret],
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_the_secret_changes_both_sign():
    one, other = (signature([each], message_id="m", timestamp=1, body=b"{}") for each in (SECRET, SECRET[::-1]))
    assert signature([SECRET, SECRET[::-1]], message_id="m", timestamp=1, body=b"{}") == f"{one} {other}"


@pytest.mark.parametrize("text", [IN_A_FILE, IN_A_FILE.removeprefix("whsec_"), IN_A_FILE.strip(), f"\n{IN_A_FILE}\n"])
def test_a_secret_is_read_with_its_prefix_or_without(tmp_path, text):
    file = tmp_path / "secret"
    file.write_text(text)
    assert read_secrets(file) == (SECRET,)
    file.write_text(f"{IN_A_FILE}{IN_A_FILE}")
    assert read_secrets(file) == (SECRET, SECRET)


@pytest.mark.parametrize(
    "text", ["", "\n", "hunter2", "whsec_", "whsec_c2hvcnQ=", "whsec_" + "A" * 2000, "whsec_ünïcode"]
)
def test_what_is_no_secret_is_said_without_repeating_it(tmp_path, text):
    file = tmp_path / "secret"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        read_secrets(file)
    assert "openssl rand" in caught.value.message
    assert not text.strip() or text.strip() not in str(caught.value).replace("write whsec_", "")


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, tmp_path / "nothing"):
        with pytest.raises(ConfigurationError):
            read_secrets(path)


def test_a_receiver_shown_anywhere_shows_no_secret():
    assert str(SECRET) not in repr(Receiver(url="https://office.example", secrets=(SECRET,)))
