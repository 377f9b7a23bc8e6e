"""The `broker` command. What each part of it does is in a module of its own, loaded when it is asked for."""

import importlib
import sys
from collections.abc import Sequence

from broker.cli.outcome import Stopped, plain
from broker.cli.parser import make_parser
from broker.errors import ConfigurationError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Gives its exit code: 0 what was asked holds, 1 it does not, 2 bad usage."""
    arguments = make_parser().parse_args(argv)
    try:
        code: int = importlib.import_module(arguments.module).run(arguments)
    except Stopped as stopped:
        return _complain(str(stopped), stopped.code)
    except ConfigurationError as fault:
        return _complain(str(fault), 1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # whoever read us has seen enough
        return 1
    return code


def _complain(problem: str, code: int) -> int:
    sys.stderr.write(f"broker: {plain(' '.join(problem.split()))}\n")
    return code
