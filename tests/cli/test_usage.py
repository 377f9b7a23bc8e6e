"""What every command has in common: help, exit codes, and one line that says what to do."""

import os
import subprocess
import sys

import pytest

COMMANDS = [
    (),
    ("serve",),
    ("demo",),
    ("token",),
    ("objection",),
    ("objection", "record"),
    ("objection", "decide"),
    ("objection", "withdraw"),
    ("objection", "list"),
    ("objection", "show"),
    ("objection", "letter"),
    ("objection", "import"),
    ("policy",),
    ("policy", "explain"),
    ("policy", "test"),
    ("policy", "show"),
    ("policy", "refset"),
    ("policy", "copy"),
    ("audit",),
    ("audit", "verify"),
    ("config",),
    ("config", "check"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_worth_reading(broker, command):
    code, out, err = broker(*command, "--help")
    assert (code, err) == (0, "")
    assert len(out) > 150
    assert "None" not in out


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("token",), ["R8000 clinician", "R8001 nurse", "R0001 privacy officer", "R5105 Caldicott guardian"]),
        (
            ("objection", "decide"),
            ["goes to under-review first", "never by whoever recorded it", "[[issuers]]", "R0001"],
        ),
    ],
    ids=["token", "objection decide"],
)
def test_what_nobody_could_guess_is_said(broker, command, words):
    _, out, _ = broker(*command, "--help")
    assert [each for each in words if each not in out] == []


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("token",),
        ("token", "--role", "R8000"),
        ("objection",),
        ("objection", "record"),
        ("objection", "decide", "1", "--status", "received"),
        ("objection", "record", "--patient", "9990000019", "--asked-by", "patient"),
        ("demo", "--port", "70000"),
        ("serve", "--conf", "x"),
        ("audit", "verify", "--format", "yaml"),
    ],
    ids=" ".join,
)
def test_bad_usage_is_exit_code_2(broker, arguments):
    code, out, err = broker(*arguments)
    assert (code, out) == (2, "")
    assert "usage: broker" in err


def test_a_number_that_is_wrong_is_not_said_back(broker):
    _, _, err = broker("objection", "show", "1", "--patient", "9990000019")
    assert "9990000019" not in err.replace("unrecognized arguments: --patient 9990000019", "")


@pytest.mark.parametrize("command", [("serve",), ("token", "--role", "R8000", "--organisation", "RJ1")], ids="-".join)
def test_a_configuration_that_is_not_there_is_said_in_one_line(broker, tmp_path, command):
    code, out, err = broker(*command, "--config", tmp_path / "missing.toml")
    assert (code, out) == (1, "")
    assert err.startswith("broker: ")
    assert err.count("\n") == 1
    assert "missing.toml" in err


def test_a_bad_configuration_stops_the_start_with_file_line_and_reason(broker, config):
    config.write_text(config.read_text().replace('"127.0.0.1:8080"', "8080"))
    code, out, err = broker("serve", "--config", config)
    assert (code, out) == (1, "")
    assert err.startswith(f"broker: {config}:2: ")


def test_the_command_is_there_and_loads_little_for_its_help():
    """`--help` of a command must not wait for what the command itself needs."""
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            """
import sys
from broker.cli import main
try:
    main(["token", "--help"])
except SystemExit:
    print(sorted({"aiohttp", "sqlalchemy", "cedarpy", "httpx"} & set(sys.modules)))
""",
        ],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
        timeout=60,
    )
    assert said.stdout.splitlines()[-1] == "[]"


def test_the_installed_command_runs(config):
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from broker.cli import main; sys.exit(main())",
            "config",
            "check",
            "--config",
            config,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (said.returncode, said.stderr) == (0, "")
