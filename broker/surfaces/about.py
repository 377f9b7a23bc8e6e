"""`GET /about`: for everybody. Who takes part, whom to ask for a copy, how to object, how to complain."""

from typing import Any, Final

import msgspec
from aiohttp import web

from broker.lookup.values import STATEMENT
from broker.registry import Organisation
from broker.surfaces.rooms import REGISTRY

__all__ = ["about"]

_WHAT: Final = (
    "Health and care professionals who are caring for you can see, at that moment, what the organisations below hold "
    "about you. It is asked for when it is needed and shown as one view; nothing of it is kept here."
)
_WHO_SEES: Final = (
    "Only registered health and social care professionals who are directly involved in your care, for your care alone: "
    "not insurers, employers, researchers or the government, and nobody who assesses benefits. "
    "What each may see depends on their job."
)
_NEVER_SHARED: Final = (
    "Attendance at sexual health clinics, fertility treatment, and records about gender reassignment are never shared "
    "here. Letters and other free text are screened only by the organisation that wrote them."
)
_RECORD_OF_ACCESS: Final = (
    "Every look at a record is written down: who looked, for which organisation, in which role, why, what they were "
    "shown, and when."
)
_COPY: Final = (
    "You have the right to a copy of your records (Data Protection Act 2018). Nothing is kept here, so ask each "
    "organisation that cares for you: its address for such requests is in the list below."
)
_OBJECT: Final = (
    "You can object to your records being shared between services. Tell whoever is caring for you: your GP, or any "
    "health professional or social worker. They explain what it would mean for your care, and record it; it is "
    "respected from that moment, before anybody has decided on it. An objection may not be upheld where the public "
    "interest, somebody's safety or the care itself requires sharing; you are then told why, and how to complain. "
    "An objection that you made to ConnectCare or to the Local Care Record carries over; opting out of the Summary "
    "Care Record, or the National Data Opt-out, does not: say so again for this."
)
_COMPLAIN: Final = (
    "If you think that somebody looked who should not have: speak to the organisation that cares for you, to its "
    "privacy contact in the list below, or to the Patient Advice and Liaison Service (PALS) or the complaints "
    "department of the hospital. The record of access is used to find out."
)
_COMMISSIONER: Final = {
    "name": "Information Commissioner's Office",
    "what": "You have the right to complain about a breach of confidentiality.",
    "url": "https://ico.org.uk/make-a-complaint/",
    "telephone": "0303 123 1113",
}


async def about(request: web.Request) -> web.Response:
    """The page as JSON."""
    content = {
        "what": _WHAT,
        "who_can_see": _WHO_SEES,
        "never_shared": _NEVER_SHARED,
        "record_of_access": _RECORD_OF_ACCESS,
        "copy_of_your_record": _COPY,
        "objecting": _OBJECT,
        "complaining": _COMPLAIN,
        "information_commissioner": _COMMISSIONER,
        "statement": STATEMENT,
        "organisations": [_shown(organisation) for organisation in request.app[REGISTRY].live],
    }
    return web.Response(body=msgspec.json.encode(content), content_type="application/json", charset="utf-8")


def _shown(organisation: Organisation) -> dict[str, Any]:
    return {
        "ods_code": organisation.ods_code,
        "name": organisation.name,
        "service_type": organisation.service_type,
        "region": organisation.region,
        "subject_access": organisation.contacts.subject_access,
        "privacy": organisation.contacts.privacy,
    }
