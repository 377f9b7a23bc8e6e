"""Whatever a source writes into a link, nothing but the source is asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from adapters.links import is_target, target_of

BASE = "https://h.example/fhir"
PIECES = [
    "https://",
    "h.example",
    "/fhir",
    "/",
    "..",
    "%2e%2e",
    "?",
    "#",
    "@",
    ":",
    ":443",
    "\\",
    "evil",
    " ",
    "é",
    "\r\n",
    ".",
]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)))
def test_no_link_leads_off_the_source(link):
    target = target_of(link, BASE)
    if target is None:
        return
    assert is_target(target)
    for asked in (URL(BASE + target), URL(BASE + target, encoded=True)):
        assert asked.origin() == URL("https://h.example")
        assert asked.raw_path == "/fhir" or asked.raw_path.startswith("/fhir/")
        assert asked.user is None
    assert (BASE + target).isascii()
    assert not set(target) & set(" \r\n#")


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("https://h.example/fhir?_getpages=1&_bundletype=searchset", "?_getpages=1&_bundletype=searchset"),
        ("https://H.Example:443/fhir/Patient?a=b", "/Patient?a=b"),
        ("https://proxy.example:8443/r4/Patient?a=b", "/Patient?a=b"),
        ("/r4/Patient?a=b", "/Patient?a=b"),
        ("Patient?a=b#part", "/Patient?a=b"),
        ("https://h.example/fhirs", None),
        ("http://h.example/fhir?x", None),
        ("https://proxy.example/r4/Patient", None),
        ("", None),
        ("https://[/fhir", None),
        ("https://h.example:x/fhir/a", None),
    ],
)
def test_what_follows_the_base_is_kept_as_it_is(link, target):
    assert target_of(link, BASE, ("https://proxy.example:8443/r4",)) == target
