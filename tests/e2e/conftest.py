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
def shared_server():
    with Server() as s:
        yield s
        assert s.stop() == 0, f"the server did not end in order:\n{s.log()}"


@pytest.fixture
def server(shared_server):
    """The shared server. A test that ends it fails, and the next one finds it running again."""
    yield shared_server
    code = shared_server.process.poll()
    if code is not None:
        said = shared_server.log()
        shared_server.start()
        pytest.fail(f"the server ended with code {code} during this test:\n{said}")


def pytest_terminal_summary(terminalreporter):
    stats = terminalreporter.stats
    failed = len(stats.get("failed", [])) + len(stats.get("error", []))
    terminalreporter.write_line(f"{len(stats.get('passed', []))} passed, {failed} failed")
