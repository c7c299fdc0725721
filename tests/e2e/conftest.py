"""pytest for the end-to-end suites: coroutines as tests, one shared server, a closing count."""

import asyncio
import inspect
import os
import sys

import pytest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "harness"))

from server import Server  # noqa: E402

SECONDS_PER_TEST = 60


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = pyfuncitem._fixtureinfo.argnames
    call = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted})
    asyncio.run(asyncio.wait_for(call, SECONDS_PER_TEST))
    return True


@pytest.fixture(scope="session")
def server():
    with Server() as s:
        yield s
        assert s.process.poll() is None, f"the server ended during the tests:\n{s.log()}"


def pytest_terminal_summary(terminalreporter):
    stats = terminalreporter.stats
    failed = len(stats.get("failed", [])) + len(stats.get("error", []))
    terminalreporter.write_line(f"{len(stats.get('passed', []))} passed, {failed} failed")
