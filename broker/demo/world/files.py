"""The configuration of a broker in the demo world, written as somebody would write it by hand."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from broker.demo.world.codes import NHS_NUMBER, ODS
from broker.demo.world.organisations import ORGANISATIONS, Organisation
from broker.demo.world.stories import STORIES
from broker.demo.world.story import Person

__all__ = ["OPERATOR_ISSUER", "write_world"]

OPERATOR_ISSUER: Final = "https://idp.broker.example"

BROKER: Final = """\
# The broker of the demo world. What each setting means: broker/settings/README.md
[server]
listen = "127.0.0.1:{port}"
public_url = "http://127.0.0.1:{port}"

[lookup]
deadline = "5s"
source_timeout = "4s"

[organisations]
directory = "organisations"

[identity]
kind = "file"
directory = "identity"

[objections]
lead_controller = "QKK"

[audit]
directory = "state/journal"
keys = "state/keys"

[store]
url = "sqlite+aiosqlite:///state/broker.db"

# Staff of the broker's operator. The key of a demo issuer is public: it may assert anything, on loopback only.
[[issuers]]
iss = "{issuer}"
demo = true
"""


def write_world(directory: Path, sources: Mapping[str, str], *, port: int) -> Path:
    """Write `broker.toml`, `organisations/`, `identity/` and `state/` into `directory`; return the first.

    Args:
        directory: made where it is not there; files of the same names are replaced.
        sources: source to the base address of its server.
        port: where the broker is to listen.
    """
    organisations, identity, state = (directory / name for name in ("organisations", "identity", "state"))
    for folder in (organisations, identity, state):
        folder.mkdir(parents=True, exist_ok=True)
    for organisation in ORGANISATIONS:
        text = "\n".join(_manifest(organisation, sources))
        (organisations / f"{organisation.ods_code}.toml").write_text(text, encoding="utf-8")
    for story in STORIES:
        person = story.person
        text = json.dumps(_pds_patient(person), indent=2, ensure_ascii=False) + "\n"
        for number in (person.nhs_number, person.superseded):
            if number:
                (identity / f"{number}.json").write_text(text, encoding="utf-8")
    config = directory / "broker.toml"
    config.write_text(BROKER.format(port=port, issuer=OPERATOR_ISSUER), encoding="utf-8")
    return config


def _manifest(organisation: Organisation, sources: Mapping[str, str]) -> Iterator[str]:
    """The lines of an organisation's manifest. A JSON string is a TOML string."""
    yield f"ods_code = {json.dumps(organisation.ods_code)}"
    yield f"name = {json.dumps(organisation.name)}"
    yield f"service_type = {json.dumps(organisation.service_type)}"
    yield f"region = {json.dumps(organisation.region)}"
    yield from ("", "[agreement]", "isa_signed = 2025-04-01", "isa_expires = 2036-03-31", "dspt_expires = 2036-06-30")
    for site in organisation.sites:
        yield from ("", "[[sources]]")
        yield f"name = {json.dumps(site.name)}"
        yield 'kind = "fhir-r4"'
        yield f"base_url = {json.dumps(sources[organisation.source(site)])}"
        yield f"currency = {json.dumps(site.currency)}"
        if site.categories:
            yield f"categories = {json.dumps(site.categories)}"
        yield 'auth = {kind = "none"}'
    yield from ("", "[issuer]", f"iss = {json.dumps(organisation.issuer)}", "demo = true")
    if organisation.excluded:
        yield from ("", "[services]", f"excluded = {json.dumps(organisation.excluded)}")
    domain = f"{organisation.ods_code.lower()}.example"
    yield from ("", "[contacts]", f'privacy = "privacy@{domain}"', f'subject_access = "sar@{domain}"', "")


def _pds_patient(person: Person) -> dict[str, Any]:
    """The Patient as the national service gives it. A restricted one has no address, telecom or practice there."""
    status = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-NHSNumberVerificationStatus"
    verified = {"system": "https://fhir.hl7.org.uk/CodeSystem/UKCore-NHSNumberVerificationStatus", "code": "01"}
    line, town, postcode = person.address
    patient: dict[str, Any] = {
        "resourceType": "Patient",
        "id": person.nhs_number,
        "meta": {
            "versionId": "1",
            "security": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
                    "code": "R" if person.restricted else "U",
                    "display": "restricted" if person.restricted else "unrestricted",
                }
            ],
        },
        "identifier": [
            {
                "extension": [{"url": status, "valueCodeableConcept": {"coding": [verified]}}],
                "system": NHS_NUMBER,
                "value": person.nhs_number,
            }
        ],
        "name": [
            {
                "id": "1",
                "use": "usual",
                "period": {"start": person.birth_date},
                "family": person.family,
                "given": [person.given],
                "prefix": [person.title],
            }
        ],
        "gender": person.gender,
        "birthDate": person.birth_date,
    }
    if not person.restricted:
        patient["telecom"] = [{"id": "1", "system": "phone", "value": person.phone, "use": "home"}]
        patient["address"] = [{"id": "1", "use": "home", "line": [line, town], "postalCode": postcode}]
        if person.practice:
            patient["generalPractitioner"] = [
                {"id": "1", "type": "Organization", "identifier": {"system": ODS, "value": person.practice}}
            ]
    return patient
