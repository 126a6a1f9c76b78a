"""Runs a program on a terminal of its own: terminal.py QUESTION ANSWER PROGRAM WORD…

ANSWER is typed when QUESTION has appeared; what appears goes to standard output. Ends with the program's exit status.
"""

import fcntl
import os
import pty
import struct
import sys
import termios

question, answer, program = sys.argv[1].encode(), sys.argv[2].encode(), sys.argv[3:]
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(program[0], program)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
seen = b""
while True:
    try:
        data = os.read(terminal, 65536)
    except OSError:  # Linux says so when the other side is closed.
        break
    if not data:
        break
    seen += data
    os.write(1, data)
    if question and question in seen:
        os.write(terminal, answer)
        question = b""
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
