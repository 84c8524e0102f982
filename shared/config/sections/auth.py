"""The parts of `core` that say who may call: `core.auth` and `core.cors`."""

from typing import Annotated

import msgspec

from longshore.shared.config.keys import Key
from longshore.shared.config.text_types import Credential, HeaderName, HttpUrl, OAuthScope, PrincipalName, Sha256, Text
from longshore.shared.config.value_types import POSITIVE, Choice, Integer, ListOf

_ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
)


class NamedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A static credential of its own principal. At least one of `token` and `token_sha256` is set; both open."""

    name: Annotated[str, PrincipalName(), Key(
        "Whom the token belongs to: the principal that sessions and files are bound to. Unique.")]
    token: Annotated[str | None, Credential(), Key("The token.", secret=True)] = None
    token_sha256: Annotated[str | None, Sha256(), Key(
        "The SHA-256 of a token in hexadecimal, so that the file need not hold it. Beside `token` that of a second "
        "one, which opens too: the old one, while callers change over.", secret=True)] = None  # lower-case hex
    servers: Annotated[tuple[str, ...], ListOf(item=Text(label="the id of a server")), Key(
        "The servers that it opens; all when empty.")] = ()


class Introspection(msgspec.Struct, frozen=True, kw_only=True):
    """Where opaque tokens are looked up (RFC 7662), and as whom. None: they are refused."""

    url: Annotated[str | None, HttpUrl(blank=True), Key(
        "Where tokens are looked up that are no JWTs (RFC 7662). Null: they are refused.")] = None
    client_id: Annotated[str | None, Text(blank=True), Key("As which client.")] = None
    client_secret: Annotated[str | None, Text(blank=True, trim=False), Key("That client's secret.", secret=True)] = None


class OAuth(msgspec.Struct, frozen=True, kw_only=True):
    """The authorization server whose tokens are taken. No issuer: none are."""

    issuer: Annotated[str | None, HttpUrl(blank=True), Key(
        "The authorization server whose tokens are taken, exactly as their `iss` has it. Needs "
        "core.public_base_url.")] = None
    jwks_url: Annotated[str | None, HttpUrl(blank=True), Key(
        "Where its keys are. Null: where its metadata says.")] = None
    audience: Annotated[tuple[str, ...], Key(
        "Values of `aud` that are taken besides public_base_url and the URL of the mount.")] = ()
    scopes: Annotated[tuple[str, ...], ListOf(item=OAuthScope()), Key(
        "Scopes that a token must have for any server; `servers[].required_scopes` adds to them.")] = ()
    algorithms: Annotated[tuple[str, ...], ListOf(item=Choice(options=_ALGORITHMS)), Key(
        "How JWTs may be signed.")] = ("RS256", "PS256", "ES256", "EdDSA")
    leeway_seconds: Annotated[int, Integer(most=600), Key(
        "How far the clocks of the server and of longshore may be apart.")] = 30
    introspection: Introspection = Introspection()


class Auth(msgspec.Struct, frozen=True, kw_only=True):
    """Who may call. When `enabled`, there is at least one way to be let in."""

    enabled: Annotated[bool, Key("Asks every caller for the token.")] = False
    header_name: Annotated[str, HeaderName(), Key(
        "The header that carries the token. `Authorization: Bearer` is read as well.")] = "X-Mcp-Adapter-Auth-Token"
    token: Annotated[str | None, Credential(), Key(
        "The one token of all callers, who are one principal, `token`. Auth needs this, `tokens` or "
        "`oauth`.", secret=True)] = None
    signed_upload_ttl_seconds: Annotated[int, POSITIVE, Key("How long a one-time upload link is valid.")] = 120
    signing_secret: Annotated[str | None, Text(trim=False), Key(
        "Signs links. Null: the token, or a generated secret that all processes share.", secret=True)] = None
    previous_signing_secrets: Annotated[tuple[str, ...], ListOf(item=Text(trim=False)), Key(
        "Secrets that `signing_secret` had before, newest first: links that they signed still hold. The last one "
        "names the scopes of callers that send no session id; without it such callers start anew.", secret=True)] = ()
    tokens: tuple[NamedToken, ...] = ()
    oauth: OAuth = OAuth()


class Cors(msgspec.Struct, frozen=True, kw_only=True):
    """Which web pages may call longshore."""

    enabled: Annotated[bool, Key("Lets web pages call longshore.")] = False
    allowed_origins: Annotated[tuple[str, ...], Key("Origins of those pages.")] = ()
    allowed_methods: Annotated[tuple[str, ...], Key("Methods they may use.")] = ("POST", "GET", "OPTIONS")
    allowed_headers: Annotated[tuple[str, ...], Key("Headers they may send.")] = ("*",)
    allow_credentials: Annotated[bool, Key("Whether they may send credentials.")] = False
