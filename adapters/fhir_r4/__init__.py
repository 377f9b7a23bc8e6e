"""FHIR R4 servers."""

from adapters.fhir_r4.adapter import FhirR4Adapter

__all__ = ["FhirR4Adapter"]
