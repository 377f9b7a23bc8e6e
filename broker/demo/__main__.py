"""`python -m broker.demo`: a reply of `POST /lookups` on standard input, as a readable record on standard output."""

import io
import json
import sys

from broker.demo.show import show_lookup

reply = json.load(sys.stdin)
if "error" in reply:
    sys.exit(f"{reply['error']['code']}: {reply['error']['message']}")
if isinstance(sys.stdout, io.TextIOWrapper):
    sys.stdout.reconfigure(errors="replace")  # a terminal without arrows still gets the rest
sys.stdout.write(show_lookup(reply) + "\n")
