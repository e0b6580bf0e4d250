"""The open questions: each is shown a machine that says yes, one that says no, and one that leaves it open."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest

from rrsim.images.windows import contract, verify
from rrsim.images.windows.probes import Probe, parse
from rrsim.images.windows.questions import QUESTIONS
from rrsim.images.windows.verify import ContractRow, Finding, Report
from tests.images.windows.verify_rig import FakeShell, FakeSubject, built

BY_ID = {probe.id: probe for probe in QUESTIONS}
Change = Callable[[FakeSubject], None]


def prints(text: str) -> Change:
    def change(subject: FakeSubject) -> None:
        subject.prints = text

    return change


def having(**values: object) -> Change:
    def change(subject: FakeSubject) -> None:
        for name, value in values.items():
            setattr(subject, name, value)

    return change


def ask(subject: FakeSubject, tmp_path: Path, *probes: Probe, said: list[str] | None = None) -> tuple[Finding, ...]:
    return report(subject, tmp_path, *probes, said=said).findings


def report(
    subject: FakeSubject, tmp_path: Path, *probes: Probe, said: list[str] | None = None,
    suite: verify.Contract | None = None,
) -> Report:
    return asyncio.run(verify.verify(
        subject, built(), "2026-01-11T00:00:00+00:00", pictures=tmp_path / "pictures",
        say=(said if said is not None else []).append, contract=suite, questions=probes or QUESTIONS,
    ))  # fmt: skip


RUNS, STOPPED, SILENT = prints("service=Running"), prints("service=Stopped"), having(safe=())
CASES: dict[str, tuple[Change, Change, Change]] = {
    "safe-winrm": (RUNS, having(safe=("guest agent",)), SILENT),
    "safe-ssh": (RUNS, having(safe=("guest agent",)), SILENT),
    "safe-guest-agent": (RUNS, having(safe=("winrm",)), SILENT),
    "safe-firewall": (RUNS, STOPPED, SILENT),
    "safe-dial-up": (RUNS, prints("error=1084\nservice=Stopped"), prints("error=0\nservice=StartPending")),
    "safe-virtio-serial": (prints("driver=Running"), prints("driver=Stopped"), prints("driver=no device")),
    "safe-virtio-net": (prints("driver=Running"), prints("driver=none"), prints("driver=no device")),
    "safe-logon-checked": (prints("checked=True"), prints("checked=False"), SILENT),
    "safe-logon-task": (prints("task=True"), prints("task=False"), having(prints="task=False", signs_in=False)),
    "run-once-star-first": (prints("star-first=True"), prints("star-first=False"), having(signs_in=False)),
    "run-once-bang-first": (prints("bang-first=True"), prints("bang-first=False"), having(signs_in=False)),
    "run-once-waits": (prints("once=100\nrun=200"), prints("once=300\nrun=200"), prints("once=none\nrun=200")),
    "preshutdown-default": (prints("preshutdown=180000"), prints("preshutdown=10000"), prints("preshutdown=error")),
    "dial-up-entry": (prints("code=692"), prints("code=623"), prints("code=711")),
    "auto-dial": (RUNS, STOPPED, having(normal=())),
    "one-shot-enters": (having(), having(one_shot_works=False), having(safe=())),
    "one-shot-leaves": (having(), having(one_shot_leaves=False), having(restarts=False)),
    "start-menu-1074": (
        prints("program=startmenuexperiencehost.exe"), prints("program=winlogon.exe"), prints("program=none"),
    ),
    "restart-signs-in": (prints("user=somebody"), prints("user=nobody"), having(signs_in=False)),
    "kvm": (
        having(), having(host={"accelerator": "tcg", "kvm": "offered"}),
        having(host={"accelerator": "tcg", "kvm": "none"}),
    ),
}  # fmt: skip


def test_every_question_but_the_encrypted_one_is_tried_below() -> None:
    assert set(CASES) == set(BY_ID) - {"bitlocker-safe-mode"}
    assert len(BY_ID) == len(QUESTIONS)


@pytest.mark.parametrize("probe", CASES)
@pytest.mark.parametrize("at", [0, 1, 2], ids=["yes", "no", "could not tell"])
def test_each_question_can_be_answered_in_each_way(probe: str, at: int, tmp_path: Path) -> None:
    subject = FakeSubject()
    CASES[probe][at](subject)
    (finding,) = ask(subject, tmp_path, BY_ID[probe])
    assert finding.answer == ("yes", "no", "could not tell")[at], finding
    assert finding.evidence
    assert finding.means == (BY_ID[probe].if_yes, BY_ID[probe].if_no, "")[at]
    assert bool(finding.picture) == (at == 2)


class Encrypted(FakeSubject):
    """A machine that answers nothing in safe mode once it has been encrypted."""

    stuck = True
    plain = True

    async def shells(self) -> Mapping[str, FakeShell]:
        encrypted = any("Enable-BitLocker" in script for _, script in self.asked)
        if self.mode == "2" and (self.stuck if encrypted else not self.plain):
            return {}
        return await super().shells()


@pytest.mark.parametrize(("stuck", "plain", "printed", "answer"), [
    (False, True, "protection=1", "yes"), (True, True, "", "no"), (True, False, "", "could not tell"),
    (False, True, "protection=0", "could not tell"), (False, True, "protection=none", "could not tell"),
])  # fmt: skip
def test_an_encrypted_windows_is_compared_with_the_unencrypted_one(
    stuck: bool, plain: bool, printed: str, answer: str, tmp_path: Path,
) -> None:
    subject = Encrypted()
    subject.stuck, subject.plain, subject.prints = stuck, plain, printed
    findings = ask(subject, tmp_path, BY_ID["safe-firewall"], BY_ID["bitlocker-safe-mode"])
    assert findings[1].answer == answer


def test_no_answer_is_believed_from_another_mode_than_the_question_is_about(tmp_path: Path) -> None:
    subject = FakeSubject()
    subject.ignores_flag = True
    subject.prints = "service=Running"
    (finding,) = ask(subject, tmp_path, BY_ID["safe-firewall"])
    assert finding.answer == "could not tell"
    assert "expected Windows in mode 2, saw mode 0" in finding.evidence


@pytest.mark.parametrize(("change", "message"), [
    (having(starts_anew=False), "OSError: no space left"),
    (having(restarts=False), "the host saw no restart after shutdown.exe /r /t 0"),
    (having(bcdedit_code=1), "the boot options could not be changed"),
    (having(normal=()), "nothing in the machine answered"),
])  # fmt: skip
def test_a_situation_that_cannot_be_brought_about_says_why(change: Change, message: str, tmp_path: Path) -> None:
    subject = FakeSubject()
    change(subject)
    findings = ask(subject, tmp_path, BY_ID["safe-firewall"], BY_ID["safe-dial-up"])
    assert [one.answer for one in findings] == ["could not tell"] * 2
    assert all(message in one.evidence for one in findings)


def test_what_cannot_be_prepared_is_not_asked(tmp_path: Path) -> None:
    subject = FakeSubject()
    subject.prepared = (1, "", "Access is denied")
    subject.prints = "task=False"
    (finding,) = ask(subject, tmp_path, BY_ID["safe-logon-task"])
    assert finding.answer == "could not tell"
    assert "could not be prepared: Access is denied" in finding.evidence


def test_a_shell_that_breaks_is_replaced_by_another(tmp_path: Path) -> None:
    subject = FakeSubject()
    subject.broken = {"winrm"}
    subject.prints = "preshutdown=180000"
    (finding,) = ask(subject, tmp_path, BY_ID["preshutdown-default"])
    assert finding.answer == "yes"
    assert "through ssh" in finding.evidence


def test_a_channel_that_connects_but_breaks_is_no_yes(tmp_path: Path) -> None:
    subject = FakeSubject()
    subject.broken = {"winrm"}
    subject.prints = "service=Running"
    assert ask(subject, tmp_path, BY_ID["safe-winrm"])[0].answer == "no"
    subject.broken = {"winrm", "ssh", "guest agent"}
    subject.normal = ()
    assert ask(subject, tmp_path, BY_ID["safe-winrm"])[0].answer == "could not tell"


def test_a_machine_without_a_screen_hides_no_answer(tmp_path: Path) -> None:
    subject = FakeSubject()
    subject.has_screen = False
    (finding,) = ask(subject, tmp_path, BY_ID["preshutdown-default"])
    assert (finding.answer, finding.picture) == ("could not tell", "")


def test_each_situation_begins_with_the_image_as_it_was_built(tmp_path: Path) -> None:
    subject = FakeSubject()
    findings = ask(subject, tmp_path)
    situations = list(dict.fromkeys(probe.situation for probe in QUESTIONS))
    assert subject.did.count("anew") == len(situations)
    assert [one.id for one in findings] == [probe.id for probe in QUESTIONS]
    assert "shutdown.exe /g /t 0" in subject.did
    assert "start menu" in subject.did


def test_one_safe_start_is_followed_by_a_plain_restart(tmp_path: Path) -> None:
    subject = FakeSubject()
    ask(subject, tmp_path, BY_ID["one-shot-leaves"])
    assert subject.did == ["anew", "shutdown.exe /r /t 0", "shutdown.exe /r /t 0"]


def test_the_report_is_kept_and_reads_well(tmp_path: Path) -> None:
    async def rows() -> tuple[ContractRow, ...]:
        return (ContractRow("test_a", "passed"), ContractRow("test_b", "failed", "it was not"))

    subject = FakeSubject()
    subject.prints = "preshutdown=10000"
    made = report(subject, tmp_path, BY_ID["preshutdown-default"], BY_ID["safe-firewall"], suite=rows)
    path = verify.keep(made, tmp_path)
    assert msgspec.json.decode(path.read_bytes(), type=Report) == made
    text = verify.table(made)
    for words in (
        "windows-11 (EnterpriseEval 26100.1742), abababababababab, asked on 2026-01-11", "NO ", "preshutdown=10000",
        "so: an agent has to set the limit", "0 yes, 1 no, 1 could not tell", "PASSED          test_a",
        "FAILED          test_b: it was not", "picture: 001-verify-safe.png",
    ):
        assert words in text


def test_a_contract_that_cannot_be_run_loses_no_answer(tmp_path: Path) -> None:
    async def broken() -> tuple[ContractRow, ...]:
        raise RuntimeError("no machine")

    made = report(FakeSubject(), tmp_path, BY_ID["kvm"], suite=broken)
    assert made.contract_note == "the machine contract could not be run: RuntimeError: no machine"
    assert made.findings[0].answer == "yes"
    assert "was not run" in report(FakeSubject(), tmp_path, BY_ID["kvm"]).contract_note


def test_only_whole_lines_with_a_name_are_values() -> None:
    assert parse("a=1\r\n  b-c = two words=3 \nWARNING: x\n=5\nC:\\x=1\n") == {"a": "1"}


# --- the machine contract ---------------------------------------------------------------------------------------------


def program(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def test_the_contract_s_results_are_read(tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    junit.write_text("old", encoding="utf-8")
    written = (
        '<testsuites><testsuite><testcase name="a"/><testcase name="b"><failure message="x  y"/></testcase>'
        '<testcase name="c"><error>boom</error></testcase><testcase name="d"><skipped message="lacks"/></testcase>'
        "</testsuite></testsuites>"
    )
    suite = contract.suite(program(f"open({str(junit)!r}, 'w').write({written!r}); raise SystemExit(1)"), junit, 30)
    assert asyncio.run(suite()) == (
        ContractRow("a", "passed"), ContractRow("b", "failed", "x y"), ContractRow("c", "error", "boom"),
        ContractRow("d", "skipped", "lacks"),
    )  # fmt: skip


def test_each_test_of_the_contract_is_told_when_it_has_ended(tmp_path: Path) -> None:
    """Half an hour without a word would look like one that hangs."""
    junit, said = tmp_path / "junit.xml", list[str]()
    printed = "tests/live/x.py::test_a[service] PASSED [ 50%]\ntests/live/x.py::test_b FAILED [100%]\nnothing else"
    text = (f"import os; print({printed!r}); print(os.environ['WORD'], os.getcwd());"
            f"open({str(junit)!r}, 'w').write('<a><testcase name=\"a\"/></a>')")
    words = {"WORD": "x::y PASSED"}
    run = contract.suite(program(text), junit, 30, environment=words, folder=tmp_path, say=said.append)
    assert asyncio.run(run()) == (ContractRow("a", "passed"),)
    assert said == ["  passed   test_a[service]", "  failed   test_b", "  passed   y"]


def test_a_contract_that_is_ended_puts_its_machines_away(tmp_path: Path) -> None:
    junit, put_away = tmp_path / "junit.xml", tmp_path / "put away"
    text = ("import threading\ntry:\n    print('up', flush=True); threading.Event().wait()\n"
            f"except KeyboardInterrupt:\n    open({str(put_away)!r}, 'w').close()")
    with pytest.raises(RuntimeError, match="to end within 1 s"):
        asyncio.run(contract.suite(program(text), junit, 1)())
    assert put_away.exists()


@pytest.mark.parametrize(("text", "message"), [
    ("import sys; sys.exit('no such folder')", "saw none; it ended with 1: no such folder"),
    ("open({junit!r}, 'w').write('<a/>')", "expected tests .* saw none"),
    ("open({junit!r}, 'w').write('<a>')", "expected JUnit results"),
    ("open({junit!r}, 'w').write('<!DOCTYPE a><a/>')", "a document type"),
    ("import threading; threading.Event().wait()", "to end within 0.5 s"),
])  # fmt: skip
def test_a_contract_without_results_is_an_error(text: str, message: str, tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    limit_s = 0.5 if "threading" in text else 30
    suite = contract.suite(program(text.format(junit=str(junit)) if "{junit" in text else text), junit, limit_s)
    with pytest.raises(RuntimeError, match=message):
        asyncio.run(suite())
