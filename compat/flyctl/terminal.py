"""Runs a program on a terminal of its own and answers what it asks.

argv: seconds, a JSON list of [what it shows, what is typed then], the program and its arguments. All that it showed goes to
standard output; the exit code is the program's. A dialogue that is not had in time ends the program: exit code 99. Instead of a
list, "stdin" passes on what comes on standard input.
"""

import json
import os
import pty
import re
import select
import signal
import sys
import time

limit, dialogue, command = float(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3:]
inputs = [sys.stdin.fileno()] if dialogue == "stdin" else []
dialogue = [] if dialogue == "stdin" else dialogue
child, terminal = pty.fork()
if child == 0:
    os.environ["TERM"] = "xterm"
    os.execvp(command[0], command)

end, seen, unread = time.monotonic() + limit, b"", ""
while True:
    left = end - time.monotonic()
    if left <= 0:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        sys.stdout.write(seen.decode(errors="replace"))
        sys.exit(99)
    ready, _, _ = select.select([terminal, *inputs], [], [], min(left, 0.2))
    if inputs and inputs[0] in ready:
        typed = os.read(inputs[0], 4096)
        os.write(terminal, typed)
        if not typed:
            inputs = []
    if terminal in ready:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        if not piece:
            break
        seen += piece
        text = piece.decode(errors="replace")
        sys.stdout.write(text)
        sys.stdout.flush()
        # A program that asks where the cursor is waits for the answer.
        if "\x1b[6n" in text:
            os.write(terminal, b"\x1b[1;1R")
        unread += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    if dialogue and dialogue[0][0] in unread:
        unread = unread.split(dialogue[0][0], 1)[1]
        # Whoever types is slower than whoever asks: the program has to listen first.
        time.sleep(0.3)
        os.write(terminal, dialogue.pop(0)[1].encode())

_, status = os.waitpid(child, 0)
if dialogue:
    sys.stdout.write(f"\nnever asked: {dialogue[0][0]}\n")
    sys.exit(99)
sys.exit(os.waitstatus_to_exitcode(status))
