"""Ways into a Windows image, and hands at its welcome screen. None of it has met a real Windows."""

from __future__ import annotations

import base64
import io
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture

from rrsim.backends.live.shells.interface import Boot, Command, Result, ShellError
from rrsim.backends.live.vm import hands, subject_windows
from rrsim.backends.live.vm import image as images
from rrsim.backends.live.vm.errors import ImageMissing, VmError
from rrsim.backends.live.vm.subject_windows import WindowsEntrances, WindowsPerson, changed_share, stands_still
from rrsim.images.windows import recipe
from rrsim.images.windows.accounts import PasswordsUnsafe
from tests.backends.live.vm.rig import run
from tests.backends.live.vm.test_subject import picture
from tests.images.windows.verify_rig import ROOT, built, script_of

HOST_KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)).decode()


def an_image(folder: Path, *without: str) -> images.Image:
    """A folder with what the builder keeps beside a disk."""
    folder.mkdir(exist_ok=True)
    files = {
        "winrm.pem": "a certificate", "ssh_host_key.pub": HOST_KEY,
        "passwords.json": json.dumps({"rradmin": "Rr0secret", "customer": "Rr0other"}),
    }
    for name, text in files.items():
        if name not in without:
            (folder / name).write_text(text)
            (folder / name).chmod(0o600)
    return images.Image(folder, built())


class Line:
    """A shell that answers as told, and a machine with a keyboard and a screen."""

    name = "played"

    def __init__(self, *answers: Result, shots: tuple[bytes, ...] = (picture(),)) -> None:
        self.answers, self.shots = list(answers), list(shots)
        self.scripts: list[str] = []
        self.did: list[str] = []

    async def run(self, command: Command, *, limit_s: float) -> Result:
        self.scripts.append(script_of(command))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def screenshot(self) -> bytes:
        self.did.append("look")
        return self.shots.pop(0) if len(self.shots) > 1 else self.shots[0]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What hands did."""
    did: list[str] = []

    async def type_text(vm: object, text: str, layout: str) -> None:
        did.append(f"{layout}: {text}")

    async def press_key(vm: object, *names: str) -> None:
        did.append("+".join(names))

    async def at_once(us: int) -> None:
        did.append("wait")

    monkeypatch.setattr(hands, "type_text", type_text)
    monkeypatch.setattr(hands, "press_key", press_key)
    monkeypatch.setattr(subject_windows, "pause", at_once)
    return did


def test_there_is_a_way_for_each_of_the_images_shells(tmp_path: Path) -> None:
    ways = WindowsEntrances(an_image(tmp_path / "image"))
    ports = {number: 1000 + number for number in ways.ports}
    vm: Any = Line(Result(0, "", ""))
    made = {name: make for name, make in ways.ways(vm, ports, Boot()).items() if name != "guest agent"}
    assert list(made) == ["winrm", "ssh"]
    assert list(ways.ways(vm, ports, Boot())) == list(recipe.read(ROOT, "windows-11").description.shells)
    assert [make().system for make in made.values()] == ["windows", "windows"]


@pytest.mark.parametrize(("without", "error", "says"), [
    ("winrm.pem", ImageMissing, "winrm.pem"), ("ssh_host_key.pub", ImageMissing, "ssh_host_key.pub"),
    ("passwords.json", PasswordsUnsafe, "passwords.json"),
])  # fmt: skip
def test_an_image_without_its_keys_is_refused(
    tmp_path: Path, without: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        WindowsEntrances(an_image(tmp_path / "image", without))


def test_somebody_signs_in_when_the_screen_stands_still_and_windows_is_asked_who_it_was(
    tmp_path: Path, typed: list[str]
) -> None:
    person = WindowsPerson(an_image(tmp_path / "image"))
    shell: Any = Line(Result(0, "", ""), Result(0, "user=\r\n", ""), Result(0, "user=RRSIM-W11\\customer\r\n", ""))
    vm: Any = Line(Result(0, "", ""))
    assert run(person.sign_in(vm, {"winrm": shell}, administrator=False)) is True
    assert [one for one in typed if one != "wait"] == ["us: customer\tRr0other\n"]
    assert "dontdisplaylastusername" in shell.scripts[0]
    assert "NoLockScreen" in shell.scripts[0]
    assert not [script for script in shell.scripts if "Rr0" in script], "a password is typed and never sent"


def test_a_sign_in_that_nobody_saw_is_none(
    tmp_path: Path, typed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject_windows, "SIGNED_IN_S", 0.05)
    person, vm = WindowsPerson(an_image(tmp_path / "image")), Line(Result(0, "", ""))
    other: Any = Line(Result(0, "", ""), Result(0, "user=RRSIM-W11\\customer\r\n", ""))
    assert run(person.sign_in(vm, {"ssh": other}, administrator=True)) is False  # type: ignore[arg-type]  # -- played
    assert run(person.sign_in(vm, {}, administrator=True)) is False  # type: ignore[arg-type]  # -- played
    assert len([one for one in typed if "rradmin" in one]) == 1, "without a shell nothing is typed"
    broken: Any = Line(Result(1, "", "LogonUI did not come back"))
    with pytest.raises(ShellError, match="did not come back"):
        run(person.sign_in(vm, {"ssh": broken}, administrator=True))  # type: ignore[arg-type]  # -- played


def test_the_start_menu_is_walked_by_keys(tmp_path: Path, typed: list[str]) -> None:
    vm: Any = Line(Result(0, "", ""))
    run(WindowsPerson(an_image(tmp_path / "image")).restart_from_start_menu(vm))
    assert [one for one in typed if one != "wait"] == ["windows", "shift+tab", "enter", "up", "enter"]
    assert vm.did.count("look") >= 2 * len(subject_windows.START_MENU)


def test_a_picture_stands_still_while_a_text_cursor_blinks(typed: list[str]) -> None:
    still: Any = Line(Result(0, "", ""), shots=(picture(), picture(*((x, 1) for x in range(99))), picture((5, 5))))
    still.shots.append(picture())
    run(stands_still(still))
    assert still.did.count("look") == 4, "the second and the third differ from those before them"
    moving: Any = Line(Result(0, "", ""))
    frames = itertools.cycle([picture(), picture(*((x, 1) for x in range(99)))])

    async def another() -> bytes:
        return next(frames)

    moving.screenshot = another
    with pytest.raises(VmError, match="change all the time"):
        run(stands_still(moving, 0.05))


def test_how_much_of_a_picture_changes() -> None:
    assert changed_share(picture(), picture()) == 0
    assert changed_share(picture(), picture((1, 1))) == pytest.approx(0.0001)
    small = io.BytesIO()
    Picture.new("RGB", (50, 50)).save(small, "PNG")
    assert changed_share(picture(), small.getvalue()) == 1
