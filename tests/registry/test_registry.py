"""Who takes part, as their manifests say; and what is wrong with a manifest."""

import os
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import ConfigurationError
from broker.registry import CATEGORIES, Registry, check, read_manifest

KINDS = {"fhir-r4"}


def _load(directory: Path, **given) -> Registry:
    return Registry.load(directory, known_kinds=KINDS, **given)


def test_a_manifest_becomes_an_organisation_with_its_sources(directory, write, manifest):
    (directory / "rj1.jwks.json").write_text("{}", encoding="utf-8")
    write(
        text=manifest
        + """\
link_bases = ["http://internal:8080/fhir/"]
timeout = "3s"
currency = "24h"
categories = ["medications", "allergies"]
auth = {kind = "none"}

[issuer]
iss = "https://ehr.rj1.example"
jwks_file = "rj1.jwks.json"

[services]
excluded = ["sexual-health"]

[contacts]
privacy = "privacy@rj1.example"
"""
    )
    registry = _load(directory)
    organisation = registry.organisations["RJ1"]
    (registered,) = organisation.sources
    assert organisation.live
    assert organisation.excluded_services == {"sexual-health"}
    assert organisation.contacts.privacy == "privacy@rj1.example"
    assert organisation.contacts.subject_access is None
    assert registered.name == registered.source.name == "RJ1-epr"
    assert registered.source.organisation == "RJ1"
    assert registered.source.base_url == "http://127.0.0.1:8101/fhir"
    assert registered.source.link_bases == ("http://internal:8080/fhir",)
    assert (registered.timeout, registered.source.timeout) == (3.0, 3.0)
    assert registered.currency == "up to 24 h old"
    assert registered.categories == ("allergies", "medications")
    assert registry.by_issuer("https://ehr.rj1.example") is organisation
    assert registry.by_issuer("https://other.example") is None
    assert organisation.issuer is not None
    assert organisation.issuer.jwks_file == directory / "rj1.jwks.json"


def test_what_is_left_out_of_a_source_means_all_of_it_live(directory, write):
    write()
    (registered,) = _load(directory).organisations["RJ1"].sources
    assert (registered.currency, registered.categories, registered.timeout) == ("live", None, 4.0)
    assert registered.source.auth.kind == "none"


def test_live_organisations_are_in_the_order_of_their_codes(directory, write):
    write("a.toml", RJ1="RRV")
    write("b.toml", acute="gp-practice", RJ1="G85001")
    write("c.toml", region='state = "suspended"\nregion')
    registry = _load(directory)
    assert [each.ods_code for each in registry.live] == ["G85001", "RRV"]
    assert [each.ods_code for each in registry.practices] == ["G85001"]
    assert list(registry.organisations) == ["G85001", "RJ1", "RRV"]
    assert not registry.organisations["RJ1"].live


@pytest.mark.parametrize(
    ("today", "in_date"),
    [
        (date(2025, 3, 31), False),
        (date(2025, 4, 1), True),
        (date(2027, 3, 31), True),
        (date(2027, 4, 1), False),
    ],
)
def test_an_agreement_counts_from_its_first_day_to_the_end_of_its_last(directory, write, today, in_date):
    write()
    assert _load(directory).organisations["RJ1"].in_date(today) is in_date


def test_a_toolkit_that_has_run_out_ends_taking_part_though_the_agreement_runs_on(directory, write):
    write(**{"2027-06-30": "2026-06-30"})
    organisation = _load(directory).organisations["RJ1"]
    assert organisation.in_date(date(2026, 6, 30))
    assert not organisation.in_date(date(2026, 7, 1))


def test_an_agreement_that_has_lapsed_does_not_stop_the_start(directory, write):
    write(**{"2027-03-31": "2025-05-01"})
    assert _load(directory).live


@pytest.mark.parametrize("what", ["empty", "missing", "other files"])
def test_an_empty_federation_does_not_start(directory, what):
    if what == "missing":
        directory.rmdir()
    if what == "other files":
        (directory / "README.md").write_text("none yet", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="an empty federation looks like patients with no records"):
        _load(directory)


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("[agreement]", "[contacts]", None, "agreement: missing: write [agreement] with isa_signed"),
        ("isa_signed = 2025-04-01", "", 6, "agreement.isa_signed: missing: write a date"),
        ("2027-06-30", '"soon"', 9, "write a date such as 2027-03-31"),
        ("2027-03-31", "2027-03-31T00:00:00", 8, "without a time"),
        ("2027-03-31", "2024-03-31", 8, "ends before it was signed"),
        ('"RJ1"', '"rj1"', 1, "write an ODS code"),
        ('"RJ1"', '"RJ.1"', 1, "write an ODS code"),
        ('"RJ1"', "102", 1, "in quotes"),
        ('"acute"', '"hospital"', 3, "write one of gp-practice acute"),
        ('"acute"', '"accute"', 3, "did you mean acute?"),
        ("region", 'state = "alive"\nregion', 4, "did you mean live?"),
        ("region", "regoin", 4, "did you mean region?"),
        ("[[sources]]", "[[source]]", 11, "did you mean sources?"),
        ("[[sources]]", "[sources]", 11, "write [[sources]]"),
        ('"epr"', '"epr.1"', 12, "letters, digits and hyphens"),
        ('"epr"', '"e pr"', 12, "letters, digits and hyphens"),
        ('"epr"', '""', 12, "letters, digits and hyphens"),
        ('"epr"', f'"{"e" * 30}"', 12, "at least 2 characters shorter"),
        ('"fhir-r4"', '"gp-connect"', 13, "is not available in this version: write one of fhir-r4"),
        ('"fhir-r4"', '"fhir-r5"', 13, "this is no kind of source: write one of fhir-r4"),
        ("http://127.0.0.1:8101/fhir/", "http://fhir.example", 14, "write an https address"),
        ("http://127.0.0.1:8101/fhir/", "https://10.0.0.7/fhir", 14, "allow_private = true"),
        ("http://127.0.0.1:8101/fhir/", "https://100.64.0.7/fhir", 14, "allow_private = true"),
        ("http://127.0.0.1:8101/fhir/", "https://[fd00::1]/fhir", 14, "allow_private = true"),
        ("http://127.0.0.1:8101/fhir/", "https://[::ffff:10.0.0.7]/fhir", 14, "allow_private = true"),
        ("http://127.0.0.1:8101/fhir/", "https://169.254.169.254/fhir", 14, "no organisation's address"),
        ("http://127.0.0.1:8101/fhir/", "https://0.0.0.0/fhir", 14, "no organisation's address"),
        ("http://127.0.0.1:8101/fhir/", "https://2130706433/fhir", 14, "a whole IP address"),
        ("http://127.0.0.1:8101/fhir/", "https://10.1/fhir", 14, "a whole IP address"),
        ("http://127.0.0.1:8101/fhir/", "https://0x7f000001/fhir", 14, "a whole IP address"),
        ("http://127.0.0.1:8101/fhir/", "https://fhir.example/fhir?a=b", 14, "without ? or #"),
        ("http://127.0.0.1:8101/fhir/", "https://fhir.example/fhir#", 14, "without ? or #"),
        ("http://127.0.0.1:8101/fhir/", "https://me:pw@fhir.example", 14, "without a user or password"),
        ("http://127.0.0.1:8101/fhir/", "fhir.example/fhir", 14, "write an absolute address"),
        ("http://127.0.0.1:8101/fhir/", "ftp://fhir.example", 14, "write an absolute address"),
        ("http://127.0.0.1:8101/fhir/", "https://fhir.example:99999", 14, "write an absolute address"),
        ("http://127.0.0.1:8101/fhir/", "https://fhir.exämple", 14, "plain ASCII"),
        ("kind", 'link_bases = ["/fhir"]\nkind', 13, "write an absolute address"),
        ("kind", 'timeout = "3"\nkind', 13, "with its unit"),
        ("kind", 'currency = "daily"\nkind', 13, 'write "live"'),
        ("kind", 'categories = ["allergy"]\nkind', 13, "did you mean"),
        ("kind", 'auth = {kind = "mtls"}\nkind', 13, "not available in this version"),
        ("kind", 'auth = {kind = "bearer"}\nkind', 13, "write one of none api-key basic"),
        ("kind", "auth = {}\nkind", 13, "kind is missing"),
        ("[agreement]", '[issuer]\niss = "x"\n[agreement]', 6, "write jwks_url or jwks_file"),
        ("[agreement]", '[services]\nexcluded = ["Sexual Health"]\n[agreement]', 7, "names in small letters"),
        ("name = \"Guy's", "name = \"Guy\\n's", 2, "on one line"),
    ],
)
def test_a_fault_is_named_with_its_file_its_line_and_what_to_write(directory, write, old, new, line, words):
    file = write(**{old: new})
    faults = read_manifest(file, known_kinds=KINDS)[1]
    assert [(fault.file, fault.line) for fault in faults if words in fault.message] == [(file, line)]
    with pytest.raises(ConfigurationError):
        _load(directory)


def test_a_fault_of_a_source_hides_none_that_does_not_depend_on_it(directory, write, manifest):
    twice = manifest.partition("[[sources]]")[2].replace("http://127.0.0.1:8101/fhir/", "https://fhir.example/?x=1")
    text = manifest.replace("http://127.0.0.1:8101/fhir/", "http://fhir.example").replace("fhir-r4", "fhir-r5")
    file = write(text=f'{text}timeout = 3\n\n[[sources]]{twice}colour = "red"\n'.replace('"acute"', '"x"'))
    faults = read_manifest(file, known_kinds=KINDS)[1]
    assert [(fault.line, fault.message.partition(": ")[2]) for fault in faults] == [
        (3, "write one of gp-practice acute community urgent-care social-care mental-health"),
        (13, "this is no kind of source: write one of fhir-r4"),
        (14, "write an https address: http is for this machine's own loopback only"),
        (15, 'write a time above zero with its unit (ms s m h d), such as "5s" or "250ms"'),
        (18, "another source of this organisation has this name: give each its own"),
        (20, "write the address without ? or #: parameters are the broker's to add"),
        (21, "there is no such setting; remove it"),
    ]


def test_of_several_kinds_the_likely_one_is_named(write):
    file = write(**{"fhir-r4": "fhir-r5"})
    (fault,) = read_manifest(file, known_kinds={"fhir-r4", "openehr"})[1]
    assert fault.message.endswith("write one of fhir-r4 openehr; did you mean fhir-r4?")


def test_a_private_address_is_taken_where_the_manifest_says_so(directory, write):
    write(**{"http://127.0.0.1:8101/fhir/": 'https://10.0.0.7/fhir"\nallow_private = true #"'})
    (registered,) = _load(directory).organisations["RJ1"].sources
    assert registered.allow_private


def test_two_sources_of_one_name_are_a_fault(directory, write, manifest):
    twice = manifest.partition("[[sources]]")[2]
    file = write(text=f"{manifest}\n[[sources]]{twice.replace('epr', 'EPR')}")
    (fault,) = read_manifest(file, known_kinds=KINDS)[1]
    assert (fault.line, "another source of this organisation" in fault.message) == (17, True)


def test_two_manifests_of_one_code_are_a_fault(directory, write):
    write("a.toml")
    second = write("b.toml")
    with pytest.raises(ConfigurationError, match=r"a\.toml has this code too") as caught:
        _load(directory)
    assert (caught.value.file, caught.value.line) == (second, 1)


def test_an_issuer_speaks_for_one_organisation_alone(directory, write, manifest):
    issuer = '\n[issuer]\niss = "https://ehr.example"\ndemo = true\n'
    write("a.toml", manifest + issuer)
    write("b.toml", (manifest + issuer).replace("RJ1", "RRV"))
    with pytest.raises(ConfigurationError, match=r"b\.toml:17: issuer\.iss: a\.toml has this issuer too"):
        _load(directory)


def test_a_manifest_with_another_fault_is_still_held_against_the_others(directory, write, manifest):
    issuer = '\n[issuer]\niss = "https://ehr.example"\ndemo = true\n'
    write("a.toml", manifest.replace('"acute"', '"x"') + issuer)
    write("b.toml", manifest + issuer)
    config = directory.parent / "broker.toml"
    config.write_text('[organisations]\ndirectory = "organisations"\n', encoding="utf-8")
    faults = [(fault.file.name, fault.line) for fault in check(config, {}, known_kinds=KINDS)]
    assert faults == [("a.toml", 3), ("b.toml", 1), ("b.toml", 17)]


def test_the_whole_configuration_is_checked_at_once(directory, write, manifest):
    issuer = '\n[issuer]\niss = "https://idp.example"\ndemo = true\n'
    write("a.toml", manifest + issuer)
    write("b.toml", RJ1="R J1", acute="x")
    config = directory.parent / "broker.toml"
    config.write_text(
        '[server]\nlisten = "0.0.0.0:8080"\npublic_url = "https://broker.example"\n'
        '[[issuers]]\niss = "https://idp.example"\njwks_url = "https://idp.example/k"\n',
        encoding="utf-8",
    )
    faults = [(fault.file.name, fault.line) for fault in check(config, {}, known_kinds=KINDS)]
    assert faults == [("a.toml", 17), ("a.toml", 18), ("b.toml", 1), ("b.toml", 3)]


def test_a_fault_of_the_configuration_hides_none_of_the_manifests(directory, write):
    write(acute="x")
    config = directory.parent / "broker.toml"
    config.write_text('[lookup]\ndeadline = "x"\n', encoding="utf-8")
    faults = [(fault.file.name, fault.line) for fault in check(config, {}, known_kinds=KINDS)]
    assert faults == [("broker.toml", 2), ("rj1.toml", 3)]
    config.write_text("[lookup\n", encoding="utf-8")
    assert [fault.line for fault in check(config, {}, known_kinds=KINDS)] == [1]


def test_a_good_configuration_has_no_fault(directory, write):
    write()
    config = directory.parent / "broker.toml"
    config.write_text('[organisations]\ndirectory = "organisations"\n', encoding="utf-8")
    assert check(config, {}, known_kinds=KINDS) == []


def test_a_secret_comes_from_the_environment_or_a_file(directory, write):
    (directory / "epr.key").write_text("hunter2\n", encoding="utf-8")
    for auth, settings in [
        ('{kind = "api-key", key_env = "EPR_KEY"}', {"header": "apikey", "key": "swordfish"}),
        ('{kind = "api-key", header = "X-Key", key_file = "epr.key"}', {"header": "X-Key", "key": "hunter2"}),
        ('{kind = "basic", username = "me", password_env = "EPR_KEY"}', {"username": "me", "password": "swordfish"}),
    ]:
        write(**{"kind = ": f"auth = {auth}\nkind = "})
        (registered,) = _load(directory, environ={"EPR_KEY": "swordfish"}).organisations["RJ1"].sources
        assert registered.source.auth.settings == settings
        assert "swordfish" not in repr(registered)


@pytest.mark.parametrize(
    ("auth", "words"),
    [
        ('{kind = "api-key", key = "hunter2"}', "write key_env or key_file"),
        ('{kind = "basic", username = "me", password = "hunter2"}', "write password_env or password_file"),
        ('{kind = "basic", password_env = "GOOD"}', "username: write"),
        ('{kind = "api-key"}', "write either key_env"),
        ('{kind = "api-key", key_env = "GOOD", key_file = "x"}', "write either key_env"),
        ('{kind = "api-key", key_env = "NONE"}', "is empty or not there"),
        ('{kind = "api-key", key_env = "LINES"}', "more than one line"),
        ('{kind = "api-key", key_file = "none.key"}', "can't be read"),
        ('{kind = "api-key", key_env = "GOOD", header = "X: hunter2"}', "the name of a header"),
        ('{kind = "api-key", key_env = "GOOD", user = "hunter2"}', "has no setting user"),
    ],
)
def test_no_message_about_a_secret_repeats_it(write, auth, words):
    file = write(**{"kind = ": f"auth = {auth}\nkind = "})
    environ = {"GOOD": "hunter2", "LINES": "hunter2\r\nX: y"}
    (fault,) = read_manifest(file, known_kinds=KINDS, environ=environ)[1]
    assert words in fault.message
    assert fault.line == 13
    assert "hunter2" not in str(fault)


def test_a_secret_is_not_waited_for_where_its_file_is_none_and_not_read_to_the_end_of_a_large_one(directory, write):
    os.mkfifo(directory / "pipe")
    (directory / "large.key").write_bytes(b"x" * 10_000_000)
    for name, words in (("pipe", "can't be read"), (".", "can't be read"), ("large.key", "more than one line")):
        file = write(**{"kind = ": f'auth = {{kind = "api-key", key_file = "{name}"}}\nkind = '})
        (fault,) = read_manifest(file, known_kinds=KINDS)[1]
        assert words in fault.message


_ODS = st.from_regex(r"[A-Z0-9]{3,10}", fullmatch=True)
_NAMES = st.lists(st.from_regex(r"[a-z0-9-]{1,12}", fullmatch=True), unique=True, max_size=4)


@given(ods=_ODS, names=_NAMES, categories=st.lists(st.sampled_from(CATEGORIES), unique=True))
def test_every_name_that_is_taken_is_unique_and_has_no_dot(tmp_path_factory, ods, names, categories):
    head = f"""\
ods_code = "{ods}"
name = "x"
service_type = "community"
region = "y"
agreement = {{isa_signed = 2025-04-01, isa_expires = 2027-03-31, dspt_expires = 2027-06-30}}
"""
    source = '[[sources]]\nname = "{}"\nkind = "fhir-r4"\nbase_url = "https://fhir.example/{}"\ncategories = {}\n'
    file = tmp_path_factory.getbasetemp() / "some.toml"
    file.write_text(head + "".join(source.format(name, name, categories) for name in names), encoding="utf-8")
    organisation, faults = read_manifest(file, known_kinds=KINDS)
    assert not faults
    assert organisation is not None
    assert [each.name for each in organisation.sources] == [f"{ods}-{name}" for name in names]
    assert not any("." in each.name or len(each.name) > 32 for each in organisation.sources)
    assert all(set(each.categories or ()) == set(categories) for each in organisation.sources)


@given(st.text(max_size=40))
def test_any_text_for_an_address_is_taken_below_https_or_refused_with_its_line(tmp_path_factory, text):
    quoted = "".join(f"\\U{ord(letter):08x}" for letter in text if not "\ud800" <= letter <= "\udfff")
    file = tmp_path_factory.getbasetemp() / "address.toml"
    file.write_text(
        'ods_code = "RJ1"\nname = "x"\nservice_type = "acute"\nregion = "y"\n'
        "agreement = {isa_signed = 2025-04-01, isa_expires = 2027-03-31, dspt_expires = 2027-06-30}\n"
        f'[[sources]]\nname = "epr"\nkind = "fhir-r4"\nbase_url = "https://fhir.example/{quoted}"\n',
        encoding="utf-8",
    )
    organisation, faults = read_manifest(file, known_kinds=KINDS)
    if organisation is None:
        assert [fault.line for fault in faults] == [9]
    else:
        assert organisation.sources[0].source.base_url.startswith("https://fhir.example")
