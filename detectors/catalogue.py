"""The one list of detectors. A new detector is one new file, its tests and one line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from detectors.base import Detector
from detectors.client_interaction import ClientInteraction
from detectors.client_priority import ClientPriority
from detectors.conduct_across import ConductAcross
from detectors.front_running import FrontRunning
from detectors.front_running_across import FrontRunningAcross
from detectors.hidden_affiliates import HiddenAffiliates
from detectors.information_leak import InformationLeak
from detectors.matched_orders import MatchedOrders
from detectors.price_spikes import PriceSpikes
from detectors.quote_fading import QuoteFading
from detectors.quoting_obligations import QuotingObligations
from detectors.spoofing import Spoofing
from detectors.stop_hunting import StopHunting
from detectors.tag_integrity import TagIntegrity
from detectors.trading_ahead import TradingAhead
from detectors.unequal_access import UnequalAccess
from detectors.wash_rings import WashRings
from detectors.wash_trading import WashTrading

DETECTORS: Final[Mapping[str, type[Detector]]] = {
    "client_interaction": ClientInteraction,
    "client_priority": ClientPriority,
    "conduct_across": ConductAcross,
    "front_running": FrontRunning,
    "front_running_across": FrontRunningAcross,
    "hidden_affiliates": HiddenAffiliates,
    "information_leak": InformationLeak,
    "matched_orders": MatchedOrders,
    "price_spikes": PriceSpikes,
    "quote_fading": QuoteFading,
    "quoting_obligations": QuotingObligations,
    "spoofing": Spoofing,
    "stop_hunting": StopHunting,
    "tag_integrity": TagIntegrity,
    "trading_ahead": TradingAhead,
    "unequal_access": UnequalAccess,
    "wash_rings": WashRings,
    "wash_trading": WashTrading,
}
"""Detectors by id; each runs in every pipeline."""
