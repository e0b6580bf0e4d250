"""pytest: collect scenario files, run each case as a test, and let developers write scenarios in Python.

A file is a scenario if its name ends in ``.yaml`` and one of its lines starts with ``rrsim:``. Each case is an item
named by its id. The run happens in the item's set-up: when rrsim *could not tell* or the harness failed, pytest
reports an error (JUnit ``<error type="rrsim.unknown">`` or ``rrsim.environment``); when the product failed, the item
fails.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from rrsim.cli.pytest_summary import ENVIRONMENT, RAN, TOLD, UNKNOWN, Reporter

if TYPE_CHECKING:
    from rrsim.cli.engine import Engine
    from rrsim.scenario.model import Scenario
    from rrsim.scenario.result import RunResult

DEFAULT_TIMEOUT_S: Final = 60
"""For every scenario item when pytest-timeout is installed and nobody set a time-out."""
LIVE_TIMEOUT_S: Final = 600
"""The same on a live backend, where a case takes real time."""

VM_OPTIONS: Final = (
    ("image", "NAME", "image of the machines (default: wine-guest)"),
    ("uri", "URI", "libvirt's connection (default: RRSIM_LIBVIRT_URI, else this computer's)"),
    ("accelerator", "NAME", "kvm or tcg (default: KVM if it is proved to work)"),
    ("slots", "N", "how many machines the host is to carry (default: RRSIM_VM_SLOTS, else by processors and memory)"),
    ("keep-vm", "WHEN", "keep machines after a case: never, failed, always (default: never)"),
)
"""As those of ``rrsim run``; waiting for the user after a failure is not for pytest, which has the terminal."""

_names = pytest.StashKey[dict[str, str]]()
_issues = pytest.StashKey[Any]()
_engine = pytest.StashKey["Engine"]()
_timer = pytest.StashKey[tuple[Any, Any]]()
"""What pytest-timeout has set a timer for: the item and the timer's settings."""


class ScenarioFailed(AssertionError):
    """The product failed: a check over the history says so."""

    def __init__(self, result: RunResult) -> None:
        self.result = result
        problems = "; ".join(f"{c.check}: {c.message or c.cause}" for c in result.problems)
        super().__init__(problems or result.reason or result.outcome)


class ScenarioUnknown(Exception):
    """rrsim could not tell. Never counts as a pass."""

    def __init__(self, result: RunResult) -> None:
        self.result = result
        super().__init__("; ".join(f"{c.check}: {c.message}" for c in result.problems) or result.reason)


class HarnessFailed(Exception):
    """The harness or its environment failed; nothing is said about the product."""

    def __init__(self, result: RunResult) -> None:
        self.result = result
        super().__init__(result.reason)


# --- options ------------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options for scenarios."""
    group = parser.getgroup("rrsim", "restart scenarios")
    group.addoption("--rrsim-backend", default="sim", metavar="NAME", help="backend that runs scenarios (default: sim)")
    group.addoption("--rrsim-seed", default="1", metavar="N", help="seed of every run, or 'random' (default: 1)")
    group.addoption("--rrsim-profile", default="", metavar="NAME", help="run scenarios under this named profile")
    group.addoption(
        "--rrsim-time-scale", default=0.0, type=float, metavar="X",
        help="live backends: how many times shorter waiting is (default: the backend's own)",
    )
    for end, what in (("agent", "agent"), ("server", "session server")):
        group.addoption(f"--rrsim-{end}", default="", metavar="NAME", help=f"live backends: adapter of the {what}")
    for name, metavar, help_ in VM_OPTIONS:
        group.addoption(f"--rrsim-{name}", default="", metavar=metavar, help=f"backend libvirt: {help_}")
    group.addoption(
        "--rrsim-cold", action="store_true", help="backend libvirt: boot machines, instead of using a kept state"
    )
    group.addoption(
        "--rrsim-known-issues",
        default="",
        metavar="FILE",
        help="known issues that do not fail the run; default: known-issues.yaml of the root; 'none': no list",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Check the options, settle a random seed (the same for all xdist workers), register the fixed markers."""
    from rrsim.scenario.ids import KNOWN_REQUIREMENTS

    option = config.option
    worker = getattr(config, "workerinput", None)
    if worker is not None and "rrsim_seed" in worker:
        option.rrsim_seed = worker["rrsim_seed"]
    _check_options(option)
    for name in KNOWN_REQUIREMENTS:
        config.addinivalue_line("markers", f"{marker_name(name)}: scenarios that cover {name}")
    config.stash[_names] = {}
    config.stash[_issues] = None
    from rrsim.cli.run import issues_file

    path = issues_file(option.rrsim_known_issues, str(config.rootpath))
    if path:
        config.stash[_issues] = _load_issues(path)


def _check_options(option: Any) -> None:
    from rrsim.cli.backends import check_backend, check_options
    from rrsim.cli.engine import check_vm
    from rrsim.cli.errors import CommandError
    from rrsim.cli.run import parse_seed
    from rrsim.protocol.settings import PROFILES

    try:
        option.rrsim_seed = str(parse_seed(str(option.rrsim_seed)))
        check_backend(option.rrsim_backend)
        check_options(option.rrsim_backend, option.rrsim_time_scale, option.rrsim_agent, option.rrsim_server)
        check_vm(option.rrsim_backend, _vm(option))
        if option.rrsim_profile and option.rrsim_profile not in PROFILES:
            raise CommandError(f"a profile: {', '.join(PROFILES)}", repr(option.rrsim_profile), "gotoassist-corporate")
    except CommandError as error:
        raise pytest.UsageError(f"rrsim: {error}") from error


def _vm(option: Any) -> dict[str, Any]:
    """Return what was chosen for virtual machines.

    Raises:
        CommandError: a word that is none of those there are.
    """
    from rrsim.cli.errors import CommandError
    from rrsim.cli.vm_options import vm_options

    slots = str(option.rrsim_slots or "0")
    if not slots.isdecimal():
        raise CommandError("--rrsim-slots with a number of machines", repr(slots), "--rrsim-slots 2")
    return vm_options(
        option.rrsim_image, option.rrsim_uri, option.rrsim_accelerator, int(slots), option.rrsim_keep_vm,
        cold=option.rrsim_cold,
    )


def _load_issues(path: str) -> Any:
    from rrsim.scenario import known_issues

    try:
        return known_issues.load(path)
    except (OSError, ValueError) as error:
        raise pytest.UsageError(f"--rrsim-known-issues: {error}") from error


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give every xdist worker the controller's seed, so that ``random`` means one seed."""
    node.workerinput["rrsim_seed"] = node.config.option.rrsim_seed


def pytest_report_header(config: pytest.Config) -> str:
    """Say seed and options first."""
    option = config.option
    profile = f", profile {option.rrsim_profile}" if option.rrsim_profile else ""
    return f"rrsim: backend {option.rrsim_backend}, seed {option.rrsim_seed}{profile}"


# --- collection ---------------------------------------------------------------------------------------------------


def marker_name(id_: str) -> str:
    """Return the marker for an area or id: ``R6``, ``rule_3``, ``LO_10``, ``safe_mode``."""
    return "".join(c if c.isalnum() else "_" for c in id_)


def is_scenario(path: Path) -> bool:
    """Tell scenario files from other YAML by a line that starts with ``rrsim:``."""
    try:
        with path.open("rb") as file:
            head = file.read(65_536)
    except OSError:
        return False
    return head.startswith((b"rrsim:", b"\xef\xbb\xbfrrsim:")) or b"\nrrsim:" in head


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect scenario files. Under ``scenarios/`` every YAML file is one, so that a broken one is not passed over."""
    if file_path.suffix not in (".yaml", ".yml") or file_path.name == "known-issues.yaml":
        return None
    inside = "scenarios" in Path(_relative(file_path, parent.config.rootpath)).parts
    if inside or (file_path.suffix == ".yaml" and is_scenario(file_path)):
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


class ScenarioFile(pytest.File):
    """One YAML file: one or more cases."""

    def collect(self) -> Iterator[ScenarioItem]:
        """Load the file; problems are a collection error of this file only."""
        from rrsim.cli import choose

        if self.path.suffix != ".yaml":
            raise self.CollectError(f"{self.path}: expected scenario files to end with .yaml; saw .yml; try: rename it")
        shown = _relative(self.path, self.config.invocation_params.dir)
        scenarios, problems = choose.load([shown])
        if problems:
            raise self.CollectError("\n".join(str(p) for p in problems))
        names = self.config.stash[_names]
        for scenario in scenarios:
            first = names.setdefault(scenario.id, shown)
            if first != shown:
                raise self.CollectError(f"{shown}: expected a name of its own; saw {scenario.id!r} in {first} too")
            yield ScenarioItem.from_parent(self, name=scenario.id, scenario=scenario)


def _relative(path: Path, base: Path) -> str:
    try:
        return str(path.relative_to(base))
    except ValueError:
        return str(path)


class ScenarioItem(pytest.Item):
    """One case."""

    result: RunResult | None = None
    judged: str = ""
    """The outcome before known issues were applied, if they were."""

    def __init__(self, *, scenario: Scenario, **more: Any) -> None:
        super().__init__(**more)
        self.scenario = scenario
        for name in (scenario.area, *scenario.covers, *scenario.edge_cases):
            if name:
                self._mark(marker_name(name), name)
        if _wants_timeout(self.config):
            live = self.config.option.rrsim_backend != "sim"
            self.add_marker(pytest.mark.timeout(LIVE_TIMEOUT_S if live else DEFAULT_TIMEOUT_S))

    def _mark(self, marker: str, what: str) -> None:
        """Add a marker, registering it first: areas and edge cases are known only now (``--strict-markers``)."""
        registered = {line.partition(":")[0] for line in self.config.getini("markers")}
        if marker not in registered:
            self.config.addinivalue_line("markers", f"{marker}: scenarios of {what}")
        self.add_marker(getattr(pytest.mark, marker))

    def setup(self) -> None:
        """Run the case. What is not the product's fault ends here, as an error or a skip."""
        self.result = run_case(self.scenario, self.config)
        issues = self.config.stash[_issues]
        if issues is not None:
            self.judged = self.result.outcome
            self.result = _with_issues(self.result, issues)
        self.user_properties.extend(_properties(self.result))
        result = self.result
        if result.outcome == "skipped":
            raise pytest.skip.Exception(result.reason, _use_item_location=True)
        if result.outcome == "known":
            pytest.xfail(result.reason or "known issue")
        if result.outcome == "unknown":
            raise ScenarioUnknown(result)
        if result.outcome == "error":
            raise HarnessFailed(result)

    def runtest(self) -> None:
        """Fail if the product failed."""
        if self.result is not None:
            check(self.result)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Say where the case stands."""
        return self.path, max(self.scenario.line - 1, 0), self.scenario.id


def _wants_timeout(config: pytest.Config) -> bool:
    """Tell whether scenario items need a time-out of ours; one in a configuration file was not made for live cases."""
    if not config.pluginmanager.has_plugin("timeout"):
        return False
    if config.getoption("timeout", None) is not None or os.environ.get("PYTEST_TIMEOUT"):
        return False
    return config.option.rrsim_backend != "sim" or not config.getini("timeout")


# --- running ------------------------------------------------------------------------------------------------------


def run_case(scenario: Scenario, config: pytest.Config, seed: int | None = None) -> RunResult:
    """Run one case with the session's options."""
    from rrsim.cli.backends import with_profile

    option = config.option
    case = with_profile(scenario, option.rrsim_profile)
    return engine_of(config).run(case, int(option.rrsim_seed) if seed is None else seed)


def engine_of(config: pytest.Config) -> Engine:
    """Return what runs this session's scenarios. It is prepared once a process and put away with the session."""
    opened = config.stash.get(_engine, None)
    if opened is None:
        from rrsim.cli.engine import opened as open_engine

        option, stack = config.option, contextlib.ExitStack()
        live = {
            "time_scale": option.rrsim_time_scale, "agent": option.rrsim_agent, "server": option.rrsim_server,
            "vm": _vm(option), "waits": _Unhurried(config),
        }
        opened = stack.enter_context(open_engine(option.rrsim_backend, **live))
        config.stash[_engine] = opened
        config.add_cleanup(stack.close)
    return opened


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> None:
    """Take note of the timer that pytest-timeout is about to set."""
    item.config.stash[_timer] = (item, settings)


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_timeout_cancel_timer(item: pytest.Item) -> None:
    """Take note that there is none any more."""
    if _timer in item.config.stash:
        del item.config.stash[_timer]


class _Unhurried:
    """Stops pytest-timeout's timer while a case waits for machines that other runs have; then it begins anew."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._stopped: tuple[Any, Any] | None = None

    def __call__(self, waits: bool) -> None:
        hook = self._config.pluginmanager.hook
        if waits:
            self._stopped = self._config.stash.get(_timer, None)
            if self._stopped is not None:
                hook.pytest_timeout_cancel_timer(item=self._stopped[0])
        elif self._stopped is not None:
            (item, settings), self._stopped = self._stopped, None
            hook.pytest_timeout_set_timer(item=item, settings=settings)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Prepare a live backend before the first case, outside its time-out: the agent may have to be built."""
    config = session.config
    if config.option.rrsim_backend == "sim" or config.option.collectonly:
        return
    if any(isinstance(item, ScenarioItem) for item in session.items):
        from rrsim.cli.errors import CommandError

        try:
            engine_of(config)
        except CommandError as error:
            raise pytest.UsageError(f"rrsim: {error}") from error


def _with_issues(result: RunResult, issues: Any) -> RunResult:
    from rrsim.cli.clock import today
    from rrsim.scenario import known_issues

    marked, _ = known_issues.apply([result], issues, today(), complete=False)
    return marked[0]


def _properties(result: RunResult) -> list[tuple[str, str]]:
    from rrsim.report.junit import properties_of

    return properties_of(result)


def check(result: RunResult) -> RunResult:
    """Return the result of a run that passed; raise for every other outcome.

    Raises:
        ScenarioFailed: the product failed.
        ScenarioUnknown: rrsim could not tell.
        HarnessFailed: the harness failed.
    """
    __tracebackhide__ = True
    if result.outcome == "failed":
        raise ScenarioFailed(result)
    if result.outcome == "unknown":
        raise ScenarioUnknown(result)
    if result.outcome == "error":
        raise HarnessFailed(result)
    if result.outcome == "skipped":
        pytest.skip(result.reason)
    return result


def failure_text(result: RunResult, config: pytest.Config, nodeid: str, from_file: bool = True) -> str:
    """Return the text of a failed item; the commands that repeat it come last.

    A scenario that a Python test built is in no file of its own, so that only pytest can run it again.
    """
    from rrsim.report.junit import failure_text as text
    from rrsim.report.reproduce import quoted

    option = config.option
    more = f" --rrsim-profile {quoted(option.rrsim_profile)}" if option.rrsim_profile else ""
    head = "\n       " if from_file else "\n\nagain: "
    return (f"{text(result, profile=option.rrsim_profile, again=from_file)}"
            f"{head}pytest {quoted(nodeid)} --rrsim-seed {result.seed}{more}")


class Rrsim:
    """What the fixture ``rrsim`` gives: run a scenario built in Python, and check what came of it."""

    def __init__(self, config: pytest.Config, add_property: Any) -> None:
        self._config = config
        self._add_property = add_property

    def run(self, scenario: Scenario, seed: int | None = None) -> RunResult:
        """Run a scenario with the session's backend and profile, and its seed unless another is given."""
        result = run_case(scenario, self._config, seed)
        for name, value in _properties(result):
            self._add_property(name, value)
        return result

    def check(self, result: RunResult) -> RunResult:
        """Return the result if it passed; otherwise raise with the timeline around the violation."""
        __tracebackhide__ = True
        return check(result)


@pytest.fixture
def rrsim(request: pytest.FixtureRequest, record_property: Any) -> Rrsim:
    """Run scenarios written in Python: ``rrsim.check(rrsim.run(Scenario(...)))``."""
    return Rrsim(request.config, record_property)


@pytest.fixture
def rrsim_run(rrsim: Rrsim) -> Any:
    """Run a scenario and check it in one go: ``rrsim_run(Scenario(...))`` returns the result."""

    def run_and_check(scenario: Scenario, seed: int | None = None) -> RunResult:
        __tracebackhide__ = True
        return rrsim.check(rrsim.run(scenario, seed))

    return run_and_check


# --- reports ------------------------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell product failures from others, and carry check and cause to the summary (also from xdist workers)."""
    report = yield
    if isinstance(item, ScenarioItem) and call.when == "setup" and item.result is not None:
        checks = [[c.check, c.outcome, c.cause] for c in item.result.checks if c.outcome != "passed"]
        setattr(report, RAN, [item.scenario.id, item.judged or item.result.outcome, checks])
    error = call.excinfo.value if call.excinfo is not None else None
    if isinstance(error, (ScenarioFailed, ScenarioUnknown, HarnessFailed)):
        from rrsim.report.grouping import main_problem

        problem = main_problem(error.result)
        kinds = {ScenarioFailed: "", ScenarioUnknown: UNKNOWN, HarnessFailed: ENVIRONMENT}
        cause = problem.cause if problem else error.result.reason.partition("\n")[0]
        setattr(report, TOLD, [kinds[type(error)], problem.check if problem else "harness", cause])
        if isinstance(item, ScenarioItem):  # pytest asks an item for its words about failures in the call only
            report.longrepr = failure_text(error.result, item.config, item.nodeid)
        else:
            report.sections.append(("rrsim", failure_text(error.result, item.config, item.nodeid, from_file=False)))
    return report


def pytest_sessionstart(session: pytest.Session) -> None:
    """Register this session's reporter."""
    session.config.pluginmanager.register(Reporter(session.config, session.config.stash[_issues]), "rrsim-reporter")
