"""The injectors there are, by scenario."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from market.abuse.base import Injector
from market.abuse.client_priority import ClientPriority
from market.abuse.front_running import FrontRunning
from market.abuse.information_leak import InformationLeak
from market.abuse.quote_fade import QuoteFade
from market.abuse.quoting_obligation import QuotingObligation
from market.abuse.spoofing import Spoofing
from market.abuse.stop_hunting import StopHunting
from market.abuse.trading_ahead import TradingAhead
from market.abuse.unequal_access import UnequalAccess
from market.abuse.unfair_fills import UnfairFills

INJECTORS: Final[Mapping[str, type[Injector]]] = {
    injector.scenario: injector
    for injector in (
        FrontRunning,
        Spoofing,
        StopHunting,
        ClientPriority,
        TradingAhead,
        InformationLeak,
        QuoteFade,
        QuotingObligation,
        UnequalAccess,
        UnfairFills,
    )
}
