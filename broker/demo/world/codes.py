"""The codes that the stories use: SNOMED CT (UK), dm+d, LOINC and the NHS data dictionary."""

from typing import Final, NamedTuple

__all__ = ["DMD", "LOINC", "NHS_NUMBER", "ODS", "SNOMED", "TREATMENT_FUNCTION", "UCUM", "Code"]

SNOMED: Final = "http://snomed.info/sct"
DMD: Final = "https://dmd.nhs.uk"
LOINC: Final = "http://loinc.org"
UCUM: Final = "http://unitsofmeasure.org"
TREATMENT_FUNCTION: Final = "https://fhir.nhs.uk/CodeSystem/NHSDataModelAndDictionary-treatment-function"
NHS_NUMBER: Final = "https://fhir.nhs.uk/Id/nhs-number"
ODS: Final = "https://fhir.nhs.uk/Id/ods-organization-code"


class Code(NamedTuple):
    """One concept: the coding, and the words that a person reads."""

    system: str
    code: str
    display: str

    @property
    def coding(self) -> dict[str, str]:
        """As a FHIR `Coding`."""
        return {"system": self.system, "code": self.code, "display": self.display}


# Allergies, and what they do
PENICILLIN_ALLERGY: Final = Code(SNOMED, "91936005", "Allergy to penicillin")
PEANUT_ALLERGY: Final = Code(SNOMED, "91935009", "Allergy to peanut")
LATEX_ALLERGY: Final = Code(SNOMED, "300916003", "Allergy to latex")
EGG_ALLERGY: Final = Code(SNOMED, "91930004", "Allergy to egg")
ASPIRIN_ALLERGY: Final = Code(SNOMED, "293586001", "Allergy to aspirin")
NO_KNOWN_ALLERGY: Final = Code(SNOMED, "716186003", "No known allergy")
ANAPHYLAXIS: Final = Code(SNOMED, "39579001", "Anaphylaxis")
RASH: Final = Code(SNOMED, "271807003", "Eruption of skin")
URTICARIA: Final = Code(SNOMED, "126485001", "Urticaria")

# Problems
TYPE_2_DIABETES: Final = Code(SNOMED, "44054006", "Type 2 diabetes mellitus")
HYPERTENSION: Final = Code(SNOMED, "38341003", "Hypertensive disorder")
CKD_3: Final = Code(SNOMED, "433144002", "Chronic kidney disease stage 3")
ATRIAL_FIBRILLATION: Final = Code(SNOMED, "49436004", "Atrial fibrillation")
HEART_FAILURE: Final = Code(SNOMED, "84114007", "Heart failure")
ASTHMA: Final = Code(SNOMED, "195967001", "Asthma")
COPD: Final = Code(SNOMED, "13645005", "Chronic obstructive pulmonary disease")
HYPONATRAEMIA: Final = Code(SNOMED, "89627008", "Hyponatraemia")
LEG_ULCER: Final = Code(SNOMED, "238792006", "Mixed arteriovenous leg ulcer")
KNEE_OSTEOARTHRITIS: Final = Code(SNOMED, "239873007", "Osteoarthritis of knee")
DEMENTIA: Final = Code(SNOMED, "52448006", "Dementia")
HIP_FRACTURE: Final = Code(SNOMED, "5913000", "Fracture of neck of femur")
DEPRESSION: Final = Code(SNOMED, "35489007", "Depressive disorder")
BIPOLAR: Final = Code(SNOMED, "13746004", "Bipolar disorder")
GESTATIONAL_DIABETES: Final = Code(SNOMED, "11687002", "Gestational diabetes mellitus")
GOUT: Final = Code(SNOMED, "90560007", "Gout")

# Medicines (dm+d virtual medicinal products)
BENDROFLUMETHIAZIDE: Final = Code(DMD, "317919004", "Bendroflumethiazide 2.5mg tablets")
AMLODIPINE: Final = Code(DMD, "319284000", "Amlodipine 10mg tablets")
METFORMIN: Final = Code(DMD, "325278007", "Metformin 500mg tablets")
ATORVASTATIN: Final = Code(DMD, "320030001", "Atorvastatin 20mg tablets")
APIXABAN: Final = Code(DMD, "42206511000001102", "Apixaban 5mg tablets")
ASPIRIN: Final = Code(DMD, "319773006", "Aspirin 75mg dispersible tablets")
CLOPIDOGREL: Final = Code(DMD, "319799004", "Clopidogrel 75mg tablets")
FUROSEMIDE: Final = Code(DMD, "317972000", "Furosemide 40mg tablets")
CITALOPRAM: Final = Code(DMD, "321987003", "Citalopram 20mg tablets")
OLANZAPINE: Final = Code(DMD, "42275511000001103", "Olanzapine 10mg tablets")
OMEPRAZOLE: Final = Code(DMD, "317291008", "Omeprazole 20mg gastro-resistant capsules")
PARACETAMOL: Final = Code(DMD, "322236009", "Paracetamol 500mg tablets")
SALBUTAMOL: Final = Code(DMD, "39113611000001102", "Salbutamol 100micrograms/dose inhaler CFC free")
BECLOMETASONE: Final = Code(DMD, "320537007", "Beclometasone 100micrograms/dose inhaler")

# Vaccines and giving them
COVID_VACCINE: Final = Code(
    SNOMED, "39114911000001105", "COVID-19 Vaccine Vaxzevria suspension for injection (AstraZeneca UK Ltd)"
)
COVID_FIRST_DOSE: Final = Code(SNOMED, "1324681000000101", "Administration of first dose of SARS-CoV-2 vaccine")
COVID_SECOND_DOSE: Final = Code(SNOMED, "1324691000000104", "Administration of second dose of SARS-CoV-2 vaccine")
FLU_VACCINATION: Final = Code(SNOMED, "86198006", "Administration of influenza vaccine")
MMR_VACCINATION: Final = Code(SNOMED, "38598009", "Administration of measles, mumps and rubella vaccine")

# Results
HBA1C: Final = Code(SNOMED, "999791000000106", "Haemoglobin A1c level - IFCC standardised")
HBA1C_LOINC: Final = Code(LOINC, "59261-8", "Hemoglobin A1c/Hemoglobin.total in Blood by IFCC protocol")
EGFR: Final = Code(SNOMED, "1011481000000105", "eGFR using creatinine CKD-EPI per 1.73 square metres")
EGFR_LOINC: Final = Code(LOINC, "33914-3", "Glomerular filtration rate/1.73 sq M.predicted")
CREATININE: Final = Code(SNOMED, "1000731000000107", "Serum creatinine level")
CREATININE_LOINC: Final = Code(LOINC, "14682-9", "Creatinine [Moles/volume] in Serum or Plasma")
SODIUM: Final = Code(SNOMED, "1000661000000107", "Serum sodium level")
SODIUM_LOINC: Final = Code(LOINC, "2951-2", "Sodium [Moles/volume] in Serum or Plasma")
HAEMOGLOBIN: Final = Code(SNOMED, "1022431000000105", "Haemoglobin estimation")
HAEMOGLOBIN_LOINC: Final = Code(LOINC, "718-7", "Hemoglobin [Mass/volume] in Blood")
FEV1_FVC: Final = Code(LOINC, "19926-5", "FEV1/FVC")
BODY_WEIGHT: Final = Code(LOINC, "29463-7", "Body weight")
BLOOD_PRESSURE: Final = Code(LOINC, "85354-9", "Blood pressure panel with all children optional")
SYSTOLIC: Final = Code(LOINC, "8480-6", "Systolic blood pressure")
DIASTOLIC: Final = Code(LOINC, "8462-4", "Diastolic blood pressure")
PATHOLOGY: Final = Code(SNOMED, "721981007", "Diagnostic studies report")
MICROSCOPY: Final = Code(LOINC, "664-3", "Microscopic observation [Identifier] in Specimen by Gram stain")

# Contacts, procedures, plans and papers
EMERGENCY_VISIT: Final = Code(SNOMED, "4525004", "Emergency department patient visit")
ADMISSION: Final = Code(SNOMED, "32485007", "Hospital admission")
CONSULTATION: Final = Code(SNOMED, "11429006", "Consultation")
HOME_VISIT: Final = Code(SNOMED, "439708006", "Home visit")
HIP_REPLACEMENT: Final = Code(SNOMED, "265157000", "Total prosthetic replacement of hip joint using cement")
CAESAREAN: Final = Code(SNOMED, "11466000", "Cesarean section")
PHYSIOTHERAPY_REFERRAL: Final = Code(SNOMED, "308447003", "Referral to physiotherapist")
SOCIAL_CARE_REFERRAL: Final = Code(SNOMED, "306238000", "Referral to Social Services")
COUNSELLOR_REFERRAL: Final = Code(SNOMED, "308448008", "Referral to counselor")
CRISIS_PLAN: Final = Code(SNOMED, "736253002", "Mental health crisis plan")
RESPECT_PLAN: Final = Code(
    SNOMED, "1382601000000107", "ReSPECT (Recommended Summary Plan for Emergency Care and Treatment) form"
)
COPD_PLAN: Final = Code(SNOMED, "412776001", "Chronic obstructive pulmonary disease clinical management plan")
CLINICAL_LETTER: Final = Code(SNOMED, "823691000000103", "Clinical letter")
OUTPATIENT_LETTER: Final = Code(SNOMED, "823681000000100", "Outpatient letter")
DISCHARGE_LETTER: Final = Code(SNOMED, "823701000000103", "Discharge letter")
LIVES_ALONE: Final = Code(SNOMED, "160725005", "Lives alone - help available")
GENERAL_MEDICINE: Final = Code(TREATMENT_FUNCTION, "300", "General Internal Medicine Service")
EMERGENCY_MEDICINE: Final = Code(TREATMENT_FUNCTION, "180", "Emergency Medicine Service")
PAEDIATRICS: Final = Code(TREATMENT_FUNCTION, "420", "Paediatric Service")
ORTHOPAEDICS: Final = Code(TREATMENT_FUNCTION, "110", "Trauma and Orthopaedic Service")
RESPIRATORY: Final = Code(TREATMENT_FUNCTION, "340", "Respiratory Medicine Service")
OBSTETRICS: Final = Code(TREATMENT_FUNCTION, "501", "Obstetrics Service")
ADULT_PSYCHIATRY: Final = Code(TREATMENT_FUNCTION, "710", "Adult Mental Health Service")

# A clinic that is never shared
GUM_CLINIC: Final = Code(TREATMENT_FUNCTION, "360", "Genitourinary Medicine Service")
GUM_SERVICE: Final = Code(SNOMED, "893131000000100", "Genitourinary medicine service")
