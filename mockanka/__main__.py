"""The command line, for ``python -m mockanka`` and for the script ``mockanka``."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def run_command_line() -> None:
    """Run the command in the arguments. Ctrl-C ends it with status 2, until the command has a handler of its own."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _exit_at_once)
    from mockanka.cli.output_streams import OutputFailed, abandon_output, guard_output_streams

    guard_output_streams()
    from mockanka.cli.common import escape_logs
    from mockanka.cli.main import main

    escape_logs()
    try:
        main()
    except OutputFailed as error:
        abandon_output()
        print(f"standard output cannot be written: {error.strerror}", file=sys.stderr)
        sys.exit(2)


def _exit_at_once(number: int, frame: FrameType | None) -> None:
    # An exception would end in a traceback, or in nothing, depending on the import that it breaks off.
    os.write(2, b"interrupted\n")
    os._exit(2)


if __name__ == "__main__":
    run_command_line()
