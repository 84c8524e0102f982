"""Sections `core.auth` and `core.cors`: authentication of callers, and origins of web pages."""

from typing import Annotated

import msgspec

from longshore.shared.config.keys import Key
from longshore.shared.config.text_types import Credential, HeaderName, HttpUrl, OAuthScope, PrincipalName, Sha256, Text
from longshore.shared.config.value_types import POSITIVE, Choice, Integer, ListOf

_ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
)


class NamedToken(msgspec.Struct, frozen=True, kw_only=True):
    """Static token of one principal. `token`, `token_sha256` or both are set; either is accepted."""

    name: Annotated[str, PrincipalName(), Key("Principal of the token: sessions and files belong to it. Unique.")]
    token: Annotated[str | None, Credential(), Key("Token.", secret=True)] = None
    token_sha256: Annotated[str | None, Sha256(), Key(
        "SHA-256 of a token in hexadecimal, so that the file need not contain the token. If `token` is set too, both "
        "tokens are accepted, for example during a rotation.", secret=True)] = None  # lower-case hex
    servers: Annotated[tuple[str, ...], ListOf(item=Text(label="the id of a server")), Key(
        "Servers that the token gives access to. Empty: all.")] = ()


class Introspection(msgspec.Struct, frozen=True, kw_only=True):
    """Token introspection (RFC 7662)."""

    url: Annotated[str | None, HttpUrl(blank=True), Key(
        "Introspection endpoint (RFC 7662) for opaque tokens. Null: opaque tokens are refused.")] = None
    client_id: Annotated[str | None, Text(blank=True), Key(
        "Client id of longshore at the introspection endpoint.")] = None
    client_secret: Annotated[str | None, Text(blank=True, trim=False), Key(
        "Client secret of longshore at the introspection endpoint.", secret=True)] = None


class OAuth(msgspec.Struct, frozen=True, kw_only=True):
    """Authorization server whose access tokens are accepted."""

    issuer: Annotated[str | None, HttpUrl(blank=True), Key(
        "Authorization server whose access tokens are accepted, exactly as in their claim `iss`. Requires "
        "`core.public_base_url`. Null: access tokens are refused.")] = None
    jwks_url: Annotated[str | None, HttpUrl(blank=True), Key(
        "URL of the authorization server's JWKS. Null: the one in its metadata.")] = None
    audience: Annotated[tuple[str, ...], Key(
        "Accepted values of the claim `aud`, in addition to `core.public_base_url` and the URL of the mount.")] = ()
    scopes: Annotated[tuple[str, ...], ListOf(item=OAuthScope()), Key(
        "Scopes that a token must have for every server. `servers[].required_scopes` adds to them.")] = ()
    algorithms: Annotated[tuple[str, ...], ListOf(item=Choice(options=_ALGORITHMS)), Key(
        "Accepted signature algorithms of JWTs.")] = ("RS256", "PS256", "ES256", "EdDSA")
    leeway_seconds: Annotated[int, Integer(most=600), Key(
        "Accepted clock difference between the authorization server and longshore.")] = 30
    introspection: Introspection = Introspection()


class Auth(msgspec.Struct, frozen=True, kw_only=True):
    """Section `core.auth`. If `enabled`, at least one kind of credential is configured."""

    enabled: Annotated[bool, Key("Requires a credential from every caller.")] = False
    header_name: Annotated[str, HeaderName(), Key(
        "Header that carries the token. `Authorization: Bearer` is accepted too.")] = "X-Mcp-Adapter-Auth-Token"
    token: Annotated[str | None, Credential(), Key(
        "Single token for all callers, who share the principal `token`. If auth is enabled, this key, `tokens` or "
        "`oauth` must be set.", secret=True)] = None
    signed_upload_ttl_seconds: Annotated[int, POSITIVE, Key(
        "Lifetime of a signed upload link, which is valid for one upload.")] = 120
    signing_secret: Annotated[str | None, Text(trim=False), Key(
        "Secret that signs links. Null: `token`, or a generated secret that all processes share.", secret=True)] = None
    previous_signing_secrets: Annotated[tuple[str, ...], ListOf(item=Text(trim=False)), Key(
        "Former values of `signing_secret`, newest first. Links signed with them stay valid. The last one determines "
        "the scopes of callers without a session id: without it, they lose access to their files.", secret=True)] = ()
    tokens: tuple[NamedToken, ...] = ()
    oauth: OAuth = OAuth()


class Cors(msgspec.Struct, frozen=True, kw_only=True):
    """Section `core.cors`."""

    enabled: Annotated[bool, Key("Answers CORS requests of web pages.")] = False
    allowed_origins: Annotated[tuple[str, ...], Key("Allowed origins.")] = ()
    allowed_methods: Annotated[tuple[str, ...], Key("Allowed methods.")] = ("POST", "GET", "OPTIONS")
    allowed_headers: Annotated[tuple[str, ...], Key("Allowed request headers.")] = ("*",)
    allow_credentials: Annotated[bool, Key("Allows requests with credentials.")] = False
