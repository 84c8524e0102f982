"""Keys of an issuer: rotation is noticed, and no caller can cause too many fetches."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from longshore.gateway.auth.jwks import JwkSet, KeySet, usable_keys
from longshore.shared.errors import IssuerDown
from longshore.shared.tasks import Tasks


class Published:
    """Published keys of an issuer, and the number of fetches."""

    def __init__(self, *keys: RSAKey | ECKey | OctKey) -> None:
        self.keys = keys
        self.asked = 0
        self.is_down = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def fetch(self) -> JwkSet:
        self.asked += 1
        await self.answers.wait()
        if self.is_down:
            raise IssuerDown("down")
        return document(*self.keys)


def document(*keys: RSAKey | ECKey | OctKey) -> JwkSet:
    listed = [key.as_dict(private=key.key_type == "oct") for key in keys]
    return {"keys": msgspec.Raw(msgspec.json.encode(listed))}


def key(name: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": name}, private=True)


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    made = Tasks()
    yield made
    await made.close()


async def test_a_new_key_is_found_when_a_token_names_it(tasks: Tasks) -> None:
    issuer = Published(key("old"))
    keys = KeySet(issuer.fetch, tasks, min_interval_s=0)
    assert await keys.find("old") is not None
    issuer.keys = (key("new"),)

    assert await keys.find("old") is not None
    assert await keys.find("new") is not None
    assert await keys.find("old") is None


async def test_concurrent_callers_share_one_fetch_even_if_the_first_is_cancelled(tasks: Tasks) -> None:
    issuer = Published(key("one"))
    issuer.answers.clear()
    keys = KeySet(issuer.fetch, tasks)
    asking = [tasks.start(keys.find("one"), name="ask") for _ in range(50)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    issuer.answers.set()

    found = await asyncio.gather(*asking[1:])
    assert all(found)
    assert issuer.asked == 1


async def test_unknown_keys_cause_a_fetch_only_after_the_minimum_interval(tasks: Tasks) -> None:
    issuer = Published(key("one"))
    keys = KeySet(issuer.fetch, tasks)

    assert [await keys.find(f"k{number}") for number in range(20)] == [None] * 20
    assert issuer.asked == 1


async def test_known_keys_are_used_while_the_issuer_is_down(tasks: Tasks) -> None:
    issuer = Published(key("one"))
    keys = KeySet(issuer.fetch, tasks, min_interval_s=0, max_age_s=0)
    assert await keys.find("one") is not None
    issuer.is_down = True

    assert await keys.find("one") is not None
    assert issuer.asked == 2


async def test_without_any_keys_the_issuer_counts_as_down_and_the_fetch_is_retried(tasks: Tasks) -> None:
    issuer = Published(key("one"))
    issuer.is_down = True
    keys = KeySet(issuer.fetch, tasks, min_interval_s=0)

    with pytest.raises(IssuerDown):
        await keys.find("one")
    issuer.is_down = False
    assert await keys.find("one") is not None


@pytest.mark.filterwarnings("ignore:Key size")
def test_only_strong_public_signature_keys_are_used() -> None:
    weak = RSAKey.generate_key(1024, {"kid": "weak"}, private=True)
    secret = OctKey.generate_key(256, {"kid": "secret"})
    for_encryption = ECKey.generate_key("P-256", {"kid": "enc", "use": "enc"}, private=True)

    assert set(usable_keys(document(key("fine"), weak, secret, for_encryption))) == {"fine"}
    for broken in (b"{}", b"[1]", b'[{"kid":"a","kty":"RSA"}]', b'[{"kid":1,"kty":"EC"}]', b'[{"kid":"a"}]'):
        assert usable_keys({"keys": msgspec.Raw(broken)}) == {}
    assert usable_keys({}) == {}
