"""Runs a command that ends with the process that started it, even when that process is killed.

    python -I -S childguard.py PARENT_PID SIGNAL LIFELINE COMMAND [ARGUMENT...]

With LIFELINE `kernel` (Linux), the kernel sends SIGNAL when the parent ends, and this process becomes the command.
Elsewhere LIFELINE is the descriptor of a pipe's reading end, and only the parent has the writing end: this process
stays, forwards signals, and sends SIGNAL when the pipe closes. It runs by its path with `-I -S`, without site-packages,
and so imports nothing of longshore.
"""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PARENT_GONE = 70
_CANNOT_RUN = 2  # a restart would not help


def main(argv: list[str]) -> int:
    """Become or run the command. Returns its exit status."""
    parent, signum, lifeline, command = int(argv[1]), int(argv[2]), argv[3], argv[4:]
    try:
        if lifeline == "kernel":
            return _exec(command, parent, signum)
        return _run_watched(command, int(lifeline), signum)
    except OSError as err:
        print(f"{command[0]}: {err.strerror}", file=sys.stderr)  # noqa: T201  longshore.cli.console cannot be imported here
        return _CANNOT_RUN


def _exec(command: list[str], parent: int, signum: int) -> int:
    import ctypes  # imported late: it is slower than all else together

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signum, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() == parent:  # else it ended before the call above
        os.execv(command[0], command)  # noqa: S606
    return _PARENT_GONE


def _run_watched(command: list[str], lifeline: int, signum: int) -> int:
    import subprocess
    import threading

    os.set_inheritable(lifeline, False)
    child = subprocess.Popen(command, close_fds=False)

    def forward(received: int, _frame: object) -> None:
        child.send_signal(received)

    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, forward)

    def until_parent_ends() -> None:
        os.read(lifeline, 1)
        child.send_signal(signum)

    threading.Thread(target=until_parent_ends, daemon=True).start()
    status = child.wait()
    return 128 - status if status < 0 else status


if __name__ == "__main__":
    sys.exit(main(sys.argv))
