"""An SSH session as the terminal of the platform command line.

With a pseudo-terminal asyncssh's line editor gives history and editing, and the tab key and the question mark do what
they do on the product. Without one, lines come as they are: `ssh NODE show cert list own`, or a script.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import asyncssh

from harness.platform.interpreter import PROMPT, Interpreter, Outcome
from harness.platform.session import MAXIMUM_LINE, EndOfInput, Interrupted, PlatformNode

_WAITING_LINES: Final = 2000
"Lines that were sent ahead; then nothing is read until some are taken."

_END: Final = EndOfInput()
_INTERRUPT: Final = Interrupted()


class ShellSession(asyncssh.SSHServerSession[str]):
    """One session: a shell, or one command. Implements `Terminal`."""

    def __init__(
        self, node: PlatformNode, *, idle_seconds: float, closed: "Callable[[ShellSession], None]"
    ) -> None:
        self._interpreter = Interpreter(node, self)
        self._idle_seconds = idle_seconds
        self._closed = closed
        self._channel: asyncssh.SSHServerChannel[str] | None = None
        self._command: str | None = None
        self._has_editor = False
        self._prompt = ""
        self._partial = ""
        self._input: deque[str | EndOfInput] = deque()
        self._arrived = asyncio.Event()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._running: asyncio.Task[None] | None = None

    # What asyncssh tells.

    def connection_made(self, chan: asyncssh.SSHServerChannel[str]) -> None:
        """Take the channel."""
        self._channel = chan

    def pty_requested(
        self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Mapping[int, int]
    ) -> bool:
        """Give a pseudo-terminal: with one there is a line editor."""
        self._has_editor = bool(term_type)
        return True

    def shell_requested(self) -> bool:
        """Give the command line."""
        return True

    def exec_requested(self, command: str) -> bool:
        """Run one command; the product does not, the lab does."""
        self._command = command
        return True

    def session_started(self) -> None:
        """Begin."""
        if self._has_editor and self._channel is not None:
            self._channel.register_key("\t", self._tab)  # type: ignore[attr-defined]
            self._channel.register_key("?", self._question_mark)  # type: ignore[attr-defined]
        self._running = asyncio.get_running_loop().create_task(self._run(), name="platform command line")

    def data_received(self, data: str, datatype: asyncssh.DataType) -> None:
        """Cut what comes into lines; one that is too long ends where it is too long, and is refused later."""
        *lines, partial = (self._partial + data).split("\n")
        self._partial = partial[: MAXIMUM_LINE + 1]
        for line in lines:
            self._put(line.removesuffix("\r")[: MAXIMUM_LINE + 1])

    def eof_received(self) -> bool:
        """Take the end of input; what still runs may answer."""
        if self._partial:
            self._put(self._partial)
            self._partial = ""
        self._put(_END)
        return True

    def soft_eof_received(self) -> None:
        """Take Ctrl+D for the end."""
        self._put(_END)

    def break_received(self, msec: int) -> bool:
        """Take Ctrl+C."""
        if self._has_editor and self._channel is not None:
            self._channel.clear_input()  # type: ignore[attr-defined]
        self.write("^C\n")
        self._put(_INTERRUPT)
        return True

    def signal_received(self, signal: str) -> None:
        """Take a signal that a program sends for Ctrl+C."""
        if signal == "INT":
            self._put(_INTERRUPT)

    def pause_writing(self) -> None:
        """Wait: the client does not read."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Go on."""
        self._may_write.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the session; a command that runs is let finish."""
        self._channel = None
        self._may_write.set()
        self._put(_END)
        if self._running is None:
            self._closed(self)

    @property
    def running(self) -> "asyncio.Task[None] | None":
        """What runs the person's commands; None before the session has begun."""
        return self._running

    # harness.platform.session.Terminal

    def write(self, text: str) -> None:
        """Show text; nobody sees it any more where the session has ended."""
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write(text)

    async def read_line(self, prompt: str) -> str:
        """Show a prompt and return the next line.

        Raises EndOfInput where the client has gone or has been idle for too long, Interrupted after Ctrl+C.
        """
        self._prompt = prompt
        self.write(prompt)
        await self._may_write.wait()
        try:
            async with asyncio.timeout(self._idle_seconds):
                while not self._input:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            self.write(f"\nSession timed out after {self._idle_seconds:g} s without a command\n")
            raise EndOfInput from None
        finally:
            self._prompt = ""
        first = self._input[0]
        if first is _END:  # it stays: there is nothing behind it
            raise EndOfInput
        self._input.popleft()
        if len(self._input) < _WAITING_LINES and self._channel is not None:
            self._channel.resume_reading()
        if isinstance(first, EndOfInput):
            raise Interrupted
        return first

    # Inside.

    def _put(self, item: str | EndOfInput) -> None:
        self._input.append(item)
        self._arrived.set()
        if len(self._input) >= _WAITING_LINES and self._channel is not None:
            self._channel.pause_reading()

    async def _run(self) -> None:
        outcome = Outcome.FAILED
        try:
            if self._command is None:
                outcome = await self._interpreter.run()
            else:
                outcome = await self._interpreter.execute(self._command)
        finally:
            if self._channel is not None and not self._channel.is_closing():
                self._channel.exit(outcome.value)
            self._closed(self)

    def _tab(self, line: str, position: int) -> bool | tuple[str, int]:
        if self._prompt != PROMPT:
            return False
        completion = self._interpreter.complete(line[:position])
        if completion.line == line[:position]:
            if not completion.candidates:
                return False
            names = "\n".join(f"  {name}" for name in completion.candidates)
            self.write(f"{line}\n{names}\n{PROMPT}")
        return completion.line + line[position:], len(completion.line)

    def _question_mark(self, line: str, position: int) -> bool | tuple[str, int]:
        if self._prompt != PROMPT:
            return True
        following = self._interpreter.following(line[:position])
        if not following:
            return True
        self.write(f"{line}?\n{following}{PROMPT}")
        return line, position
