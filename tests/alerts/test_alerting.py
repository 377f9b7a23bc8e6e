"""An alert is in the journal at once, and reaches whoever must know: signed, at least once, whatever happens between."""

import asyncio
import time

import pytest
import structlog
from aiohttp import web
from sqlalchemy.exc import OperationalError

from broker.alerts import Alert, Kind, Pace
from broker.alerts.sending import signature

from .conftest import SECRET, Office

OVERRIDE = Alert(kind=Kind.OVERRIDE, to=("RJ1", "QKK"), lookup_id="l-1")
WRONG = Alert(kind=Kind.WRONG_PATIENT, to=("RJ1",), lookup_id="l-2", source="RJ1-epr")


async def test_it_is_in_the_journal_in_its_place_and_nobody_waited(world):
    async with world.alerting() as alerts:
        first, second = alerts.raise_alert(OVERRIDE), alerts.raise_alert(WRONG)
    raised = await world.journalled()
    assert [line["alert_id"] for line in raised] == [first, second]
    assert raised[0]["to"] == ["QKK", "RJ1"]
    assert (raised[1]["kind"], raised[1]["lookup_id"], raised[1]["source"]) == ("wrong-patient", "l-2", "RJ1-epr")


async def test_without_a_receiver_the_log_says_it_and_nothing_is_kept_to_be_sent(world):
    with structlog.testing.capture_logs() as logged:
        async with world.alerting() as alerts:
            alert_id = alerts.raise_alert(OVERRIDE)
    assert logged == [
        {"event": "alert.raised", "log_level": "warning", "alert_id": alert_id, "kind": "override", "count": 1}
    ]
    assert await world.waiting() == []
    assert [line["event"] for line in await world.journalled()] == ["alert.raised"]


async def test_it_is_sent_signed_and_then_it_is_said(world, office):
    async with world.alerting(office) as alerts:
        alert_id = alerts.raise_alert(OVERRIDE)
        sent = await world.until_journalled("alert.sent")
    assert (sent["alert_id"], sent["delivered"], sent["tries"]) == (alert_id, True, 1)
    (got,) = office.got
    timestamp = int(got.headers["webhook-timestamp"])
    assert got.headers["webhook-id"] == alert_id
    assert abs(timestamp - time.time()) < 60
    assert got.headers["webhook-signature"] == signature(
        [SECRET], message_id=alert_id, timestamp=timestamp, body=got.body
    )
    assert got.headers["content-type"] == "application/json"
    assert (got.said["type"], got.said["data"]["to"]) == ("override", ["QKK", "RJ1"])
    assert await world.waiting() == []


async def test_a_receiver_that_fails_is_tried_again_and_said_to_fail_once(world, office):
    answers = iter([500, 404, 302, 503, 204])

    async def moody(_):
        return web.Response(status=next(answers), headers={"Location": "/elsewhere"})

    office.mood = moody
    with structlog.testing.capture_logs() as logged:
        async with world.alerting(office) as alerts:
            alert_id = alerts.raise_alert(OVERRIDE)
            sent = await world.until_journalled("alert.sent")
    assert (sent["delivered"], sent["tries"]) == (True, 5)
    assert {got.headers["webhook-id"] for got in office.got} == {alert_id}
    assert len(office.got) == 5  # the redirect was not followed
    events = [line["event"] for line in logged]
    assert events.count("alerts.receiver-failed") == events.count("alerts.receiver-back") == 1


async def test_nobody_there_is_no_fault_of_the_broker(world, office):
    gone = Office(url="http://127.0.0.1:9/alerts")
    async with world.alerting(gone) as alerts:
        alert_id = alerts.raise_alert(OVERRIDE)
        while not [row for row in await world.waiting() if row.tries > 1]:
            await asyncio.sleep(0.01)
    async with world.alerting(office):
        assert (await world.until_journalled("alert.sent"))["alert_id"] == alert_id


async def test_what_could_not_be_sent_outlives_the_process(world, office):
    async def down(_):
        return web.Response(status=503)

    office.mood = down
    async with world.alerting(office, pace=Pace(first=0.01, most=0.02, timeout=2)) as alerts:
        alert_id = alerts.raise_alert(OVERRIDE)
        await office.came.wait()
    assert [row.id for row in await world.waiting()] == [alert_id]
    office.mood, before = Office().mood, len(office.got)
    async with world.alerting(office):
        assert (await world.until_journalled("alert.sent"))["alert_id"] == alert_id
    assert len(office.got) == before + 1


async def test_one_that_hangs_costs_nothing_else_and_not_the_end_either(world, office):
    release = asyncio.Event()

    async def hangs(_):
        await release.wait()
        return web.Response()

    office.mood = hangs
    async with world.alerting(office, pace=Pace(timeout=60)) as alerts:
        first = alerts.raise_alert(OVERRIDE)
        await office.came.wait()
        second = alerts.raise_alert(WRONG)
        while len(await world.waiting()) < 2:
            await asyncio.sleep(0.01)
    release.set()
    assert {row.id for row in await world.waiting()} == {first, second}
    assert all(row.due_at <= time.time() for row in await world.waiting())  # the next start need not wait


async def test_one_that_never_ends_its_reply_is_cut(world, office):
    endless = asyncio.Event()

    async def endless_reply(request):
        reply = web.StreamResponse()
        await reply.prepare(request)
        await reply.write(b"x" * 65536)
        await endless.wait()
        return reply

    office.mood = endless_reply
    async with world.alerting(office) as alerts:
        alerts.raise_alert(OVERRIDE)
        assert (await world.until_journalled("alert.sent"))["delivered"]
    endless.set()


async def test_what_nobody_took_for_days_is_given_up_and_said(world, office):
    async def down(_):
        return web.Response(status=410)

    office.mood = down
    with structlog.testing.capture_logs() as logged:
        async with world.alerting(office, pace=Pace(first=0.01, longest=0.0)) as alerts:
            alerts.raise_alert(OVERRIDE)
            sent = await world.until_journalled("alert.sent")
    assert (sent["delivered"], sent["tries"]) == (False, 1)
    assert "alert.unsent" in [line["event"] for line in logged]
    assert await world.waiting() == []


async def test_a_source_that_always_answers_about_somebody_else_is_told_of_once_and_then_counted(world, office):
    pace = Pace(window=0.2, first=0.01, look=0.05)
    async with world.alerting(office, pace=pace) as alerts:
        ids = [alerts.raise_alert(WRONG) for _ in range(200)]
        async with asyncio.timeout(10):
            while len(office.got) < 2:
                await asyncio.sleep(0.01)
    assert [got.said["data"]["count"] for got in office.got] == [1, 199]
    assert [got.said["data"]["id"] for got in office.got] == [ids[0], ids[-1]]
    raised = [line for line in await world.journalled() if line["event"] == "alert.raised"]
    assert [line["alert_id"] for line in raised] == ids


async def test_what_was_only_counted_is_not_lost_when_the_broker_stops(world, office):
    async with world.alerting(office, pace=Pace(window=60)) as alerts:
        for _ in range(3):
            alerts.raise_alert(WRONG)
        await world.until_journalled("alert.sent")
    (left,) = await world.waiting()
    assert '"count":2' in left.body


async def test_two_nodes_with_one_store_send_each_message_once(world, office):
    async def slowly(_):
        await asyncio.sleep(0.01)
        return web.Response()

    office.mood = slowly
    async with world.alerting(office) as one, world.alerting(office) as other:
        ids = {
            node.raise_alert(Alert(kind=Kind.OVERRIDE, lookup_id=f"l-{n}")) for n, node in enumerate([one, other] * 10)
        }
        async with asyncio.timeout(10):
            while await world.waiting() or len(office.got) < len(ids):
                await asyncio.sleep(0.01)
    assert sorted(got.headers["webhook-id"] for got in office.got) == sorted(ids)


async def test_what_is_to_be_said_once_is_said_once_over_nodes_and_restarts(world):
    ending = Alert(kind=Kind.AGREEMENT_ENDING, to=("RJ1",))
    now = 1_000_000.0
    for _ in range(2):
        async with world.alerting(clock=lambda: now) as one, world.alerting(clock=lambda: now) as other:
            await asyncio.gather(one.raise_once(ending, "RJ1/today"), other.raise_once(ending, "RJ1/today"))
            await one.raise_once(ending, "RJ1/today")
    assert len(await world.journalled()) == 1
    async with world.alerting(clock=lambda: now + 3 * 86400) as later:
        assert await later.raise_once(ending, "RJ1/three days later")
    assert [row.id for row in await world.waiting()] == ["RJ1/three days later"]  # what is old is swept out


async def test_a_store_that_can_not_be_written_delays_and_loses_nothing(world, office, monkeypatch):
    """The journal has it at once; the receiver hears when the store is back."""
    broken = asyncio.Event()
    async with world.alerting(office) as alerts:
        put = alerts._outbox.put

        async def fails(*_):
            broken.set()
            raise OperationalError("", {}, Exception())

        monkeypatch.setattr(alerts._outbox, "put", fails)
        alert_id = alerts.raise_alert(OVERRIDE)
        await broken.wait()
        assert [line["event"] for line in await world.journalled()] == ["alert.raised"]
        monkeypatch.setattr(alerts._outbox, "put", put)
        assert (await world.until_journalled("alert.sent"))["alert_id"] == alert_id


@pytest.mark.parametrize("tries", [1, 2, 5, 50, 5000])
def test_the_time_between_tries_grows_and_is_bounded(tries):
    pace = Pace()
    assert 0.8 * min(5 * 3.0 ** min(tries - 1, 20), 1800) <= pace.after(tries) <= 1.2 * 1800


async def test_a_store_that_fails_does_not_keep_the_broker_from_ending(world, office, monkeypatch):
    async def hangs(_):
        await asyncio.sleep(3600)

    async def fails(*_, **__):
        raise OperationalError("", {}, Exception())

    office.mood = hangs
    async with asyncio.timeout(10):
        async with world.alerting(office, pace=Pace(timeout=60)) as alerts:
            alerts.raise_alert(OVERRIDE)
            await office.came.wait()
            for name in ("put", "again", "take"):
                monkeypatch.setattr(alerts._outbox, name, fails)
            alerts.raise_alert(WRONG)


async def test_a_fault_of_the_program_is_said_and_not_swallowed(world, monkeypatch):
    with structlog.testing.capture_logs() as logged:
        async with world.alerting() as alerts:
            monkeypatch.setattr(alerts._gathering, "due", None)
            alerts.raise_alert(OVERRIDE)
            while "alerts.fault" not in [line["event"] for line in logged]:
                await asyncio.sleep(0.01)
