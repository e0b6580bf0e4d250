"""Asking a built Windows image the open questions, and holding it to the machine contract.

The machine under questions is a :class:`Subject`; whoever runs machines gives it. Each situation begins with the image
as it was built, so that a question cannot spoil the next one, and a machine that is stuck in safe mode is simply left.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, get_args

import msgspec

from rrsim.backends.live.shells.interface import Command, Result
from rrsim.backends.live.shells.quoting import powershell
from rrsim.images.description import Built
from rrsim.images.windows.probes import SAFE, Answer, Probe, Read, Situation, Values, parse
from rrsim.images.windows.questions import MODE, QUESTIONS

FILE: Final = "verify.json"
PREPARE_LIMIT_S: Final = 1500.0
"""Encrypting a disk is among what is prepared."""
ASK_LIMIT_S: Final = 300.0
SAFE_FLAG: Final = "bcdedit.exe /set '{current}' safeboot network|Out-Null;if($LASTEXITCODE){throw 'bcdedit refused'}"
ONE_SHOT: Final = (
    "$o=bcdedit.exe /copy '{current}' /d 'rrsim once'|Out-String;"
    "if($o -notmatch '(\\{[0-9a-f-]{36}\\})'){throw 'bcdedit made no copy'};$g=$Matches[1];"
    "bcdedit.exe /set $g safeboot network|Out-Null;if($LASTEXITCODE){throw 'bcdedit refused'};"
    "bcdedit.exe /bootsequence $g|Out-Null;if($LASTEXITCODE){throw 'bcdedit refused'}"
)
STRICT: Final = "$ErrorActionPreference='Stop';"
"""What is changed is changed as a whole, or its exit code says that it was not."""
RESTART: Final = ("shutdown.exe", "/r", "/t", "0")
RESTART_G: Final = ("shutdown.exe", "/g", "/t", "0")
WORDS: Final = 300


class CannotEnter(RuntimeError):
    """A situation could not be brought about: nothing in it can be asked."""


class Shell(Protocol):
    """A way into the machine, as the remote shells offer it."""

    async def run(self, command: Command, *, limit_s: float) -> Result:
        """Run a command to its end."""


class Subject(Protocol):
    """A machine of the image under questions."""

    @property
    def host(self) -> Mapping[str, str]:
        """``accelerator``: ``kvm`` or ``tcg``; ``kvm``: ``offered`` if the host has it, or ``none``."""

    async def anew(self) -> None:
        """Start from the image as it was built, and wait until a shell answers or that takes too long."""

    async def shells(self) -> Mapping[str, Shell]:
        """Return the shells that answer in the running boot, by name; none after the subject's own limit."""

    async def restart(self, command: Command) -> bool:
        """Give a command that restarts Windows, and wait; return whether the host saw a restart."""

    async def restart_from_start_menu(self) -> bool:
        """Restart Windows with keys and pointer, as a customer does; return whether the host saw a restart."""

    async def sign_in(self, *, administrator: bool) -> bool:
        """Sign in at the welcome screen; return whether that was seen to succeed."""

    async def screenshot(self) -> bytes:
        """Return a picture of the screen, as PNG."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one question."""

    id: str
    question: str
    situation: Situation
    answer: Answer
    evidence: str
    means: str
    """What that means for rrsim; empty if nobody can tell."""
    picture: str = ""
    """File of the screen as it was when nobody could tell."""


class ContractRow(msgspec.Struct, frozen=True):
    """What came of one test of the machine contract."""

    test: str
    outcome: str
    """``passed``, ``failed``, ``error`` or ``skipped``."""
    message: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about an image after its verification."""

    image: str
    digest: str
    made: str
    """When this was found out, ISO 8601, UTC."""
    windows: str
    """Edition and build that Windows named."""
    findings: tuple[Finding, ...]
    contract: tuple[ContractRow, ...] = ()
    contract_note: str = ""
    """Why there is no contract, if there is none."""


Contract = Callable[[], Coroutine[Any, Any, tuple[ContractRow, ...]]]


async def verify(
    subject: Subject, built: Built, made: str, *, pictures: Path, say: Callable[[str], None],
    contract: Contract | None = None, questions: tuple[Probe, ...] = QUESTIONS,
) -> Report:
    """Ask every question, situation by situation, then run the machine contract; return the report.

    That a question cannot be asked is an answer of its own, and never ends the others.
    """
    findings: list[Finding] = []
    known: dict[str, str] = {}
    for situation in dict.fromkeys(probe.situation for probe in questions):
        probes = tuple(probe for probe in questions if probe.situation == situation)
        say(f"{situation}: {len(probes)} questions")
        for finding in await _Situation(subject, situation, probes, pictures, known).ask():
            say(f"  {finding.id}: {finding.answer} ({finding.evidence})")
            findings.append(finding)
    rows: tuple[ContractRow, ...] = ()
    note = ""
    if contract is None:
        note = "the machine contract was not run: no suite was given"
    else:
        say("the machine contract")
        try:
            rows = await contract()
        except Exception as error:  # noqa: BLE001 -- the answers that were found must not be lost with it
            note = f"the machine contract could not be run: {type(error).__name__}: {error}"
    versions = built.versions
    windows = f"{versions.get('windows-edition', 'edition unknown')} {versions.get('windows-build', 'build unknown')}"
    order = {probe.id: number for number, probe in enumerate(questions)}
    return Report(
        image=built.description.name, digest=built.digest, made=made, windows=windows,
        findings=tuple(sorted(findings, key=lambda one: order[one.id])), contract=rows, contract_note=note,
    )  # fmt: skip


class _Situation:
    """One state of the machine, and what is asked in it."""

    def __init__(
        self, subject: Subject, name: Situation, probes: tuple[Probe, ...], pictures: Path, known: dict[str, str]
    ) -> None:
        self._subject, self._name, self._probes, self._pictures = subject, name, probes, pictures
        self._known = known

    async def ask(self) -> list[Finding]:
        """Bring the situation about and ask; what cannot be asked says why."""
        unready: dict[str, str] = {}
        try:
            await self._subject.anew()
            for probe in self._probes:
                await self._prepare(probe, unready)
            await self._enter()
            shells = await self._subject.shells()
        except Exception as error:  # noqa: BLE001 -- whatever goes wrong with a machine, the next situation begins anew
            picture = await self._picture()
            why = f"{self._name} could not be brought about: {type(error).__name__}: {error}"[:WORDS]
            return [self._finding(probe, Read("could not tell", why), picture) for probe in self._probes]
        if self._name == "safe mode":
            self._known["safe mode"] = "yes" if shells else "no"
        return [await self._answer(probe, shells, unready) for probe in self._probes]

    async def _prepare(self, probe: Probe, unready: dict[str, str]) -> None:
        if not probe.prepare:
            return
        result = await self._do(probe.prepare, PREPARE_LIMIT_S)
        if result.code:
            unready[probe.id] = f"it could not be prepared: {_words(result)}"

    async def _enter(self) -> None:
        """Go from normal Windows into the situation."""
        self._known.pop("signed in", None)
        name = self._name
        if name in {"safe mode", "signed in to safe mode", "encrypted, then safe mode"}:
            await self._change(SAFE_FLAG)
            await self._restart(RESTART)
        elif name in {"one safe start", "after one safe start"}:
            await self._change(ONE_SHOT)
            await self._restart(RESTART)
            if name == "after one safe start":
                await self._do(MODE, ASK_LIMIT_S)  # Windows is up: only then is the next restart one of its own
                await self._restart(RESTART)
        elif name == "restarted with /g":
            if not await self._subject.sign_in(administrator=False):
                raise CannotEnter("the customer could not be signed in before")
            await self._restart(RESTART_G)
        elif name == "restarted from the Start menu":
            if not await self._subject.sign_in(administrator=False):
                raise CannotEnter("the customer could not be signed in before")
            if not await self._subject.restart_from_start_menu():
                raise CannotEnter("the host saw no restart after the Start menu was used")
        if name in {"signed in", "signed in to safe mode"}:
            # HKLM's RunOnce is carried out for administrators only.
            signed_in = await self._subject.sign_in(administrator=True)
            self._known["signed in"] = "yes" if signed_in else "no"

    async def _restart(self, command: tuple[str, ...]) -> None:
        if not await self._subject.restart(list(command)):
            raise CannotEnter(f"the host saw no restart after {' '.join(command)}")

    async def _change(self, script: str) -> None:
        result = await self._do(script, ASK_LIMIT_S)
        if result.code:
            raise CannotEnter(f"the boot options could not be changed: {_words(result)}")

    async def _do(self, script: str, limit_s: float) -> Result:
        """Have a script run through the first shell that brings an answer back."""
        error = "nothing in the machine answered"
        for name, shell in (await self._subject.shells()).items():
            try:
                return await self._run(shell, STRICT + script, limit_s)
            except Exception as failure:  # noqa: BLE001 -- another shell may still answer; the failure is told
                error = f"{name}: {type(failure).__name__}: {failure}"
        raise CannotEnter(error)

    async def _answer(self, probe: Probe, shells: Mapping[str, Shell], unready: Mapping[str, str]) -> Finding:
        if probe.id in unready:
            return self._finding(probe, Read("could not tell", unready[probe.id]), await self._picture())
        read = probe.read(await self._values(probe, shells))
        picture = await self._picture() if read.answer == "could not tell" else ""
        return self._finding(probe, read, picture)

    async def _values(self, probe: Probe, shells: Mapping[str, Shell]) -> Values:
        """Ask through the probe's own shell if it answers, else through the others, one after another."""
        host = {**self._subject.host, **self._known}
        ways = sorted(shells, key=lambda name: name != probe.channel)
        error = ""
        for name in ways:
            try:
                result = await self._run(shells[name], MODE + probe.command, ASK_LIMIT_S)
            except Exception as failure:  # noqa: BLE001 -- another shell may still answer; the failure is told
                error = f"{name}: {type(failure).__name__}: {failure}"[:WORDS]
                continue
            printed = parse(result.out)
            wrong = self._wrong_mode(printed)
            if wrong:
                return Values({}, "", wrong, host)
            return Values(printed, name, _words(result) if result.code else "", host)
        return Values({}, "", error, host)

    def _wrong_mode(self, printed: Mapping[str, str]) -> str:
        """Say what is wrong if Windows is not in the mode that the question is about."""
        if self._name in {"one safe start", "after one safe start"}:
            return ""
        wanted = SAFE if "safe mode" in self._name else "0"
        mode = printed.get("mode", "unknown")
        return "" if mode == wanted else f"expected Windows in mode {wanted}, saw mode {mode}"

    async def _run(self, shell: Shell, script: str, limit_s: float) -> Result:
        return await shell.run(powershell(script), limit_s=limit_s)

    async def _picture(self) -> str:
        """Keep a picture of the screen; that there is none hides no answer."""
        self._pictures.mkdir(parents=True, exist_ok=True)
        path = self._pictures / f"{len(list(self._pictures.glob('*.png'))) + 1:03d}-verify-{self._name.split()[0]}.png"
        try:
            path.write_bytes(await self._subject.screenshot())
        except Exception:  # noqa: BLE001 -- see above
            return ""
        return path.name

    def _finding(self, probe: Probe, read: Read, picture: str) -> Finding:
        means = {"yes": probe.if_yes, "no": probe.if_no}.get(read.answer, "")
        return Finding(
            id=probe.id, question=probe.question, situation=probe.situation, answer=read.answer,
            evidence=read.evidence, means=means, picture=picture,
        )


def _words(result: Result) -> str:
    return " ".join((result.err or result.out).split())[:WORDS] or f"exit code {result.code}"


def keep(report: Report, folder: Path) -> Path:
    """Write the report beside the image; return its file."""
    path = folder / FILE
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    beside.replace(path)
    return path


def table(report: Report) -> str:
    """Return the report as text: the answers with their evidence, then the machine contract."""
    lines = [f"{report.image} ({report.windows}), {report.digest[:16]}, asked on {report.made}", ""]
    for one in report.findings:
        lines += [f"{one.answer.upper():<15} {one.question}", f"{'':<15} seen: {one.evidence}"]
        lines += [f"{'':<15} so: {one.means}"] if one.means else []
        lines += [f"{'':<15} picture: {one.picture}"] if one.picture else []
    answers = [one.answer for one in report.findings]
    if answers:
        lines += ["", ", ".join(f"{answers.count(answer)} {answer}" for answer in get_args(Answer)), ""]
    if report.contract_note:
        lines.append(report.contract_note)
    for row in report.contract:
        lines.append(f"{row.outcome.upper():<15} {row.test}" + (f": {row.message}" if row.message else ""))
    if report.contract:
        outcomes = [row.outcome for row in report.contract]
        counts = ", ".join(f"{outcomes.count(one)} {one}" for one in dict.fromkeys(outcomes))
        lines += ["", f"the machine contract: {counts}"]
    return "\n".join(lines) + "\n"
