"""`broker demo`."""

import argparse
import asyncio

from broker.demo.run import run as run_demo

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    """Start the made-up world, look one patient up, and serve until interrupted."""
    return asyncio.run(
        run_demo(once=arguments.once, form=arguments.format, port=arguments.port, directory=arguments.directory)
    )
