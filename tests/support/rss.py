"""Runs a command and writes its peak memory in KiB to a file: rss.py FILE COMMAND ARG...

A small process of its own, because a child's peak counts from what its parent had when it forked:
measured from the test runner every program would look as fat as that. Exits as the command did.
"""
import os
import signal
import sys


def main():
    report, argv = sys.argv[1], sys.argv[2:]
    pid = os.fork()
    if pid == 0:
        os.execvp(argv[0], argv)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda n, _: os.kill(pid, n))
    _, status, usage = os.wait4(pid, 0)
    with open(report, "w") as file:
        file.write(str(usage.ru_maxrss))
    sys.exit(os.waitstatus_to_exitcode(status) & 0xff)


main()
