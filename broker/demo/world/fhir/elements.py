"""The parts that every resource of a story is made of."""

from typing import Any, Final

from broker.demo.world.codes import Code

__all__ = ["HERE", "HL7", "ME", "STAFF", "Resource", "concept", "hl7", "ref", "resource"]

Resource = dict[str, Any]
HL7: Final = "http://terminology.hl7.org/CodeSystem/"


def ref(target: str | None, display: str | None = None) -> Any:
    """A reference to `Type/key`; None for None."""
    if target is None:
        return None
    return {"reference": target} if display is None else {"reference": target, "display": display}


ME: Final = ref("Patient/me")
STAFF: Final = ref("Practitioner/staff")
HERE: Final = ref("Organization/here")


def concept(*codes: Code | None, text: str | None = None) -> Any:
    """A CodeableConcept of all codes given; None when there is nothing to say."""
    codings = [code.coding for code in codes if code is not None]
    content = {"coding": codings or None, "text": text or (codings[0]["display"] if codings else None)}
    return {name: value for name, value in content.items() if value} or None


def hl7(system: str, code: str) -> Any:
    """A CodeableConcept of one of HL7's own code systems."""
    return {"coding": [{"system": HL7 + system, "code": code}]}


def resource(kind: str, key: str, **elements: Any) -> Resource:
    """Any resource. Elements that are None are left out; a trailing underscore of a name is dropped."""
    return {
        "resourceType": kind,
        "id": key,
        **{name.rstrip("_"): value for name, value in elements.items() if value is not None},
    }
