"""How an alert is sent: signed in the manner of Standard Webhooks, and without waiting long for anybody."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

from broker.errors import ConfigurationError

__all__ = ["Receiver", "Sender", "read_secrets", "signature"]

_PREFIX: Final = "whsec_"
_BYTES: Final = range(24, 65)
_MOST: Final = 1024
_GOOD: Final = range(200, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Who is told.

    Attributes:
        url: where it listens; https outside loopback.
        secrets: that it shares with the broker: the one it has, and while it changes it the other one too.
    """

    url: str
    secrets: Sequence[bytes] = field(repr=False)


def read_secrets(file: Path) -> tuple[bytes, ...]:
    """The secrets in a file, one on each line. Blocks for one small file. Raises ConfigurationError."""
    try:
        if file.exists() and not file.is_file():  # opening a pipe would wait for ever
            raise ConfigurationError(file, "no regular file: write the secret into one")
        with file.open("rb") as opened:
            lines = opened.read(_MOST).decode("ascii").split()
        secrets = tuple(base64.b64decode(line.removeprefix(_PREFIX), validate=True) for line in lines)
    except OSError as error:
        raise ConfigurationError(file, f"can't be read ({error.strerror}): write the secret into it") from None
    except (UnicodeDecodeError, binascii.Error):
        secrets = ()
    if not secrets or any(len(secret) not in _BYTES for secret in secrets):
        words = "write whsec_ and 24 to 64 random bytes in base64, such as `openssl rand -base64 32` gives"
        raise ConfigurationError(file, words)
    return secrets


def signature(secrets: Sequence[bytes], *, message_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`: an HMAC-SHA256 (`v1`) by each secret, over id, time and body."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return " ".join(
        f"v1,{base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()}" for secret in secrets
    )


class Sender:
    """Posts to one receiver: a connection for each message, no redirects; of the reply only the status is read."""

    def __init__(self, receiver: Receiver, *, timeout: float) -> None:
        self._receiver = receiver
        self._session = ClientSession(
            connector=TCPConnector(limit=1, force_close=True),
            timeout=ClientTimeout(total=timeout),
            cookie_jar=DummyCookieJar(),
            headers={"User-Agent": "care-record-broker", "Content-Type": "application/json"},
            auto_decompress=False,
            trust_env=False,
        )

    async def post(self, message_id: str, body: bytes, *, timestamp: int) -> str | None:
        """None where the receiver took it; else why not, as a status or the type of an error.

        Args:
            message_id: the same each time that the same message is sent.
            body: JSON.
            timestamp: of this try, in seconds since 1970.
        """
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(
                self._receiver.secrets, message_id=message_id, timestamp=timestamp, body=body
            ),
        }
        try:
            async with self._session.post(
                self._receiver.url, data=body, headers=headers, allow_redirects=False
            ) as reply:
                return None if reply.status in _GOOD else str(reply.status)
        except (ClientError, TimeoutError, OSError) as error:
            return type(error).__name__

    async def close(self) -> None:
        """Let go of its connections."""
        await self._session.close()
