"""Decides what a person would see: a pseudo-terminal, and a small screen that obeys escapes."""
import fcntl
import os
import pty
import re
import signal
import struct
import termios
import threading
import unicodedata

CSI = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")


class Screen:
    """A terminal's screen with scroll-back: rows of text, a cursor, wrapping at the last column."""

    def __init__(self, columns, rows=24):
        self.columns, self.rows = columns, rows
        self.lines, self.row, self.column = [""], 0, 0
        self.wrapped = 0
        self.unknown = []
        self.cursor_hidden = False
        self.rest = ""

    def feed(self, text):
        text, i = self.rest + text, 0
        self.rest = ""
        while i < len(text):
            if text[i] == "\x1b":
                found = CSI.match(text, i)
                if found:
                    self._escape(*found.groups())
                    i = found.end()
                    continue
                if len(text) - i < 16:
                    self.rest = text[i:]
                    return
                self.unknown.append(text[i:i + 8])
            elif text[i] == "\r":
                self.column = 0
            elif text[i] == "\n":
                self._move(self.row + 1)
            elif text[i] == "\b":
                self.column = max(0, self.column - 1)
            else:
                self._put(text[i])
            i += 1

    def _move(self, row):
        self.row = max(0, row, len(self.lines) - self.rows)
        while len(self.lines) <= self.row:
            self.lines.append("")

    def _put(self, char):
        width = 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if self.column + width > self.columns:
            self.wrapped += 1
            self._move(self.row + 1)
            self.column = 0
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[:self.column] + char + line[self.column + 1:]
        self.column += width

    def _escape(self, arguments, final):
        number = int(arguments) if arguments.isdigit() else None
        line = self.lines[self.row]
        if final in "AF":
            self._move(self.row - (number or 1))
        elif final in "BE":
            self._move(min(self.row + (number or 1), max(len(self.lines) - 1, self.row)))
        elif final == "C":
            self.column += number or 1
        elif final == "D":
            self.column = max(0, self.column - (number or 1))
        elif final == "G":
            self.column = (number or 1) - 1
        elif final == "K":
            if number == 2:
                self.lines[self.row] = ""
            elif number == 1:
                self.lines[self.row] = " " * self.column + line[self.column:]
            else:
                self.lines[self.row] = line[:self.column]
        elif final == "J" and not number:
            self.lines[self.row] = line[:self.column]
            del self.lines[self.row + 1:]
        elif final in "lh" and arguments == "?25":
            self.cursor_hidden = final == "l"
        elif final not in "mlh":
            self.unknown.append(f"CSI {arguments}{final}")
        if final in "EF":
            self.column = 0

    @property
    def text(self):
        return "\n".join(line.rstrip() for line in self.lines).rstrip()


class Terminal:
    """A context manager: `fd` is what the program gets as its terminal."""

    def __init__(self, columns=100, rows=24):
        self.screen = Screen(columns, rows)
        self.raw = b""
        self.history = []        # the screen after each piece that came

    def __enter__(self):
        self.primary, self.fd = pty.openpty()
        self._set_size()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        return self

    def _set_size(self):
        size = struct.pack("HHHH", self.screen.rows, self.screen.columns, 0, 0)
        fcntl.ioctl(self.primary, termios.TIOCSWINSZ, size)

    def resize(self, columns, process):
        """What a window does: the size changes, and the program in it is told."""
        self.screen.columns = columns
        self._set_size()
        process.send_signal(signal.SIGWINCH)

    def _read(self):
        while True:
            try:
                piece = os.read(self.primary, 65536)
            except OSError:
                return
            if not piece:
                return
            self.raw += piece
            self.screen.feed(piece.decode(errors="replace"))
            self.history.append(self.screen.text)

    def end(self):
        """After the program ended: everything it wrote is on the screen."""
        os.close(self.fd)
        self.fd = None
        self.thread.join(5)
        return self.screen

    def __exit__(self, *_):
        if self.fd is not None:
            os.close(self.fd)
        os.close(self.primary)
