"""The `limits` section: how much one caller may ask for. None is no limit."""

import msgspec


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """What one principal, or one address, may take."""

    requests_per_second: int | None = None
    burst: int | None = None  # requests at once; None: twice those of a second
    concurrent_calls: int | None = None
    concurrent_transfers: int | None = None
    bytes_per_hour: int | None = None

    @property
    def is_on(self) -> bool:
        """Whether anything is limited."""
        limited = (self.requests_per_second, self.concurrent_calls, self.concurrent_transfers, self.bytes_per_hour)
        return any(limit is not None for limit in limited)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of all gateways together."""

    per_principal: Limit = Limit()
    per_address: Limit = Limit()
    failed_credentials_per_minute: int | None = 60
