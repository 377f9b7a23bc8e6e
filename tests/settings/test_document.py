"""Every key is found on its line, however it is written."""

import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import ConfigurationError
from broker.settings.document import At, read_document

AWKWARD = """\
# [comment]
"a.b" = 1
plain.dotted.'key' = "x # = [no]"

[table]  # = 1
text = \"\"\"
[not.a.table]
k = 1 \\\"""
""\"\"\"
raw = '''
x = ''y''
'''
list = [ # [
  "one", # ]
  [2, 3],
  {in = "line", deep.er = '}'},
]
when = 1979-05-27 07:32:00Z

[[many]]
a = 1
[many.sub]
b = 2
[[many]]
a = 3
[[many.sub2]]
c = 4
[[many.sub2]]
c = 5
"""


def _leaves(value: object, at: At = ()) -> set[At]:
    match value:
        case dict():
            return {leaf for key, below in value.items() for leaf in _leaves(below, (*at, key))} | {at}
        case list():
            return {leaf for index, below in enumerate(value) for leaf in _leaves(below, (*at, index))} | {at}
    return {at}


def _read(directory: Path, text: str):
    file = directory / "some.toml"
    file.write_bytes(text.encode())
    return read_document(file)


@pytest.mark.parametrize(
    ("at", "line"),
    [
        (("a.b",), 2),
        (("plain", "dotted", "key"), 3),
        (("table",), 5),
        (("table", "text"), 6),
        (("table", "raw"), 10),
        (("table", "list"), 13),
        (("table", "list", 0), 14),
        (("table", "list", 1, 1), 15),
        (("table", "list", 2, "deep", "er"), 16),
        (("table", "when"), 18),
        (("many", 0, "a"), 21),
        (("many", 0, "sub", "b"), 23),
        (("many", 1), 24),
        (("many", 1, "a"), 25),
        (("many", 1, "sub2", 1, "c"), 29),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_key_is_found_on_its_line(tmp_path, at, line, newline):
    assert _read(tmp_path, AWKWARD.replace("\n", newline)).lines[at] == line


def test_all_that_toml_finds_has_a_line(tmp_path):
    document = _read(tmp_path, AWKWARD)
    assert set(document.lines) | {()} == _leaves(document.data)


def test_what_is_not_there_is_shown_where_it_belongs(tmp_path):
    document = _read(tmp_path, AWKWARD)
    assert document.line(("many", 1, "missing")) == 24
    assert document.line(("missing",)) is None


_SCALARS = st.one_of(
    st.integers(-5, 5).map(str),
    st.sampled_from(["true", "2027-03-31", "'''\n\n'quoted'\n'''", '"""\n\\"""\n"""', "'['", '"#"', '"\\""', "1.5e3"]),
)
_KEYS = st.sampled_from(["a", "b-2", '"c.d"', "'e='", "f"])
_VALUES = st.recursive(
    _SCALARS,
    lambda below: (
        st.lists(below, max_size=3).map(lambda each: "[\n" + ",\n".join(each) + " # ]\n]")
        | st.dictionaries(_KEYS, _SCALARS.filter(lambda text: "\n" not in text), max_size=2).map(
            lambda each: "{" + ", ".join(f"{key} = {value}" for key, value in each.items()) + "}"
        )
    ),
    max_leaves=6,
)
_TABLE = st.dictionaries(_KEYS, _VALUES, max_size=3).map(
    lambda each: "".join(f"{key} = {value}\n\n" for key, value in each.items())
)


@given(st.lists(st.tuples(st.sampled_from(["[x]", "[y.z]", "[[many]]", "[[many.more]]"]), _TABLE), max_size=5))
def test_any_file_has_a_line_for_all_that_is_in_it_and_no_more(tmp_path_factory, tables):
    text = "top = 1\n" + "\n".join(f"{header}\n{content}" for header, content in tables)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    document = _read(tmp_path_factory.getbasetemp(), text)
    assert set(document.lines) | {()} == _leaves(data)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a = 1\nb = \n", 2),
        (b"a = 1\na = 2\n", 2),
        (b"[a]\n[a]\n", 2),
        (b'a = 1\nb = """\n\n', 2),
        (b"a = 1\nb = '\xff'\n", 2),
    ],
)
def test_what_is_not_toml_is_named_with_its_line(tmp_path, content, line):
    file = tmp_path / "some.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        read_document(file)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"{file}:{line}: ")


def test_a_file_that_nests_without_end_is_a_fault(tmp_path):
    with pytest.raises(ConfigurationError, match="nested too deeply"):
        _read(tmp_path, "a = " + "[" * 100_000)


def test_what_is_no_regular_file_is_a_fault_and_not_waited_for(tmp_path):
    pipe = tmp_path / "pipe.toml"
    os.mkfifo(pipe)
    for file in (pipe, tmp_path):
        with pytest.raises(ConfigurationError, match="no regular file") as fault:
            read_document(file)
        assert fault.value.file == file
