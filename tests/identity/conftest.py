"""A directory that answers as the Personal Demographics Service would."""

import asyncio
import datetime as dt
import json

import pytest

from broker import nhs_number
from broker.identity import FileIdentity

TODAY = dt.date(2026, 11, 22)
BORN = "1948-03-02"
ASKED, CURRENT, OLDER, STRANGER = (nhs_number.make(serial) for serial in (11, 12, 13, 14))


def pds_patient(number=ASKED, **changes):
    """A Patient of PDS; a change of None leaves an element out."""
    patient = {
        "resourceType": "Patient",
        "id": number,
        "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": number}],
        "meta": {
            "versionId": "2",
            "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "U"}],
        },
        "name": [{"id": "1", "use": "usual", "period": {"start": "2019-05-01"}, "given": ["Ada"], "family": "Okafor"}],
        "gender": "female",
        "birthDate": BORN,
        "generalPractitioner": [
            {
                "id": "g",
                "type": "Organization",
                "identifier": {
                    "system": "https://fhir.nhs.uk/Id/ods-organization-code",
                    "value": "G85001",
                    "period": {"start": "2020-01-01"},
                },
            }
        ],
        "address": [
            {
                "id": "a",
                "use": "home",
                "period": {"start": "2020-01-01"},
                "line": ["1 Test Street"],
                "postalCode": "SE1 9RT",
            }
        ],
        "telecom": [{"id": "t", "system": "phone", "use": "home", "value": "01632960587"}],
        **changes,
    }
    return {name: value for name, value in patient.items() if value is not None}


def labelled(*codes):
    system = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
    return {"security": [{"system": system, "code": code} for code in codes]}


def outcome(code):
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "details": {"coding": [{"code": code}]}}],
    }


class World:
    def __init__(self, directory):
        self.directory = directory
        self.service = FileIdentity(directory, today=lambda: TODAY)

    def put(self, number, content):
        file = self.directory / f"{number}.json"
        file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return file

    async def ask(self, number=ASKED, birth_date=BORN, *, within=5.0):
        deadline = asyncio.get_running_loop().time() + within
        return await self.service.resolve(number, birth_date, deadline, "RJ1")


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)
