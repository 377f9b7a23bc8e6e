"""The live service wants to know who asks: a token, for an assertion that the broker signs."""

import asyncio

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from adapters.auth import AuthNotUsable
from adapters.contract import Auth
from adapters.transport import Transport
from broker.identity import PdsIdentity

from .conftest import ASKED, BORN, CURRENT, pds_patient
from .simulator import CLIENT, KEY_ID, hangs, simulated

KEYS = {
    "rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ec": ec.generate_private_key(ec.SECP384R1()),
}


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
async def pds():
    async with simulated({ASKED: pds_patient()}) as service:
        service.registered = KEYS["rsa"].public_key()
        yield service


@pytest.fixture
async def broker(pds):
    """Makes the side of the broker, with this key; `ask` asks."""
    async with Transport() as transport:

        def make(signs=KEYS["rsa"], **settings):
            given = {"client_id": CLIENT, "key_id": KEY_ID, "token_url": pds.token_url, "key": pem(signs)} | settings
            auth = Auth(kind="private-key-jwt", settings=given)
            identity = PdsIdentity(transport, base_url=pds.base_url, auth=auth, timeout=2.0)

            async def ask(number=ASKED, within=5.0):
                deadline = asyncio.get_running_loop().time() + within
                return (await identity.resolve(number, BORN, deadline, "RJ1")).status

            return ask

        yield make


@pytest.mark.parametrize("kind", KEYS)
async def test_a_broker_whose_key_is_registered_may_ask(pds, broker, kind):
    pds.registered = KEYS[kind].public_key()
    assert await broker(KEYS[kind])() == "answered"
    assert pds.faults == []


async def test_one_token_serves_until_it_ends_however_many_ask_at_once(pds, broker):
    ask = broker()
    assert await asyncio.gather(*(ask() for _ in range(10))) == ["answered"] * 10
    assert await ask() == "answered"
    assert len(pds.tokens) == 1


@pytest.mark.parametrize("lasts", [0, "30", "soon", -1])
async def test_a_token_that_is_about_to_end_is_not_used_again(pds, broker, lasts):
    pds.lasts = lasts
    ask = broker()
    assert [await ask(), await ask()] == ["answered"] * 2
    assert len(pds.tokens) == 2


async def test_a_token_that_is_taken_back_costs_one_answer(pds, broker):
    ask = broker()
    await ask()
    pds.tokens.clear()
    assert [await ask(), await ask()] == ["refused", "answered"]


@pytest.mark.parametrize(
    "wrong", [{"client_id": "another"}, {"key_id": "another"}, {"key": pem(KEYS["ec"])}], ids=["client", "id", "key"]
)
async def test_a_broker_that_is_not_registered_so_gets_no_token_and_asks_nothing(pds, broker, wrong):
    assert await broker(**wrong)() in {"refused", "failed"}
    assert (pds.tokens, pds.asked, pds.faults) == ([], [], [])


async def test_where_no_token_comes_in_time_the_service_is_timed_out_and_nobody_waits_for_another(pds, broker):
    pds.grants = hangs
    ask = broker()
    async with asyncio.timeout(5):
        assert await asyncio.gather(*(ask(within=0.2) for _ in range(5))) == ["timed-out"] * 5
    pds.grants = None
    assert await ask() == "answered"


async def test_each_number_of_a_chain_is_asked_with_the_token(pds, broker):
    pds.records |= {ASKED: pds_patient(CURRENT), CURRENT: pds_patient(CURRENT)}
    assert await broker()() == "answered"
    assert (len(pds.asked), len(pds.tokens), pds.faults) == (2, 1, [])


@pytest.mark.parametrize(
    "key",
    [
        "",
        "no key",
        pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)),
        pem(ec.generate_private_key(ec.SECP256R1())),
    ],
    ids=["empty", "words", "weak", "curve"],
)
async def test_a_key_that_can_not_sign_is_found_before_anything_is_asked(broker, key):
    with pytest.raises(AuthNotUsable, match="key: write") as fault:
        broker(key=key)
    assert "BEGIN" not in str(fault.value)
    assert fault.value.__cause__ is None
