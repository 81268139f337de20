"""The injectors there are, by scenario."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from market.abuse.base import Injector
from market.abuse.front_running import FrontRunning

INJECTORS: Final[Mapping[str, type[Injector]]] = {
    injector.scenario: injector for injector in (FrontRunning,)
}
