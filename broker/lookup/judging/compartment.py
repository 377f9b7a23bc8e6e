"""Which elements of a resource say whose it is: FHIR R4 Patient compartment, `CompartmentDefinition/patient`.

An author, an asserter or a participant is not the one whose record it is: those elements are not here, although the
compartment lists some of them.
"""

from collections.abc import Mapping

__all__ = ["ABOUT", "PARTICIPANTS", "SUBJECT", "UNOWNED"]

SUBJECT: Mapping[str, str] = {
    "AdverseEvent": "subject",
    "AllergyIntolerance": "patient",
    "Basic": "subject",
    "BodyStructure": "patient",
    "CarePlan": "subject",
    "CareTeam": "subject",
    "ChargeItem": "subject",
    "Claim": "patient",
    "ClaimResponse": "patient",
    "ClinicalImpression": "subject",
    "Communication": "subject",
    "CommunicationRequest": "subject",
    "Composition": "subject",
    "Condition": "subject",
    "Consent": "patient",
    "Coverage": "beneficiary",
    "CoverageEligibilityRequest": "patient",
    "CoverageEligibilityResponse": "patient",
    "DetectedIssue": "patient",
    "Device": "patient",
    "DeviceRequest": "subject",
    "DeviceUseStatement": "subject",
    "DiagnosticReport": "subject",
    "DocumentManifest": "subject",
    "DocumentReference": "subject",
    "Encounter": "subject",
    "EnrollmentRequest": "candidate",
    "EpisodeOfCare": "patient",
    "ExplanationOfBenefit": "patient",
    "FamilyMemberHistory": "patient",
    "Flag": "subject",
    "Goal": "subject",
    "GuidanceResponse": "subject",
    "ImagingStudy": "subject",
    "Immunization": "patient",
    "ImmunizationEvaluation": "patient",
    "ImmunizationRecommendation": "patient",
    "Invoice": "subject",
    "List": "subject",
    "MeasureReport": "subject",
    "Media": "subject",
    "MedicationAdministration": "subject",
    "MedicationDispense": "subject",
    "MedicationRequest": "subject",
    "MedicationStatement": "subject",
    "MolecularSequence": "patient",
    "NutritionOrder": "patient",
    "Observation": "subject",
    "Procedure": "subject",
    "QuestionnaireResponse": "subject",
    "RelatedPerson": "patient",
    "RequestGroup": "subject",
    "ResearchSubject": "individual",
    "RiskAssessment": "subject",
    "ServiceRequest": "subject",
    "Specimen": "subject",
    "SupplyDelivery": "patient",
    "SupplyRequest": "deliverTo",
    "Task": "for",
    "VisionPrescription": "patient",
}
"""Type, then the element that names the patient."""

UNOWNED: frozenset[str] = frozenset({"Device", "Specimen"})
"""Types of `SUBJECT` that may belong to nobody: they stay if something that stays refers to them."""

PARTICIPANTS: Mapping[str, tuple[str, str]] = {
    "Appointment": ("participant", "actor"),
}
"""Types whose patient is one of several participants: the list element and the reference in it."""

ABOUT: frozenset[str] = frozenset({"focus", "donor"})
"""Elements that say whom the finding is about: another patient there takes the resource, not the reference."""
