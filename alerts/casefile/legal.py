"""Legal basis: which texts a case can rest on; it depends on the asset."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final, Literal

from ingest.instruments import Instrument

AssetClass = Literal["virtual_asset", "security"]

NEVER_SECURITIES: Final = frozenset({"BTC", "XBT", "ETH"})
"""Bitcoin and ether: no configuration makes them securities."""
VIRTUAL_ASSET_BASIS: Final = (
    "AMLO s.53ZRF: fraud or deception in virtual-asset transactions [V]",
    "VATP Guidelines 8.1, 8.2: controls against manipulation, notice to the SFC [V]",
)
_SFO = re.compile(
    r"\bSFO\b|Securities and Futures Ordinance|\bs{1,2}\.\s?(27[4-9]|29[5-9])\b", re.IGNORECASE
)
_AMLO = re.compile(r"\bAMLO\b|\b53ZR", re.IGNORECASE)


def asset_class_of(instrument: Instrument, securities: Collection[str] = ()) -> AssetClass:
    """Return what an instrument's asset is in law.

    A virtual asset, unless configuration lists the instrument or its base as a security or a
    futures contract; bitcoin and ether never are.
    """
    if {instrument.base, instrument.underlying} & NEVER_SECURITIES:
        return "virtual_asset"
    listed = instrument.instrument in securities or instrument.base in securities
    return "security" if listed else "virtual_asset"


def applies(text: str, asset: AssetClass) -> bool:
    """Return whether a text names no law that is not for the asset."""
    return not (_SFO if asset == "virtual_asset" else _AMLO).search(text)


def legal_basis(basis: Iterable[str], asset: AssetClass) -> tuple[str, ...]:
    """Return the texts, of those a detector names, that apply to an asset, each once.

    No section of the SFO is ever given for a virtual asset, nor AMLO s.53ZRF for a security.

    Examples
    --------
    >>> basis = ("SFO s.274(5): presumed false trading [S]", "VATP Guidelines 14.5 [V]")
    >>> legal_basis(basis, "security")
    ('SFO s.274(5): presumed false trading [S]', 'VATP Guidelines 14.5 [V]')
    >>> for text in legal_basis(basis, "virtual_asset"):
    ...     print(text)
    VATP Guidelines 14.5 [V]
    AMLO s.53ZRF: fraud or deception in virtual-asset transactions [V]
    VATP Guidelines 8.1, 8.2: controls against manipulation, notice to the SFC [V]
    """
    texts = [text for text in basis if applies(text, asset)]
    if asset == "virtual_asset":
        named = " ".join(texts)
        if "53ZRF" not in named:
            texts.append(VIRTUAL_ASSET_BASIS[0])
        if "VATP Guidelines 8.1" not in named:
            texts.append(VIRTUAL_ASSET_BASIS[1])
    return tuple(dict.fromkeys(texts))
