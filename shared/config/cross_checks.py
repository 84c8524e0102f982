"""Rules that take more than one key. Each adds its faults to a result and skips keys that have one already. Pure."""

import hashlib
from collections.abc import Callable, Sequence

from longshore.shared.config.parse_result import ParseResult
from longshore.shared.config.schema import KEYS
from longshore.shared.config.urls import is_encrypted_or_local

_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104  (compared, not bound)
_REDIS = "state_persistence.redis"
_DEFAULTS = {key.path: key.default for key in KEYS}


def check(result: ParseResult, *, redis_url_variable: str | None) -> None:
    """Apply every rule. `redis_url_variable` is what LONGSHORE_REDIS_URL holds."""
    _redis_is_named(result, redis_url_variable)
    for rule in _RULES:
        rule(result)
    result.faults.sort(key=lambda fault: fault.line)


def _redis_is_named(result: ParseResult, variable: str | None) -> None:
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
        result.fault(host, result.line("state_persistence.type"), text)


def _redis_is_named_once(result: ParseResult) -> None:
    if result.text(f"{_REDIS}.url") is not None:
        _are_defaults(result, ("host", "port", "db", "username", "password", "tls", "sentinel.hosts"), "redis.url")
    elif result.texts(f"{_REDIS}.sentinel.hosts"):
        _are_defaults(result, ("host", "port"), "redis.sentinel")


def _are_defaults(result: ParseResult, names: Sequence[str], instead: str) -> None:
    for name in names:
        path = f"{_REDIS}.{name}"
        if path in result.values and result.values[path] != _DEFAULTS[path]:
            result.fault(path, result.line(path), f"{instead} says this already; remove one of the two")


def _a_shared_redis_is_not_refreshed(result: ParseResult) -> None:
    path = "state_persistence.refresh_on_startup"
    if result.is_on(path) and result.text("state_persistence.type") == "redis":
        text = "several processes share this Redis, and no start may wipe it: run `longshore sessions purge` instead"
        result.fault(path, result.line(path), text)


def _files_belong_to_a_server(result: ParseResult) -> None:
    path = "state_persistence.reconciliation.legacy_server_id"
    named = result.text(path)
    known = [result.text(f"{at}.id") for at in _servers(result)]
    if named is not None and named not in known and None not in known:
        result.fault(path, result.line(path), f"{named!r} is not the id of a configured server")


def _somebody_may_call(result: ParseResult) -> None:
    path = "core.auth.token"
    if not result.is_on("core.auth.enabled") or path not in result.values:
        return
    if not (result.text(path) or _tokens(result) or result.text("core.auth.oauth.issuer")):
        text = (
            "must be set, and not blank, or core.auth.tokens have an item, or core.auth.oauth.issuer be set, while "
            "core.auth.enabled is true"
        )
        result.fault(path, result.line(path), text)


def _tokens_differ(result: ParseResult) -> None:
    """Each named token is one, and is nobody else's. No fault repeats a token."""
    first: dict[str, str] = {}
    if (one := result.text("core.auth.token")) is not None:
        first |= {"token": "core.auth.token", _digest(one): "core.auth.token"}
    for at in _tokens(result):
        if f"{at}.token" not in result.values or f"{at}.token_sha256" not in result.values:
            continue
        name, token, digest = (result.text(f"{at}.{key}") for key in ("name", "token", "token_sha256"))
        if token is None and digest is None:
            result.fault(f"{at}.token", result.line(at), "must be set, and not blank, or token_sha256 be set")
        known = [("name", name), ("token", None if token is None else _digest(token)), ("token_sha256", digest)]
        for key, value in known:
            path = f"{at}.{key}"
            if value is not None and first.setdefault(value, path) != path:
                result.fault(path, result.line(path), f"is the same as at {first[value]}")


def _an_issuer_has_what_it_needs(result: ParseResult) -> None:
    oauth, base = "core.auth.oauth", "core.public_base_url"
    issuer = f"{oauth}.issuer"
    if issuer not in result.values:
        return
    if result.text(issuer) is not None:
        if base in result.values and result.text(base) is None:
            text = "must be set with core.auth.oauth.issuer: it is the name that tokens are made out to"
            result.fault(base, result.line(issuer), text)
        return
    for name in ("jwks_url", "introspection.url"):
        if result.text(f"{oauth}.{name}") is not None:
            result.fault(issuer, result.line(f"{oauth}.{name}"), f"must be set with core.auth.oauth.{name}")


def _tokens_open_servers(result: ParseResult) -> None:
    known = [result.text(f"{at}.id") for at in _servers(result)]
    for at in _tokens(result):
        path = f"{at}.servers"
        strange = [server for server in result.texts(path) if server not in known]
        if strange and None not in known:
            result.fault(path, result.line(path), f"{strange[0]!r} is not the id of a configured server")


def _tokens(result: ParseResult) -> list[str]:
    return [f"core.auth.tokens[{index}]" for index in range(result.lengths.get("core.auth.tokens", 0))]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _locator_roots_are_set(result: ParseResult) -> None:
    policy, roots = "storage.artifact_locator_policy", "storage.artifact_locator_allowed_roots"
    if result.text(policy) == "allow_configured_roots" and result.values.get(roots) == ():
        text = "must hold at least one folder while storage.artifact_locator_policy is allow_configured_roots"
        result.fault(roots, result.line(roots), text)


def _ports_differ(result: ParseResult) -> None:
    if not (port := result.number("core.port")) or port != result.number("core.admin_port"):
        return
    host, admin = result.text("core.host"), result.text("core.admin_host")
    if host is not None and admin is not None and (host == admin or host in _WILDCARDS or admin in _WILDCARDS):
        text = "is core.port too; choose another, or 0 for no admin listener"
        result.fault("core.admin_port", result.line("core.admin_port"), text)


def _files_travel_encrypted(result: ParseResult) -> None:
    path, base, host = "files.sep_2631", "core.public_base_url", result.text("core.host")
    if not result.is_on(path) or base not in result.values or host is None:
        return
    url = result.text(base)
    if url is None and result.values.get("core.trusted_proxies") == ():     # nobody says that callers come by https
        url = f"http://[{host}]" if ":" in host else f"http://{host}"
    if url is not None and not is_encrypted_or_local(url):
        text = (
            f"hands out links to files, which travel by https alone: {base} must be set and begin with https://, or be "
            "on loopback, or core.host be on loopback"
        )
        result.fault(path, result.line(path), text)


def _fetched_files_have_no_digest(result: ParseResult) -> None:
    path = "files.openai_file_params"
    if result.is_on(path) and result.is_on("uploads.require_sha256"):
        text = "takes files that come without a digest, which uploads.require_sha256 refuses; turn off one of the two"
        result.fault(path, result.line(path), text)


def _servers_differ(result: ParseResult) -> None:
    for name in ("id", "mount_path"):
        first: dict[str, str] = {}
        for at in _servers(result):
            path = f"{at}.{name}"
            value = result.text(path)
            if value is not None and first.setdefault(value, path) != path:
                text = f"{value!r} is taken by {first[value]} on line {result.line(first[value])}"
                result.fault(path, result.line(path), text)


def _mounts_leave_our_routes(result: ParseResult) -> None:
    upload = result.text("core.upload_path")
    for at in _servers(result):
        path = f"{at}.mount_path"
        mount = result.text(path)
        if mount is None:
            continue
        taken = mount == "/healthz" or mount.startswith(("/artifacts/", "/.well-known/"))
        if taken or (upload is not None and mount.startswith(f"{upload}/")):
            result.fault(path, result.line(path), "longshore serves something else there")


def _own_token_stays_here(result: ParseResult) -> None:
    """The header with our token never travels upstream, so no key may ask for that."""
    own = result.text("core.auth.header_name")
    if own is None or not result.is_on("core.auth.enabled"):
        return
    for at in _servers(result):
        for name in ("required", "passthrough"):
            path = f"{at}.upstream.client_headers.{name}"
            if any(header.lower() == own.lower() for header in result.texts(path)):
                result.fault(path, result.line(path), f"{own} carries longshore's own token, which stays here")


def _structured_has_a_key(result: ParseResult) -> None:
    for at, tag in result.tags.items():
        key, argument = f"{at}.output_locator.output_path_key", f"{at}.output_path_argument"
        if tag != "artifact_producer" or result.text(f"{at}.output_locator.mode") != "structured":
            continue
        if key in result.values and argument in result.values and not (result.text(key) or result.text(argument)):
            result.fault(key, result.line(key), "mode structured needs this key, or output_path_argument")


def _servers(result: ParseResult) -> list[str]:
    return [f"servers[{index}]" for index in range(result.lengths.get("servers", 0))]


_RULES: tuple[Callable[[ParseResult], None], ...] = (
    _redis_is_named_once,
    _a_shared_redis_is_not_refreshed,
    _files_belong_to_a_server,
    _somebody_may_call,
    _tokens_differ,
    _tokens_open_servers,
    _an_issuer_has_what_it_needs,
    _locator_roots_are_set,
    _ports_differ,
    _files_travel_encrypted,
    _fetched_files_have_no_digest,
    _servers_differ,
    _mounts_leave_our_routes,
    _own_token_stays_here,
    _structured_has_a_key,
)
