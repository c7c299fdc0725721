"""The list of scenarios: functions decorated with @scenario in the modules of scenarios/."""

import importlib
import pkgutil
from dataclasses import dataclass, field
from typing import Callable

SCENARIOS = {}


@dataclass
class Scenario:
    name: str
    run: Callable
    needs: frozenset = field(default_factory=frozenset)
    server_wide: bool = False

    @property
    def summary(self):
        return (self.run.__doc__ or "").strip().split("\n")[0]


def scenario(needs=(), server_wide=False):
    """needs: features a server may still lack. server_wide: reads what other scenarios change."""

    def register(function):
        name = function.__name__
        if name in SCENARIOS:
            raise ValueError(f"two scenarios are called {name}")
        SCENARIOS[name] = Scenario(name, function, frozenset(needs), server_wide)
        return function

    return register


def load():
    import scenarios

    for module in pkgutil.iter_modules(scenarios.__path__):
        importlib.import_module(f"scenarios.{module.name}")
    return SCENARIOS
