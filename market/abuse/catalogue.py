"""The injectors there are, by scenario."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from market.abuse.base import Injector
from market.abuse.client_priority import ClientPriority
from market.abuse.front_running import FrontRunning
from market.abuse.spoofing import Spoofing
from market.abuse.stop_hunting import StopHunting
from market.abuse.trading_ahead import TradingAhead

INJECTORS: Final[Mapping[str, type[Injector]]] = {
    injector.scenario: injector
    for injector in (
        FrontRunning,
        Spoofing,
        StopHunting,
        ClientPriority,
        TradingAhead,
    )
}
