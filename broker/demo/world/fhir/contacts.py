"""Where the patient was seen and will be, what was planned, and what was written about it."""

from typing import Any

from broker.demo.world.codes import LOINC, Code
from broker.demo.world.fhir.elements import HERE, HL7, ME, STAFF, Resource, concept, hl7, ref, resource

__all__ = ["appointment", "care_plan", "care_team", "encounter", "episode", "flag", "letter", "referral"]


def encounter(
    key: str,
    kind: Code,
    *,
    start: str,
    end: str | None = None,
    setting: str = "AMB",
    services: tuple[Code, ...] = (),
    appointment: str | None = None,
    **more: Any,
) -> Resource:
    """An attendance, admission or visit; `setting` is a v3-ActCode (AMB, EMER, IMP, HH, VR)."""
    return resource(
        "Encounter",
        key,
        status="finished" if end else "in-progress",
        class_={"system": HL7 + "v3-ActCode", "code": setting},
        type=[concept(kind)],
        serviceType=concept(*services),
        subject=ME,
        participant=[{"individual": STAFF}],
        appointment=appointment and [ref(appointment)],
        period={name: value for name, value in (("start", start), ("end", end)) if value},
        serviceProvider=HERE,
        **more,
    )


def appointment(
    key: str,
    *,
    start: str,
    what: str,
    services: tuple[Code, ...] = (),
    status: str = "booked",
    others: tuple[str, ...] = (),
) -> Resource:
    """An appointment, to come or kept; `others` take part beside the patient."""
    people = [{"actor": ref(target), "status": "accepted"} for target in ("Patient/me", "Practitioner/staff", *others)]
    return resource(
        "Appointment",
        key,
        status=status,
        serviceType=[concept(*services)] if services else None,
        description=what,
        start=f"{start}T09:30:00Z",
        end=f"{start}T09:50:00Z",
        participant=people,
    )


def episode(key: str, what: str, *, since: str, code: Code | None = None) -> Resource:
    """A service that has taken the patient on."""
    return resource(
        "EpisodeOfCare",
        key,
        status="active",
        type=[concept(code, text=what)],
        patient=ME,
        managingOrganization=HERE,
        period={"start": since},
        careManager=STAFF,
    )


def referral(key: str, code: Code, *, on: str, why: str, status: str = "active") -> Resource:
    """A referral to another service."""
    return resource(
        "ServiceRequest",
        key,
        status=status,
        intent="order",
        code=concept(code),
        subject=ME,
        authoredOn=on,
        requester=STAFF,
        reasonCode=[{"text": why}],
    )


def care_plan(
    key: str, code: Code | None, *, since: str, title: str, steps: tuple[str, ...] = (), **more: Any
) -> Resource:
    """A plan of care, with what is to be done."""
    return resource(
        "CarePlan",
        key,
        status="active",
        intent="plan",
        category=[concept(code)] if code else None,
        title=title,
        subject=ME,
        period={"start": since},
        author=STAFF,
        activity=[{"detail": {"status": "in-progress", "description": step, "code": {"text": step}}} for step in steps]
        or None,
        **more,
    )


def care_team(key: str, name: str, *, since: str, members: tuple[str, ...]) -> Resource:
    """Who looks after the patient; each member as words."""
    return resource(
        "CareTeam",
        key,
        status="active",
        name=name,
        subject=ME,
        period={"start": since},
        participant=[{"role": [{"text": member}]} for member in members],
        managingOrganization=[HERE],
    )


def flag(key: str, text: str, *, since: str, category: str, code: Code | None = None) -> Resource:
    """What whoever comes to the patient should know first; `category` as in HL7's flag-category."""
    return resource(
        "Flag",
        key,
        status="active",
        category=[hl7("flag-category", category)],
        code=concept(code, text=text),
        subject=ME,
        period={"start": since},
        author=HERE,
    )


def letter(
    key: str, code: Code, *, on: str, title: str, services: tuple[Code, ...] = (), about: tuple[str, ...] = ()
) -> Resource:
    """A letter or other document, listed with its address; `about` are what it belongs to."""
    context = {
        "encounter": [ref(target) for target in about if target.startswith("Encounter/")] or None,
        "related": [ref(target) for target in about if not target.startswith("Encounter/")] or None,
        "practiceSetting": concept(*services),
    }
    return resource(
        "DocumentReference",
        key,
        status="current",
        docStatus="final",
        type=concept(code),
        category=[concept(Code(LOINC, "34133-9", "Summary of episode note"))],
        subject=ME,
        date=f"{on}T12:00:00Z",
        author=[STAFF],
        custodian=HERE,
        content=[{"attachment": {"contentType": "text/plain", "title": title, "creation": on}}],
        context={name: value for name, value in context.items() if value} or None,
    )
