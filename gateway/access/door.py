"""Tells who a credential belongs to, or refuses it."""

from gateway.access.principal import Principal
from gateway.access.static_tokens import StaticTokens, digest_of
from shared.config import Config
from shared.errors import Unauthorized


class Door:
    """What one configuration says about credentials. Built once at start-up."""

    def __init__(self, config: Config) -> None:
        self._tokens = StaticTokens(config.core.auth)

    async def identify(self, offered: str) -> Principal:
        """Whose credential this is. Raises Unauthorized."""
        principal = self._tokens.find(offered, digest_of(offered))
        if principal is None:
            raise Unauthorized("the token is not valid here")
        return principal
