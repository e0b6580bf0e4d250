"""A machine that answers questions as it is told to, and shells into it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

from rrsim.backends.live.shells.interface import Command, Result, ShellLost
from rrsim.images.description import Built
from rrsim.images.windows import recipe

ROOT = Path(__file__).parents[3] / "vm_images"


def script_of(command: Command) -> str:
    """The PowerShell text of an encoded command."""
    assert isinstance(command, list)
    return base64.b64decode(command[-1]).decode("utf-16-le")


class FakeShell:
    """Answers by the first rule whose words are in the script."""

    def __init__(self, subject: FakeSubject, name: str) -> None:
        self.subject, self.name = subject, name

    async def run(self, command: Command, *, limit_s: float) -> Result:
        assert 0 < limit_s <= 1500
        script = script_of(command)
        self.subject.asked.append((self.name, script))
        if self.name in self.subject.broken:
            raise ShellLost("the connection broke", sent=True)
        if "bcdedit" in script:
            self.subject.flag = "once" if "bootsequence" in script else "sticky"
            return Result(self.subject.bcdedit_code, "", "")
        if "'mode='" not in script:
            return Result(*self.subject.prepared)
        return Result(0, f"mode={self.subject.mode}\r\n{self.subject.prints}\r\n", "")


class FakeSubject:
    """A Windows machine of which everything can be said in advance."""

    def __init__(self) -> None:
        self.host: dict[str, str] = {"accelerator": "kvm", "kvm": "offered"}
        self.normal = ("winrm", "ssh", "guest agent")
        self.safe: tuple[str, ...] = ("winrm", "ssh", "guest agent")
        self.prints = ""
        self.prepared: tuple[int, str, str] = (0, "", "")
        self.bcdedit_code = 0
        self.signs_in = True
        self.restarts = True
        self.starts_anew = True
        self.has_screen = True
        self.one_shot_works = True
        self.one_shot_leaves = True
        self.broken: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.did: list[str] = []
        self.ignores_flag = False
        """Windows starts in normal mode, whatever the boot options say."""
        self.flag = ""
        self.mode = "0"

    async def anew(self) -> None:
        self.did.append("anew")
        self.flag, self.mode = "", "0"
        if not self.starts_anew:
            raise OSError("no space left")

    async def shells(self) -> Mapping[str, FakeShell]:
        names = self.safe if self.mode == "2" else self.normal
        return {name: FakeShell(self, name) for name in names}

    async def restart(self, command: Command) -> bool:
        self.did.append(" ".join(command))
        self._boot()
        return self.restarts

    async def restart_from_start_menu(self) -> bool:
        self.did.append("start menu")
        self._boot()
        return self.restarts

    def _boot(self) -> None:
        if self.ignores_flag:
            self.mode = "0"
        elif self.flag == "sticky" or (self.flag == "once" and self.one_shot_works):
            self.mode = "2"
        else:
            self.mode = "0"
        if self.flag == "once" and self.one_shot_leaves:
            self.flag = ""

    async def sign_in(self, *, administrator: bool) -> bool:
        self.did.append("sign in administrator" if administrator else "sign in customer")
        return self.signs_in

    async def screenshot(self) -> bytes:
        if not self.has_screen:
            raise OSError("no screen")
        return b"\x89PNG"


def built() -> Built:
    """The manifest of an image."""
    return Built(
        description=recipe.read(ROOT, "windows-11").description, digest="ab" * 32, made="2026-01-10T00:00:00+00:00",
        files={}, versions={"windows-edition": "EnterpriseEval", "windows-build": "26100.1742"},
    )
