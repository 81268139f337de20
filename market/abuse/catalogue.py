"""The injectors there are, by scenario."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from market.abuse.base import Injector
from market.abuse.client_priority import ClientPriority
from market.abuse.front_running import FrontRunning
from market.abuse.hidden_affiliate import HiddenAffiliate
from market.abuse.information_leak import InformationLeak
from market.abuse.matched_orders import MatchedOrders
from market.abuse.quote_fade import QuoteFade
from market.abuse.quoting_obligation import QuotingObligation
from market.abuse.spoofing import Spoofing
from market.abuse.stop_hunting import StopHunting
from market.abuse.tag_error import TagError
from market.abuse.trading_ahead import TradingAhead
from market.abuse.unequal_access import UnequalAccess
from market.abuse.unfair_fills import UnfairFills
from market.abuse.wash_affiliate import WashAffiliate
from market.abuse.wash_common_owner import WashCommonOwner
from market.abuse.wash_ring import WashRing
from market.abuse.wash_self import WashSelf

INJECTORS: Final[Mapping[str, type[Injector]]] = {
    injector.scenario: injector
    for injector in (
        FrontRunning,
        Spoofing,
        StopHunting,
        ClientPriority,
        TradingAhead,
        WashSelf,
        WashCommonOwner,
        WashAffiliate,
        MatchedOrders,
        WashRing,
        HiddenAffiliate,
        InformationLeak,
        QuoteFade,
        QuotingObligation,
        UnequalAccess,
        UnfairFills,
        TagError,
    )
}
