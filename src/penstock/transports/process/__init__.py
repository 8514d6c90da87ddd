"""Stage 3 of 6, for agents on a pipe: a child process, its stdin, stdout and stderr.

The child leads a process group of its own, and the group is what is ended: command-line agents are
wrappers around native children and start shells and servers. The ending is that of the fault
matrix: close stdin, 2 s, TERM to the group, 2 s, KILL, wait. A child whose stdin was closed behind
its prompt has had the first of these long ago. One whose stdin ends amid a turn may work on to the
turn's end, so that a warden ends both where we are killed.

The pipes are read by callbacks of the loop, so that a slow consumer never stops them and a call
needs no task of its own; what was read waits in a spool.

    call       one run of a child, as it is asked for
    transport  starts children, and sees each to its end
    wire       the output of one: the `penstock.interfaces.Wire`
    child      what it reads, and the steps of its end
    backlog    what it has said and nobody has read, and how it ended
    spool      bytes that wait for their reader, in memory and above a bound in a file
    warden     what ends a child's group where we were killed
    channel    for children that stay: one reader, and a wire for each turn
"""

from penstock.transports.process.call import ProcessCall
from penstock.transports.process.transport import ProcessTransport
from penstock.transports.process.wire import ProcessWire

__all__ = ["ProcessCall", "ProcessTransport", "ProcessWire"]
