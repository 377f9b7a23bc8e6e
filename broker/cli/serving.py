"""`broker serve`."""

import argparse
import asyncio

from broker import settings
from broker.app import serve
from broker.cli.outcome import HOLDS

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    asyncio.run(serve(settings.load(arguments.config)))
    return HOLDS
