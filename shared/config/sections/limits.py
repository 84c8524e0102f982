"""Section `limits`: rate and concurrency limits of one principal or one address."""

from typing import Annotated

import msgspec

from longshore.shared.config.keys import Key
from longshore.shared.config.value_types import POSITIVE, ByteSize


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one principal or one address."""

    requests_per_second: Annotated[int | None, POSITIVE, Key(
        "Requests per second of one principal or address; an IPv6 /64 counts as one address. Null: no limit.")] = None
    burst: Annotated[int | None, POSITIVE, Key(
        "Requests that may arrive at once. Null: twice `requests_per_second`.")] = None
    concurrent_calls: Annotated[int | None, POSITIVE, Key(
        "JSON-RPC messages that are processed at the same time. Null: no limit.")] = None
    concurrent_transfers: Annotated[int | None, POSITIVE, Key(
        "Uploads and downloads that run at the same time. Null: no limit.")] = None
    bytes_per_hour: Annotated[int | None, ByteSize(least=1), Key(
        "Bytes uploaded and downloaded per hour. A transfer that has started is not interrupted. Null: no "
        "limit.")] = None

    @property
    def is_on(self) -> bool:
        """True if any limit is set."""
        limited = (self.requests_per_second, self.concurrent_calls, self.concurrent_transfers, self.bytes_per_hour)
        return any(limit is not None for limit in limited)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Section `limits`. All gateways share the counts."""

    per_principal: Limit = Limit()
    per_address: Limit = Limit()
    failed_credentials_per_minute: Annotated[int | None, POSITIVE, Key(
        "Wrong credentials per minute from one address (IPv6: one /64). Above this rate, longshore refuses credentials "
        "that have not succeeded before, without a check, for a while. Null: no limit.")] = 60
