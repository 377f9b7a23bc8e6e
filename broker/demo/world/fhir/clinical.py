"""What was found, given and done."""

from typing import Any

from broker.demo.world.codes import NO_KNOWN_ALLERGY, UCUM, Code
from broker.demo.world.fhir.elements import HERE, ME, STAFF, Resource, concept, hl7, ref, resource

__all__ = [
    "allergy",
    "condition",
    "immunisation",
    "medication",
    "no_known_allergies",
    "observation",
    "procedure",
    "report",
    "trend",
]


def allergy(
    key: str,
    code: Code,
    *,
    recorded: str,
    reaction: Code | None = None,
    criticality: str | None = None,
    status: str | None = "active",
    verification: str = "confirmed",
    at: str | None = None,
    note: str | None = None,
    **more: Any,
) -> Resource:
    """An allergy or intolerance; `at` is the encounter where it was noted."""
    return resource(
        "AllergyIntolerance",
        key,
        clinicalStatus=status and hl7("allergyintolerance-clinical", status),
        verificationStatus=hl7("allergyintolerance-verification", verification),
        code=concept(code),
        patient=ME,
        encounter=ref(at),
        recordedDate=recorded,
        criticality=criticality,
        reaction=reaction and [{"manifestation": [concept(reaction)]}],
        note=note and [{"text": note}],
        **{"recorder": STAFF, **more},
    )


def no_known_allergies(key: str, *, recorded: str) -> Resource:
    """The statement that there is none: positive knowledge, which contradicts an allergy elsewhere."""
    return allergy(key, NO_KNOWN_ALLERGY, recorded=recorded)


def medication(
    key: str,
    code: Code | None,
    *,
    since: str,
    dose: str,
    status: str = "active",
    why: str | None = None,
    at: str | None = None,
    text: str | None = None,
    **more: Any,
) -> Resource:
    """A prescription; `why` is the reason for its status (stopped because ...)."""
    return resource(
        "MedicationRequest",
        key,
        status=status,
        statusReason=why and {"text": why},
        intent="order",
        medicationCodeableConcept=concept(code, text=text),
        subject=ME,
        encounter=ref(at),
        authoredOn=since,
        requester=STAFF,
        dosageInstruction=[{"text": dose}],
        **more,
    )


def condition(
    key: str, code: Code, *, since: str, status: str = "active", at: str | None = None, **more: Any
) -> Resource:
    """A problem."""
    return resource(
        "Condition",
        key,
        clinicalStatus=hl7("condition-clinical", status),
        verificationStatus=hl7("condition-ver-status", "confirmed"),
        category=[hl7("condition-category", "problem-list-item")],
        code=concept(code),
        subject=ME,
        encounter=ref(at),
        onsetDateTime=since,
        recordedDate=since,
        **{"recorder": STAFF, **more},
    )


def immunisation(
    key: str, vaccine: Code, *, on: str, given: Code | None = None, number: int | None = None, lot: str | None = None
) -> Resource:
    """One dose that was given; `given` is the procedure, as UK Core records it."""
    url = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-VaccinationProcedure"
    return resource(
        "Immunization",
        key,
        extension=given and [{"url": url, "valueCodeableConcept": concept(given)}],
        status="completed",
        vaccineCode=concept(vaccine),
        patient=ME,
        occurrenceDateTime=on,
        recorded=on,
        primarySource=True,
        lotNumber=lot,
        performer=[{"actor": STAFF}],
        protocolApplied=number and [{"doseNumberPositiveInt": number}],
    )


def observation(
    key: str,
    *codes: Code,
    on: str,
    value: float | str | None = None,
    unit: str | None = None,
    at: str | None = None,
    category: str = "laboratory",
    **more: Any,
) -> Resource:
    """A result, a measurement or a finding; `unit` is a UCUM code."""
    quantity = {"value": value, "unit": unit, "system": UCUM, "code": unit}
    return resource(
        "Observation",
        key,
        status="final",
        category=[hl7("observation-category", category)],
        code=concept(*codes),
        subject=ME,
        encounter=ref(at),
        effectiveDateTime=on,
        performer=[HERE],
        valueQuantity=None if value is None or isinstance(value, str) else quantity,
        valueString=value if isinstance(value, str) else None,
        **more,
    )


def trend(key: str, *codes: Code, unit: str, values: dict[str, float]) -> list[Resource]:
    """The same measurement over the years: date to value."""
    return [observation(f"{key}-{on}", *codes, on=on, value=value, unit=unit) for on, value in values.items()]


def report(
    key: str, code: Code, *, on: str, results: list[str], at: str | None = None, conclusion: str | None = None
) -> Resource:
    """A laboratory's report of results."""
    return resource(
        "DiagnosticReport",
        key,
        status="final",
        category=[hl7("v2-0074", "LAB")],
        code=concept(code),
        subject=ME,
        encounter=ref(at),
        effectiveDateTime=on,
        issued=f"{on}T16:00:00Z",
        performer=[HERE],
        result=[ref(target) for target in results],
        conclusion=conclusion,
    )


def procedure(key: str, code: Code, *, on: str, at: str | None = None) -> Resource:
    """Something that was done."""
    return resource(
        "Procedure",
        key,
        status="completed",
        code=concept(code),
        subject=ME,
        encounter=ref(at),
        performedDateTime=on,
        performer=[{"actor": STAFF}],
    )
