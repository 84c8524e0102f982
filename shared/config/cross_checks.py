"""Checks that involve several keys. Each adds its faults to the result and skips keys that have one already. Pure."""

import hashlib
from collections.abc import Callable, Sequence

from longshore.shared.config.parse_result import ParseResult
from longshore.shared.config.schema import KEYS
from longshore.shared.config.urls import is_encrypted_or_local

_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104  (compared, not bound)
_REDIS = "state_persistence.redis"
_DEFAULTS = {key.path: key.default for key in KEYS}


def check(result: ParseResult, *, redis_url_variable: str | None) -> None:
    """Run all checks. `redis_url_variable` is the value of LONGSHORE_REDIS_URL."""
    _require_redis_address(result, redis_url_variable)
    for check_keys in _CHECKS:
        check_keys(result)
    result.faults.sort(key=lambda fault: fault.line)


def _require_redis_address(result: ParseResult, variable: str | None) -> None:
    if result.text("state_persistence.type") != "redis" or variable is not None:
        return
    host, url, hosts = f"{_REDIS}.host", f"{_REDIS}.url", f"{_REDIS}.sentinel.hosts"
    if any(path not in result.values for path in (host, url, hosts)):
        return
    if not (result.text(host) or result.text(url) or result.texts(hosts)):
        text = (
            "type redis needs redis.host, redis.url, redis.sentinel.hosts or the environment variable "
            "LONGSHORE_REDIS_URL"
        )
        result.fault(host, text, line=result.line("state_persistence.type"))


def _reject_second_redis_address(result: ParseResult) -> None:
    if result.text(f"{_REDIS}.url") is not None:
        _require_defaults(result, ("host", "port", "db", "username", "password", "tls", "sentinel.hosts"), "redis.url")
    elif result.texts(f"{_REDIS}.sentinel.hosts"):
        _require_defaults(result, ("host", "port"), "redis.sentinel")


def _require_defaults(result: ParseResult, names: Sequence[str], instead: str) -> None:
    for name in names:
        path = f"{_REDIS}.{name}"
        if path in result.values and result.values[path] != _DEFAULTS[path]:
            result.fault(path, f"{instead} says this already; remove one of the two")


def _reject_refresh_of_shared_redis(result: ParseResult) -> None:
    path = "state_persistence.refresh_on_startup"
    if result.is_on(path) and result.text("state_persistence.type") == "redis":
        text = "several processes share this Redis, and no start may wipe it: run `longshore sessions purge` instead"
        result.fault(path, text)


def _check_legacy_server_id(result: ParseResult) -> None:
    path = "state_persistence.reconciliation.legacy_server_id"
    named = result.text(path)
    known = [result.text(f"{at}.id") for at in _servers(result)]
    if named is not None and named not in known and None not in known:
        result.fault(path, f"{named!r} is not the id of a configured server")


def _require_credentials(result: ParseResult) -> None:
    path = "core.auth.token"
    if not result.is_on("core.auth.enabled") or path not in result.values:
        return
    if not (result.text(path) or _tokens(result) or result.text("core.auth.oauth.issuer")):
        text = (
            "must be set, and not blank, or core.auth.tokens have an item, or core.auth.oauth.issuer be set, while "
            "core.auth.enabled is true"
        )
        result.fault(path, text)


def _require_unique_tokens(result: ParseResult) -> None:
    """Require a name and a token that no other entry has. No fault contains a token."""
    first: dict[str, str] = {}
    if (one := result.text("core.auth.token")) is not None:
        first |= {"token": "core.auth.token", _digest(one): "core.auth.token"}
    for at in _tokens(result):
        if f"{at}.token" not in result.values or f"{at}.token_sha256" not in result.values:
            continue
        name, token, digest = (result.text(f"{at}.{key}") for key in ("name", "token", "token_sha256"))
        if token is None and digest is None:
            result.fault(f"{at}.token", "must be set, and not blank, or token_sha256 be set", line=result.line(at))
        known = [("name", name), ("token", None if token is None else _digest(token)), ("token_sha256", digest)]
        for key, value in known:
            path = f"{at}.{key}"
            if value is not None and first.setdefault(value, path) != path:
                result.fault(path, f"is the same as at {first[value]}")


def _check_issuer(result: ParseResult) -> None:
    oauth, base = "core.auth.oauth", "core.public_base_url"
    issuer = f"{oauth}.issuer"
    if issuer not in result.values:
        return
    if result.text(issuer) is not None:
        if base in result.values and result.text(base) is None:
            text = "must be set with core.auth.oauth.issuer: it is the name that tokens are made out to"
            result.fault(base, text, line=result.line(issuer))
        return
    for name in ("jwks_url", "introspection.url"):
        if result.text(f"{oauth}.{name}") is not None:
            result.fault(issuer, f"must be set with core.auth.oauth.{name}", line=result.line(f"{oauth}.{name}"))


def _check_servers_of_tokens(result: ParseResult) -> None:
    known = [result.text(f"{at}.id") for at in _servers(result)]
    for at in _tokens(result):
        path = f"{at}.servers"
        unknown = [server for server in result.texts(path) if server not in known]
        if unknown and None not in known:
            result.fault(path, f"{unknown[0]!r} is not the id of a configured server")


def _tokens(result: ParseResult) -> list[str]:
    return [f"core.auth.tokens[{index}]" for index in range(result.lengths.get("core.auth.tokens", 0))]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _require_locator_roots(result: ParseResult) -> None:
    policy, roots = "storage.artifact_locator_policy", "storage.artifact_locator_allowed_roots"
    if result.text(policy) == "allow_configured_roots" and result.values.get(roots) == ():
        text = "must hold at least one folder while storage.artifact_locator_policy is allow_configured_roots"
        result.fault(roots, text)


def _require_different_ports(result: ParseResult) -> None:
    if not (port := result.number("core.port")) or port != result.number("core.admin_port"):
        return
    host, admin = result.text("core.host"), result.text("core.admin_host")
    if host is not None and admin is not None and (host == admin or host in _WILDCARDS or admin in _WILDCARDS):
        text = "is core.port too; choose another, or 0 for no admin listener"
        result.fault("core.admin_port", text)


def _require_https_for_files(result: ParseResult) -> None:
    path, base, host = "files.sep_2631", "core.public_base_url", result.text("core.host")
    if not result.is_on(path) or base not in result.values or host is None:
        return
    url = result.text(base)
    if url is None and result.values.get("core.trusted_proxies") == ():  # no proxy terminates TLS
        url = f"http://[{host}]" if ":" in host else f"http://{host}"
    if url is not None and not is_encrypted_or_local(url):
        text = (
            f"hands out links to files, which travel by https alone: {base} must be set and begin with https://, or be "
            "on loopback, or core.host be on loopback"
        )
        result.fault(path, text)


def _reject_files_without_digest(result: ParseResult) -> None:
    path = "files.openai_file_params"
    if result.is_on(path) and result.is_on("uploads.require_sha256"):
        text = "takes files that come without a digest, which uploads.require_sha256 refuses; turn off one of the two"
        result.fault(path, text)


def _require_unique_servers(result: ParseResult) -> None:
    for name in ("id", "mount_path"):
        first: dict[str, str] = {}
        for at in _servers(result):
            path = f"{at}.{name}"
            value = result.text(path)
            if value is not None and first.setdefault(value, path) != path:
                text = f"{value!r} is taken by {first[value]} on line {result.line(first[value])}"
                result.fault(path, text)


def _reject_reserved_mount_paths(result: ParseResult) -> None:
    upload = result.text("core.upload_path")
    for at in _servers(result):
        path = f"{at}.mount_path"
        mount = result.text(path)
        if mount is None:
            continue
        reserved = mount == "/healthz" or mount.startswith(("/artifacts/", "/.well-known/"))
        if reserved or (upload is not None and mount.startswith(f"{upload}/")):
            result.fault(path, "longshore serves something else there")


def _reject_forwarding_of_own_token(result: ParseResult) -> None:
    """Refuse to forward the header with the token of longshore to an upstream."""
    own = result.text("core.auth.header_name")
    if own is None or not result.is_on("core.auth.enabled"):
        return
    for at in _servers(result):
        for name in ("required", "passthrough"):
            path = f"{at}.upstream.client_headers.{name}"
            if any(header.lower() == own.lower() for header in result.texts(path)):
                result.fault(path, f"{own} carries longshore's own token, which stays here")


def _require_output_path_key(result: ParseResult) -> None:
    for at, tag in result.tags.items():
        key, argument = f"{at}.output_locator.output_path_key", f"{at}.output_path_argument"
        if tag != "artifact_producer" or result.text(f"{at}.output_locator.mode") != "structured":
            continue
        if key in result.values and argument in result.values and not (result.text(key) or result.text(argument)):
            result.fault(key, "mode structured needs this key, or output_path_argument")


def _servers(result: ParseResult) -> list[str]:
    return [f"servers[{index}]" for index in range(result.lengths.get("servers", 0))]


_CHECKS: tuple[Callable[[ParseResult], None], ...] = (
    _reject_second_redis_address,
    _reject_refresh_of_shared_redis,
    _check_legacy_server_id,
    _require_credentials,
    _require_unique_tokens,
    _check_servers_of_tokens,
    _check_issuer,
    _require_locator_roots,
    _require_different_ports,
    _require_https_for_files,
    _reject_files_without_digest,
    _require_unique_servers,
    _reject_reserved_mount_paths,
    _reject_forwarding_of_own_token,
    _require_output_path_key,
)
