"""What the broker is told, from `broker.toml` and the environment."""

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import broker.settings
from broker.errors import ConfigurationError
from broker.registry.manifest import Manifest
from broker.settings import IssuerSettings, Settings, check, load
from broker.settings.document import Document
from broker.settings.kinds import Place, seconds
from broker.settings.shape import Reading, Tables

INTERFACE = """\
[server]
listen = "127.0.0.1:8080"
public_url = "http://127.0.0.1:8080"
origins = []
[lookup]
deadline = "5s"
source_timeout = "4s"
practices_if_unknown = 10
[organisations]
directory = "organisations"
[identity]
kind = "none"
[objections]
max_age = "10s"
lead_controller = "QKK"
[audit]
directory = "state/journal"
keys = "state/keys"
[store]
url = "sqlite+aiosqlite:///state/broker.db"
[[issuers]]
iss = "https://idp.example"
jwks_url = "https://idp.example/jwks.json"
demo = false
"""


def test_the_configuration_of_the_interface_is_read_as_it_stands(write):
    file = write(INTERFACE)
    settings = load(file, {})
    here = file.parent
    assert str(settings.server.listen) == "127.0.0.1:8080"
    assert settings.lookup.deadline == 5.0
    assert settings.lookup.source_timeout == 4.0
    assert settings.organisations.directory == here / "organisations"
    assert settings.objections.lead_controller == "QKK"
    assert settings.audit.keys == here / "state/keys"
    assert settings.store.url == f"sqlite+aiosqlite:///{here / 'state/broker.db'}"
    assert settings.issuers == (
        IssuerSettings(iss="https://idp.example", jwks_url="https://idp.example/jwks.json", demo=False),
    )


def test_the_bounds_of_a_node_and_of_its_callers_are_values_with_units(write):
    settings = load(
        write('[server]\ngrace = "1m"\n[lookup]\nmemory = "2GB"\n[limits]\nuser_per_minute = 7\n'),
        {"BROKER_LIMITS_ORGANISATION_AT_ONCE": "9"},
    )
    assert (settings.server.grace, settings.lookup.memory) == (60.0, 2_000_000_000)
    assert (settings.limits.user_per_minute, settings.limits.organisation_at_once) == (7, 9)


def test_what_is_left_out_has_its_default(write):
    file = write('[lookup]\ndeadline = "5s"\n')
    here = file.parent
    assert load(file, {}) == dataclasses.replace(
        load(write(INTERFACE), {}), objections=Settings().objections, issuers=()
    )
    assert load(file, {}).organisations.directory == here / "organisations"


def test_a_source_gets_less_than_the_deadline_when_only_the_deadline_is_written(write):
    assert load(write('[lookup]\ndeadline = "2s"\n'), {}).lookup.source_timeout == pytest.approx(1.6)


_SIGNED = '[identity]\nauth = {{kind = "private-key-jwt", client_id = "a", key_id = "b", token_url = "{}", {} = "NOT_THERE"}}\n'


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "empty: write at least [organisations]"),
        ("# nothing\n\n", 1, "empty: write at least"),
        ('[server]\nlisten = "8080"\n', 2, "write host and port"),
        ('[server]\nlisten = "127.0.0.1:99999"\n', 2, "write host and port"),
        ('[server]\nlisten = "::1:80"\n', 2, "write host and port"),
        ('[server]\nlisten = "0.0.0.0:80"\n', 1, "server.public_url: missing"),
        ('[server]\npublic_url = "broker.example"\n', 2, "write an absolute address"),
        ('[server]\norigins = ["https://ehr.example/app"]\n', 2, "scheme, host and port alone"),
        ('[server]\norigins = "https://ehr.example"\n', 2, "write a list"),
        ("[server]\nmax_body = 65536\n", 2, "with its unit"),
        ("[server]\nport = 80\n", 2, "server.port: there is no such setting"),
        ('\n[lookup]\ndead_line = "5s"\n', 3, "did you mean deadline?"),
        ("[lookup]\ndeadline = 5\n", 2, 'such as "5s"'),
        ('[lookup]\ndeadline = "5"\n', 2, 'such as "5s"'),
        ('[lookup]\ndeadline = "0s"\n', 2, 'such as "5s"'),
        ('[lookup]\ndeadline = "-5s"\n', 2, 'such as "5s"'),
        ('[lookup]\ndeadline = "3s"\nsource_timeout = "3s"\n', 3, "write less than lookup.deadline"),
        ('[lookup]\npractices_if_unknown = "10"\n', 2, "without quotes"),
        ("[lookup]\npractices_if_unknown = -1\n", 2, "from 0 to 1000"),
        ("[lookup]\nconcurrency = true\n", 2, "from 1 to 10000"),
        ("[lookup]\nmemory = 512\n", 2, 'such as "64kB"'),
        ('[server]\ngrace = "0s"\n', 2, 'such as "5s"'),
        ("[limits]\nuser_at_once = 0\n", 2, "from 1 to 20000"),
        ("[limits]\nper_minute = 5\n", 2, "there is no such setting"),
        ('[identity]\nkind = "pds"\n', 1, "identity.base_url: missing"),
        ('[identity]\nkind = "pds"\nbase_url = "http://pds.example"\n', 3, "write an https address"),
        ('[identity]\nkind = "pds"\nbase_url = "https://pds.example?a=b"\n', 3, "without ? or #"),
        ('[identity]\nkind = "pds"\nbase_url = "https://pds.example"\nauth = "key"\n', 4, "write a table of texts"),
        ('[identity]\nauth = {kind = "api-key", key = "s3cret"}\n', 2, "stands in this file itself"),
        ('[identity]\nauth = {kind = "api-key", key_file = "none"}\n', 2, "can't be read"),
        ('[identity]\nauth = {kind = "mtls"}\n', 2, "is not available in this version"),
        ('[identity]\nauth = {kind = "private-key-jwt"}\n', 2, "client_id: write it"),
        (_SIGNED.format("http://pds.example/token", "key_env"), 2, "token_url: write an https address"),
        (_SIGNED.format("", "key_env"), 2, "token_url: write an absolute address"),
        (_SIGNED.format("https://pds.example/token", "key_env"), 2, "environment variable that key_env names is empty"),
        (_SIGNED.format("https://pds.example/token", "key_fil"), 2, "did you mean key_file?"),
        (_SIGNED.format("https://pds.example/token", "key"), 2, "stands in this file itself"),
        ("[identity]\ntimeout = 1\n", 2, 'such as "5s"'),
        ('[identity]\norganisation = "rj1"\n', 2, "write an ODS code"),
        ('[identity]\nkind = "ldap"\n', 2, "write one of none file pds"),
        ('[identity]\nkind = "file"\n', 1, "identity.directory: missing"),
        ('[identity]\nkind = "file"\ndirectory = "nowhere"\n', 3, "there is no such directory"),
        ('identity = "none"\n', 1, "a table is needed: write [identity]"),
        ('[issuers]\niss = "x"\n', 1, "write [[issuers]]"),
        ('[policies]\ndirectory = ""\n', 2, "write a path"),
        ('[objections]\nlead_controller = "Q.K"\n', 2, "write an ODS code"),
        ('[store]\nurl = "sqlite:///x.db"\n', 2, "sqlite+aiosqlite:///"),
        ('[store]\nurl = "sqlite+aiosqlite:///:memory:"\n', 2, "the path of a file"),
        ('[store]\nurl = "sqlite+aiosqlite://"\n', 2, "sqlite+aiosqlite:///"),
        ("[[issuers]]\ndemo = true\n", 1, "issuers[0].iss: missing"),
        ('[[issuers]]\niss = "a"\n', 1, "write jwks_url or jwks_file"),
        ('[[issuers]]\niss = "a"\njwks_url = "http://idp.example/k"\n', 3, "write an https address"),
        ('[[issuers]]\niss = "a"\njwks_file = "none.json"\n', 3, "there is no such file"),
        ('[[issuers]]\niss = "a"\ndemo = true\n\n[[issuers]]\niss = "a"\ndemo = true\n', 6, "already there"),
        (
            '[server]\nlisten = "0.0.0.0:80"\npublic_url = "https://b.example"\n[[issuers]]\niss = "a"\ndemo = true\n',
            6,
            "listen on 127.0.0.1",
        ),
    ],
)
def test_a_fault_is_named_with_its_file_its_line_and_what_to_write(write, text, line, words):
    file = write(text)
    with pytest.raises(ConfigurationError) as caught:
        load(file, {})
    assert caught.value.file == file
    assert caught.value.line == line
    assert words in caught.value.message


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(ConfigurationError, match="there is no such file"):
        load(tmp_path / "broker.toml", {})
    with pytest.raises(ConfigurationError, match="can't be read"):
        load(tmp_path, {})


def test_every_fault_is_told_at_once_in_the_order_of_the_lines(write):
    faults = check(write('[server]\nlisten = 1\nx = 2\n[lookup]\ndeadline = "x"\n[[issuers]]\niss = "a"\n'), {})
    assert [fault.line for fault in faults] == [2, 3, 5, 6]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[server]\nlisten = "0.0.0.0:80"\nmax_body = 1\n', "server.public_url: missing"),
        ('[lookup]\ndeadline = "3s"\nsource_timeout = "3s"\nconcurrency = 0\n', "write less than lookup.deadline"),
        ('[identity]\nkind = "file"\nfolder = "x"\n', "identity.directory: missing"),
        ("[[issuers]]\ndemo = false\n", "write jwks_url or jwks_file"),
        ('lookup = 1\n[[issuers]]\niss = "a"\n[[issuers]]\niss = "a"\ndemo = true\n', "already there"),
        ('[server]\nlisten = "0.0.0.0:80"\n[[issuers]]\ndemo = true\n', "listen on 127.0.0.1"),
    ],
)
def test_a_fault_hides_none_that_does_not_depend_on_it(write, text, words):
    faults = check(write(text), {})
    assert len(faults) > 1
    assert sum(words in fault.message for fault in faults) == 1


@pytest.mark.parametrize("text", ['[server]\nlisten = "x"\n', '[lookup]\ndeadline = "x"\nsource_timeout = "9s"\n'])
def test_what_depends_on_a_value_with_a_fault_is_not_guessed(write, text):
    assert [fault.line for fault in check(write(text), {})] == [2]


def test_a_good_file_has_no_fault(write):
    assert check(write(INTERFACE), {}) == []


def test_the_environment_counts_instead_of_the_file(write):
    environ = {
        "BROKER_LOOKUP_DEADLINE": "3s",
        "BROKER_LOOKUP_SOURCE_TIMEOUT": "250ms",
        "BROKER_LOOKUP_PRACTICES_IF_UNKNOWN": "4",
        "BROKER_SERVER_ORIGINS": "https://a.example, https://b.example",
        "BROKER_AUDIT_KEYS": "elsewhere",
        "BROKER_ISSUERS_0_ISS": "https://other.example",
        "BROKER_ISSUERS_1_ISS": "https://demo.example",
        "BROKER_ISSUERS_1_DEMO": "true",
    }
    file = write(INTERFACE)
    settings = load(file, environ)
    assert (settings.lookup.deadline, settings.lookup.source_timeout) == (3.0, 0.25)
    assert settings.lookup.practices_if_unknown == 4
    assert settings.server.origins == ("https://a.example", "https://b.example")
    assert settings.audit.keys == file.parent / "elsewhere"
    assert [issuer.iss for issuer in settings.issuers] == ["https://other.example", "https://demo.example"]
    assert settings.issuers[1].demo


def test_a_fault_in_the_environment_names_the_variable(write):
    (fault,) = check(write(INTERFACE), {"BROKER_LOOKUP_DEADLINE": "3"})
    assert "BROKER_LOOKUP_DEADLINE in the environment" in fault.message


def test_a_variable_that_is_nearly_a_setting_is_a_fault_and_one_of_somebody_else_is_not(write):
    environ = {"BROKER_LOOKUP_DEADLIN": "3s", "BROKER_TOKEN": "secret", "BROKER_SERVER_SERVICE_HOST": "10.0.0.1"}
    (fault,) = check(write(INTERFACE), environ)
    assert "did you mean BROKER_LOOKUP_DEADLINE?" in fault.message


def test_no_message_repeats_what_may_be_a_secret(write):
    text = '[store]\nurl = "mysql://user:hunter2@db/x"\n[server]\npublic_url = "https://user:hunter2@broker.example"\n'
    faults = check(write(text), {"BROKER_LOOKUP_DEADLINE": "hunter2"})
    assert len(faults) == 3
    assert "hunter2" not in "".join(map(str, faults))


def test_the_address_of_the_store_is_not_shown(write):
    settings = load(write('[store]\nurl = "postgresql+asyncpg://user:hunter2@db/x"\n'), {})
    assert settings.store.url.endswith("hunter2@db/x")
    assert "hunter2" not in repr(settings)


@given(st.integers(1, 999), st.sampled_from([("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400)]))
def test_a_time_is_its_number_in_its_unit(number, unit):
    name, factor = unit
    assert seconds(f"{number}{name}") == pytest.approx(number * factor)


@given(st.text(max_size=8))
def test_any_text_is_a_time_above_zero_or_a_clear_fault(text):
    if re.fullmatch(r"[0-9]*[1-9][0-9]*(ms|s|m|h|d)", text):
        assert seconds(text) > 0
    elif "." not in text:
        with pytest.raises(ValueError, match="with its unit"):
            seconds(text)


def _names(cls: type, prefix: str = "") -> set[str]:
    found = set()
    for field in dataclasses.fields(cls):
        shape = field.metadata.get("shape")
        if isinstance(shape, Tables):
            found |= _names(shape.cls, f"{prefix}{field.name}{'[]' if shape.many else ''}.")
        elif shape:
            found.add(prefix + field.name)
    return found


@pytest.mark.parametrize(("heading", "cls"), [("`broker.toml`", Settings), ("An organisation's manifest", Manifest)])
def test_every_setting_is_documented_and_nothing_else(heading, cls):
    readme = Path(broker.settings.__file__).with_name("README.md").read_text(encoding="utf-8")
    section = readme.partition(f"## {heading}\n")[2].partition("\n## ")[0].partition("\n`auth` names")[0]
    documented = re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert set(documented) == _names(cls)


def test_every_documented_default_is_the_default():
    readme = Path(broker.settings.__file__).with_name("README.md").read_text(encoding="utf-8")
    section = readme.partition("## `broker.toml`\n")[2].partition("\n## ")[0]
    documented = dict(re.findall(r"^\| `([a-z_.]+)` \| `([^`]+)` \|", section, re.MULTILINE))
    text = "".join(f"{name} = {value}\n" for name, value in documented.items() if name != "server.public_url")
    assert len(documented) > 10
    directory = Path("/nowhere")
    assert _settings_of(text, directory) == _settings_of("[lookup]\ndeadline = '5s'\n", directory)


def _settings_of(text: str, directory: Path) -> Settings:
    reading = Reading(Document(directory / "broker.toml", tomllib.loads(text), {}), Place(directory, {}))
    settings = reading.read(Settings)
    assert settings is not None
    return settings
