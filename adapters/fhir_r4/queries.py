"""The searches, built with fhirpy and encoded here.

fhirpy's own transport is never used: it opens a connection for each call, follows links to other hosts, puts bodies in
messages, and drops warnings. Only the parameters that its builder makes are taken.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote, urlencode

from fhirpy import AsyncFHIRClient

__all__ = ["COUNT", "NHS_NUMBER_SYSTEM", "NHS_NUMBER_SYSTEMS", "Queries", "Query", "patient_parameter", "takes_code"]

NHS_NUMBER_SYSTEM = "https://fhir.nhs.uk/Id/nhs-number"
NHS_NUMBER_SYSTEMS = frozenset({
    NHS_NUMBER_SYSTEM,
    "http://fhir.nhs.net/Id/nhs-number",
    "urn:oid:2.16.840.1.113883.2.1.4.1",
})
"""All by which a Patient may carry it: the one that is asked by, and two that older systems write."""

COUNT = 500
"""Entries a page: as many as a server will give, since pages come one after the other. Servers cap it as they like."""

_BY_SUBJECT = frozenset({"AdverseEvent", "SupplyRequest"})
_BY_PATIENT = frozenset(
    """
    Account AllergyIntolerance Appointment AppointmentResponse AuditEvent Basic BodyStructure CarePlan CareTeam
    ChargeItem Claim ClaimResponse ClinicalImpression Communication CommunicationRequest Composition Condition
    Consent Contract Coverage CoverageEligibilityRequest CoverageEligibilityResponse DetectedIssue Device
    DeviceRequest DeviceUseStatement DiagnosticReport DocumentManifest DocumentReference Encounter EpisodeOfCare
    ExplanationOfBenefit FamilyMemberHistory Flag Goal GuidanceResponse ImagingStudy Immunization
    ImmunizationEvaluation ImmunizationRecommendation Invoice List MeasureReport Media MedicationAdministration
    MedicationDispense MedicationRequest MedicationStatement MolecularSequence NutritionOrder Observation Person
    Procedure Provenance QuestionnaireResponse RelatedPerson RequestGroup RiskAssessment ServiceRequest Specimen
    SupplyDelivery Task VisionPrescription
    """.split()  # noqa: SIM905 - they read better as words
)
"""The R4 types with a search parameter `patient`; those of `_BY_SUBJECT` have only `subject`."""

_BY_CODE = frozenset(
    """
    AllergyIntolerance Condition DiagnosticReport Observation Procedure ServiceRequest
    """.split()  # noqa: SIM905 - as above
)
"""R4 types with a search parameter `code` that looks where their code stands. Consent has none for what it is about."""


def takes_code(resource_type: str, listed: frozenset[str]) -> bool:
    """Whether this type can be searched by code, as far as the server says.

    Args:
        resource_type: a FHIR R4 type.
        listed: the search parameters that the server lists for it; empty if it doesn't say.
    """
    return resource_type in _BY_CODE and (not listed or "code" in listed)


def patient_parameter(resource_type: str, listed: frozenset[str]) -> str | None:
    """The parameter that searches this type by patient, or None if there is none.

    Args:
        resource_type: a FHIR R4 type.
        listed: the search parameters that the server lists for it; empty if it doesn't say.
    """
    if listed:
        return next((name for name in ("patient", "subject") if name in listed), None)
    if resource_type in _BY_PATIENT:
        return "patient"
    return "subject" if resource_type in _BY_SUBJECT else None


@dataclass(frozen=True, slots=True)
class Query:
    """One search.

    Attributes:
        type: what is searched.
        form: its parameters as a query string, which is a form too.
        uncoded: where it is for some codes only, the same for all of the type.
    """

    type: str
    form: str
    uncoded: str | None = None


_WHOM = "WHOM"
"""Stands in a search that is built once for whom it is made for."""


class Queries:
    """Builds the searches for one server, each kind of them once: they differ in whom they are for."""

    def __init__(self, base_url: str) -> None:
        self._client = AsyncFHIRClient(base_url)
        self._built: dict[tuple[str, str, bool, frozenset[tuple[str, str]]], str] = {}

    def patients(self, numbers: Iterable[str]) -> Query:
        """Every local record that has one of these NHS numbers."""
        return self._for("Patient", "identifier", ",".join(f"{NHS_NUMBER_SYSTEM}|{number}" for number in numbers))

    def record(
        self,
        resource_type: str,
        parameter: str,
        local_id: str,
        includes: frozenset[str],
        codes: frozenset[tuple[str, str]] = frozenset(),
    ) -> Query:
        """Everything of one type in one local record, or what has one of some codes.

        Args:
            resource_type: what to search.
            parameter: `patient` or `subject`.
            local_id: of the Patient at this server.
            includes: the server's `searchInclude`: the Medication of a prescription is taken along where that can be.
            codes: (system, code). They are asked for without their systems, which sources spell in many ways.
        """
        medication = f"{resource_type}:medication"
        # With its type: by the bare id, which FHIR allows too, some servers (Medplum's) find nothing, with `total` 0.
        reference = f"Patient/{local_id}"
        whole = self._for(resource_type, parameter, reference, medication=medication in includes)
        if not codes:
            return whole
        return replace(self._for(resource_type, parameter, reference, codes=codes), uncoded=whole.form)

    def by_id(self, resource_type: str, ids: Sequence[str]) -> Query:
        """The resources of one type with these ids."""
        return self._for(resource_type, "_id", ",".join(ids))

    def _for(
        self,
        resource_type: str,
        parameter: str,
        whom: str,
        *,
        medication: bool = False,
        codes: frozenset[tuple[str, str]] = frozenset(),
    ) -> Query:
        kind = (resource_type, parameter, medication, codes)
        form = self._built.get(kind)
        if form is None:
            include = {"_include": f"{resource_type}:medication"} if medication else {}
            coded = {"code": ",".join(sorted({_escaped(code) for _, code in codes}))} if codes else {}
            search = self._client.resources(resource_type).search(
                **{parameter: _WHOM}, **coded, **include, _count=COUNT
            )
            form = self._built[kind] = urlencode(search.params, doseq=True)
        return Query(resource_type, form.replace(_WHOM, quote(whom, safe=""), 1))


def _escaped(code: str) -> str:
    """A value of a search, in which these stand for themselves (FHIR R4, search, 3.1.1.3.1)."""
    return re.sub(r"([\\,|$])", r"\\\1", code)
