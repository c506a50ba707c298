"""The address of the gateway is its own, or it says so."""

from __future__ import annotations

from contextlib import closing

import pytest

from gateway.http_server import bind, listen
from likewise.errors import SettingsError
from likewise.settings.gateway import GatewaySettings


def test_of_two_gateways_bound_to_one_address_only_one_listens() -> None:
    with closing(bind(GatewaySettings(port=0))) as one:
        port = one.getsockname()[1]
        with closing(bind(GatewaySettings(port=port))) as other:
            listen(one)
            with pytest.raises(SettingsError, match=rf"gateway\.port .*127\.0\.0\.1:{port}"):
                listen(other)
