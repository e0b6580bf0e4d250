"""``rrsim image`` and ``rrsim run`` with images of Windows: what is given, what is said, and how the command ends."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from rrsim.backends.live.vm.bench import NoGuestDaemon
from rrsim.cli import image_windows
from rrsim.cli.errors import CommandError
from rrsim.cli.image_windows import Given
from rrsim.cli.main import run
from rrsim.images import store
from rrsim.images.windows import build, media, recipe, verify
from rrsim.images.windows.build_state import BuildBusy
from rrsim.images.windows.machine import HostAway
from rrsim.images.windows.verify import ContractRow, Finding, Report
from rrsim.live_clock import wall_time
from tests.images.windows.verify_rig import ROOT

DIGEST = "0123456789abcdef" * 4
GIVEN = Given(iso="w.iso", virtio="v.iso", openssh="o.zip")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder with nothing in it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "rrsim"


def stored(name: str, ends_in_days: int) -> store.Stored:
    """An image of Windows as its manifest tells, without any file of it."""
    ends = (wall_time().date() + timedelta(days=ends_in_days)).isoformat()
    built = build.Built(
        description=recipe.read(ROOT, name).description, digest=DIGEST, made="2026-01-10T00:00:00+00:00",
        files={"disk.qcow2": "0"}, expires=ends,
    )
    place = store.place(name, DIGEST)
    place.mkdir(parents=True)
    (place / store.MANIFEST).write_bytes(msgspec.json.encode(built))
    (place / "disk.qcow2").write_bytes(b"")
    return store.read(place)


def test_every_variant_is_listed_with_what_its_build_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["image", "list"]) == 0
    listed = capsys.readouterr().out
    assert "rrsim image build windows-11-german --iso FILE --virtio FILE --openssh FILE" in listed
    assert "rrsim image build wine-guest\n" in listed


@pytest.mark.parametrize(("words", "code", "says"), [
    (["windows-11"], 64, "saw: no --iso, no --virtio, no --openssh"),
    (["windows-11", "--iso", "x", "--virtio", "x"], 64, "saw: no --openssh"),
    (["windows-11", "--iso", "x", "--virtio", "x", "--openssh", "x", "--sha256", "iso=1"], 64, "windows, virtio"),
    (["windows-11", "--iso", "x", "--virtio", "x", "--openssh", "x", "--accelerator", "x"], 64, "kvm or tcg"),
    (["wine-guest", "--iso", "x"], 64, "with an image of Windows"), (["nonsense"], 70, "no nonsense/image.toml"),
])  # fmt: skip
def test_what_cannot_be_built_from_is_said_before_anything_starts(
    capsys: pytest.CaptureFixture[str], home: Path, words: list[str], code: int, says: str
) -> None:
    assert run(["image", "build", *words]) == code
    assert says in capsys.readouterr().err
    assert not (home / image_windows.BUILDS).exists()


def test_checksums_are_taken_by_kind() -> None:
    assert image_windows._checksums((f"windows={DIGEST.upper()}",)) == {"windows": DIGEST}
    with pytest.raises(CommandError, match="64 hexadecimal digits"):
        image_windows._checksums((f"windows={'x' * 64}",))


class Ends:
    """A build that ends in some way."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error
        self.given: tuple[object, ...] = ()

    async def __call__(self, *given: object, again: bool) -> build.Built:
        self.given = (*given, again)
        if self.error is not None:
            raise self.error
        return stored("windows-11", 30).built


def failed(step: str, cause: Exception) -> build.BuildFailed:
    error = build.BuildFailed(step, str(cause))
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(("error", "code", "says"), [
    (failed("check inputs", media.InputWrong("expected a medium, saw a cat")), 64, "saw a cat"),
    (failed("install", RuntimeError("look at 007.png")), 70, "the step 'install' of building windows-11"),
    (BuildBusy("another builder at work"), 70, "another builder at work"),
    (HostAway("expected the host to answer"), 70, "the same command again, which takes the machine up as it is"),
    (KeyboardInterrupt(), 70, "what is done is kept"),
])  # fmt: skip
def test_how_a_build_ends_is_said_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, says: str
) -> None:
    monkeypatch.setattr(image_windows, "_build", Ends(error))
    with pytest.raises(CommandError) as told:
        image_windows.build("windows-11", GIVEN)
    assert told.value.code == code
    assert says in told.value.lines()


def test_a_build_works_in_a_folder_of_its_own_that_no_other_builder_clears_away(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    ends = Ends(None)
    monkeypatch.setattr(image_windows, "_build", ends)
    built = image_windows.build("windows-11", GIVEN, again=True)
    assert built.folder == store.place("windows-11", DIGEST)
    wanted, inputs, folder, _, again = ends.given
    assert isinstance(wanted, recipe.Recipe)
    assert isinstance(inputs, media.Inputs)
    assert (inputs.windows, again) == (Path.cwd() / "w.iso", True)
    assert folder == home / "image-builds" / "windows-11"
    assert store.images_home() not in Path(str(folder)).parents


@pytest.mark.parametrize("command", [["image", "verify", "windows-11"], [
    "run", "scenarios/dialup", "--backend", "libvirt", "--image", "windows-11", "--uri", "test:///default",
]])  # fmt: skip
def test_an_image_whose_evaluation_is_over_is_refused_by_name(
    capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    pytest.importorskip("libvirt", reason="libvirt's Python binding is not installed")
    stored("windows-11", -3)
    assert run(command) == 70
    told = capsys.readouterr().err
    assert "expected: an evaluation of Windows that still runs in image windows-11" in told
    assert "(3 days ago)" in told
    assert "rrsim image build windows-11 --iso FILE" in told


def test_an_image_whose_evaluation_runs_is_refused_for_what_it_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("libvirt", reason="libvirt's Python binding is not installed")
    stored("windows-11", 3)
    words = ["run", "scenarios/dialup", "--backend", "libvirt", "--image", "windows-11", "--uri", "test:///default"]
    assert run(words) == 70
    told = capsys.readouterr().err
    assert "its evaluation of Windows ends on" in told
    assert "no driver of this version plays scenarios there" in told


def test_what_verification_cannot_do_without_windows_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["image", "verify", "windows-11"]) == 70
    assert "a built image 'windows-11'" in capsys.readouterr().err
    with pytest.raises(NoGuestDaemon, match="guest daemon, which is in the Wine guest"):
        asyncio.run(image_windows.no_contract())


@pytest.mark.parametrize(("answers", "code"), [(("yes", "no"), 0), (("yes", "could not tell"), 2)])
def test_a_question_without_an_answer_shows_in_the_exit_code(answers: tuple[verify.Answer, ...], code: int) -> None:
    findings = tuple(
        Finding(id="x", question="x", situation="running", answer=answer, evidence="", means="") for answer in answers
    )
    report = Report(image="x", digest="x", made="x", windows="x", findings=findings)
    assert image_windows.exit_code(report) == code


@pytest.mark.parametrize(("outcomes", "code"), [
    ((), 0), (("passed", "skipped"), 0), (("skipped", "skipped"), 2), (("passed", "failed"), 70),
    (("skipped", "error"), 70),
])  # fmt: skip
def test_a_contract_that_was_only_skipped_tells_nothing(outcomes: tuple[str, ...], code: int) -> None:
    rows = tuple(ContractRow(f"test_{number}", outcome) for number, outcome in enumerate(outcomes))
    report = Report(image="x", digest="x", made="x", windows="x", findings=(), contract=rows)
    assert image_windows.exit_code(report) == code
