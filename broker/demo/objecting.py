"""What patients of the demo world have said no to, written into the register by its own rules before the start."""

from typing import Final

from broker.app import load_policies, open_journal
from broker.demo.world import OBJECTIONS
from broker.demo.world.files import OPERATOR_ISSUER
from broker.keys import Keys
from broker.objections import Actor, ObjectionRegister, Status
from broker.settings import Settings
from broker.store import open_store

__all__ = ["record_objections"]

STEPS: Final = (Status.UNDER_REVIEW, Status.UPHELD)
"""What follows an objection that was received."""


async def record_objections(settings: Settings) -> None:
    """Record each objection and have it upheld; what is there already is left as it is."""
    lead = settings.objections.lead_controller or ""
    nurse = _actor("Nurse C Example", "RJ1", "https://ehr.rj1.example", role="nurse", role_code="R8001")
    officer = _actor("P Example", lead, OPERATOR_ISSUER, role="privacy-officer", role_code="R0001")
    keys = Keys.open(settings.audit.keys)
    journal = await open_journal(settings, keys)
    try:
        store = await open_store(settings.store.url, settings.audit.keys)
        try:
            register = ObjectionRegister(store, keys, journal, load_policies(settings), lead_controller=lead)
            for objector in OBJECTIONS:
                if await register.list(officer, patient=objector.nhs_number):
                    continue
                made = await register.record(
                    nurse, patient=objector.nhs_number, asked_by=objector.asked_by, effect_explained=True
                )
                for status in STEPS:
                    await register.decide(officer, made.id, status=status)
        finally:
            await store.dispose()
    finally:
        await journal.close()


def _actor(name: str, organisation: str, issuer: str, *, role: str, role_code: str) -> Actor:
    return Actor(
        issuer=issuer,
        subject=f"demo-{role}",
        name=name,
        organisation=organisation,
        role=role,
        operator=issuer == OPERATOR_ISSUER,
        role_code=role_code,
        client="broker-demo",
    )
