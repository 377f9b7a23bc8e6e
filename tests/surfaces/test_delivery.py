"""How an answer leaves: in pieces that are let go of, to a client that must take them."""

import asyncio
import json
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.lookup.values import Started, Status
from broker.surfaces import delivery
from broker.surfaces.replies import chunks

EVERY_FORM = pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson", "text/event-stream"])
BODY = json.dumps({"patient": {"nhs_number": "9990000018", "birth_date": "1948-03-02"}})


@given(st.lists(st.integers(0, 200_000), max_size=20))
def test_what_is_written_is_what_was_given_in_pieces_of_bounded_size(sizes):
    pieces = [bytes([size % 251]) * size for size in sizes]
    whole = b"".join(pieces)
    written = list(chunks(pieces))
    assert b"".join(written) == whole
    assert all(0 < len(chunk) <= 65_536 for chunk in written)


def test_what_has_been_written_is_not_held():
    pieces = [b"x" * 65_536, b"y" * 300_000, b"z" * 65_536]
    left = []
    for chunk in chunks(pieces):
        left.append(len(pieces))
        del chunk
    assert left == [2, 1, 1, 1, 1, 1, 0]


@pytest.fixture
async def connect(server, sign):
    """Asks over a connection that holds little, so that what the client does not read stays with the broker."""
    opened = []

    async def post(accept):
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, (server.host, server.port))
        reader, writer = await asyncio.open_connection(sock=plain, limit=1024)
        opened.append(writer)
        writer.write(
            f"POST /lookups HTTP/1.1\r\nHost: broker\r\nAuthorization: Bearer {sign()}\r\nAccept: {accept}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}".encode()
        )
        return reader, writer

    yield post
    for writer in opened:
        writer.transport.abort()


def a_large_part(make):
    async def events():
        yield Started(lookup_id="lookup-1", rows=())
        yield make.summary(entries=tuple(make.entry((i,), "Observation", "x" * 1_000_000) for i in range(30)))

    return events


async def settled(lookups, seconds=10):
    async with asyncio.timeout(seconds):
        while not lookups.lookups:
            await asyncio.sleep(0.01)
        await lookups.lookups[0].settled.wait()
    return lookups.lookups[0].told


@EVERY_FORM
async def test_a_client_that_takes_nothing_is_given_up(connect, lookups, make, monkeypatch, accept):
    monkeypatch.setattr(delivery, "_STALL_SECONDS", 0.2)
    lookups.events = a_large_part(make)
    await connect(accept)
    assert await settled(lookups) == ["not-delivered"]


@EVERY_FORM
async def test_a_client_that_takes_a_little_now_and_then_does_not_hold_a_record_for_ever(
    connect, lookups, make, monkeypatch, accept
):
    monkeypatch.setattr(delivery, "_TAKING_SECONDS", 0.5)
    lookups.events = a_large_part(make)
    reader, _ = await connect(accept)

    async def take():
        while piece := await reader.read(1024):
            taken.append(piece)
            await asyncio.sleep(0.01)

    taken: list[bytes] = []
    taking = asyncio.ensure_future(take())
    assert await settled(lookups) == ["not-delivered"]
    taking.cancel()
    await asyncio.wait([taking])
    assert 0 < sum(map(len, taken)) < 1_000_000
    rest = await reader.read()
    assert not rest.endswith(b"0\r\n\r\n"), "a stream without its end"
    assert sum(map(len, taken)) + len(rest) < 30_000_000, "cut, so that no client takes it for the whole"


async def test_an_error_in_the_place_of_what_was_released_is_delivered_with_its_code(client, lookups, make, sign):
    async def empty():
        yield Started(lookup_id="lookup-1", rows=())
        yield make.summary(make.row(status=Status.UNREACHABLE, resources=0), complete=False)

    lookups.events = empty
    response = await client.get(
        "/fhir/Condition",
        params={"patient.identifier": "https://fhir.nhs.uk/Id/nhs-number|9990000018"},
        headers={"Authorization": f"Bearer {sign()}"},
    )
    assert response.status == 503
    assert lookups.lookups[0].told == ["delivered"]
    assert lookups.lookups[0].code == "sources-unavailable"


async def test_the_time_in_which_sources_think_is_not_the_clients(ask, lookups, make, monkeypatch):
    monkeypatch.setattr(delivery, "_TAKING_SECONDS", 0.2)

    async def slow():
        yield Started(lookup_id="lookup-1", rows=())
        for _ in range(3):
            await asyncio.sleep(0.1)
            yield make.part
        yield make.summary()

    lookups.events = slow
    response = await ask(headers={"Accept": "text/event-stream"})
    assert (await response.text()).count("event: ") == 5
    assert lookups.lookups[0].told == ["delivered"]
