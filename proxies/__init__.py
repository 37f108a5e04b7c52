"""How good an architecture is: everything for which the network must exist. torch is imported only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxies.network import build, load_torchvision_weights

__all__ = ["build", "load_torchvision_weights"]


def __getattr__(name: str) -> Any:
    # Names of data sets, recipes and runtimes are checked by commands that must not wait for torch.
    if name in __all__:
        from proxies import network

        return getattr(network, name)
    raise AttributeError(f"module 'proxies' has no attribute {name!r}")
