"""What an operator is told that is no fault."""

from dataclasses import replace
from datetime import date
from pathlib import Path

from broker.registry import Registry, notices
from broker.settings import IssuerSettings, Settings
from broker.settings.values import ObjectionSettings

TODAY = date(2026, 11, 22)
SETTINGS = Settings(issuers=(IssuerSettings(iss="https://idp.example", demo=True),))


def _notices(directory: Path, settings: Settings = SETTINGS, today: date = TODAY) -> list[str]:
    return notices(Registry.load(directory, known_kinds={"fhir-r4"}), settings, today)


def test_where_all_is_well_nothing_is_said(directory, write):
    write()
    assert _notices(directory) == []
    led = replace(SETTINGS, objections=ObjectionSettings(lead_controller="QKK"))
    assert _notices(directory, led) == []


def test_an_agreement_that_has_ended_is_said_with_its_day(directory, write):
    write()
    (notice,) = _notices(directory, today=date(2027, 4, 1))
    assert notice.startswith("rj1.toml: agreement.isa_expires was 2027-03-31: it takes no part")
    assert len(_notices(directory, today=date(2027, 7, 1))) == 2
    (notice,) = _notices(directory, today=date(2025, 3, 31))
    assert notice.startswith("rj1.toml: agreement.isa_signed is 2025-04-01: until then it takes no part")


def test_whoever_renews_an_agreement_is_told_from_thirty_days_before_to_its_last_day(directory, write):
    write()
    assert _notices(directory, today=date(2027, 2, 28)) == []
    (notice,) = _notices(directory, today=date(2027, 3, 1))
    assert notice.startswith(
        "rj1.toml: agreement.isa_expires is 2027-03-31: 30 days are left; after it, it takes no part"
    )
    (notice,) = _notices(directory, today=date(2027, 3, 30))
    assert "1 day is left" in notice
    (notice,) = _notices(directory, today=date(2027, 3, 31))
    assert "today is its last day" in notice


def test_agreement_and_toolkit_are_each_told_of(directory, write):
    write(**{"2027-06-30": "2027-04-15"})
    found = _notices(directory, today=date(2027, 3, 31))
    assert [notice.partition(" is ")[0] for notice in found] == [
        "rj1.toml: agreement.isa_expires",
        "rj1.toml: agreement.dspt_expires",
    ]


def test_the_agreement_of_one_that_takes_no_part_is_nobodys_concern(directory, write):
    write(region='state = "withdrawn"\nregion')
    (notice,) = _notices(directory, today=date(2028, 1, 1))
    assert 'no organisation has state = "live"' in notice


def test_that_nobody_can_call_is_said(directory, write, manifest):
    write()
    (notice,) = _notices(directory, Settings())
    assert notice.startswith("broker.toml: no issuer here or in any manifest: nobody can call")
    write(text=f'{manifest}[issuer]\niss = "https://ehr.example"\ndemo = true\n')
    assert _notices(directory, Settings()) == []


def test_that_nobody_can_decide_whole_objections_is_said(directory, write, manifest):
    write(text=f'{manifest}[issuer]\niss = "https://ehr.example"\ndemo = true\n')
    (notice,) = _notices(directory, Settings(objections=ObjectionSettings(lead_controller="QKK")))
    assert "nobody can decide whole objections" in notice
