"""Run a command that never outlives the process that started it, not even when that one is killed.

    python -I -S childguard.py PARENT_PID SIGNAL LIFELINE COMMAND [ARGUMENT...]

With LIFELINE `kernel` (Linux), the kernel sends SIGNAL when the parent is gone, and this process
becomes the command. Elsewhere LIFELINE is the number of a pipe's reading end whose writing end only
the parent holds: this process stays, passes signals on, and sends SIGNAL when the pipe closes.
It runs by its path, before any site package is there, and so imports nothing of ours.
"""

import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PARENT_GONE = 70
_CANNOT_RUN = 2  # trying again would not help


def main(argv: list[str]) -> int:
    """Become or run the command; the exit status is the command's own."""
    parent, signum, lifeline, command = int(argv[1]), int(argv[2]), argv[3], argv[4:]
    try:
        if lifeline == "kernel":
            return _become(command, parent, signum)
        return _watch(command, int(lifeline), signum)
    except OSError as err:
        print(f"{command[0]}: {err.strerror}", file=sys.stderr)  # noqa: T201  longshore.cli.console is out of reach here
        return _CANNOT_RUN


def _become(command: list[str], parent: int, signum: int) -> int:
    import ctypes  # only here: it takes longer to import than everything else

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signum, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() == parent:  # else it died before the kernel was asked to tell us
        os.execv(command[0], command)  # noqa: S606
    return _PARENT_GONE


def _watch(command: list[str], lifeline: int, signum: int) -> int:
    import subprocess
    import threading

    os.set_inheritable(lifeline, False)
    child = subprocess.Popen(command, close_fds=False)

    def pass_on(received: int, _frame: object) -> None:
        child.send_signal(received)

    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, pass_on)

    def until_parent_ends() -> None:
        os.read(lifeline, 1)
        child.send_signal(signum)

    threading.Thread(target=until_parent_ends, daemon=True).start()
    status = child.wait()
    return 128 - status if status < 0 else status


if __name__ == "__main__":
    sys.exit(main(sys.argv))
