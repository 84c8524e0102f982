"""Rules that take more than one key. Each adds its faults to a reading and skips keys that have one already. Pure."""

import hashlib
from collections.abc import Callable, Sequence

from longshore.shared.config.reading import Reading
from longshore.shared.config.surface import ROWS
from longshore.shared.config.urls import is_encrypted_or_local

_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104  (compared, not bound)
_REDIS = "state_persistence.redis"
_DEFAULTS = {row.path: row.default for row in ROWS}


def check(reading: Reading, *, redis_url_variable: str | None) -> None:
    """Apply every rule. `redis_url_variable` is what LONGSHORE_REDIS_URL holds."""
    _redis_is_named(reading, redis_url_variable)
    for rule in _RULES:
        rule(reading)
    reading.faults.sort(key=lambda fault: fault.line)


def _redis_is_named(reading: Reading, variable: str | None) -> None:
    if reading.text("state_persistence.type") != "redis" or variable is not None:
        return
    host, url, hosts = f"{_REDIS}.host", f"{_REDIS}.url", f"{_REDIS}.sentinel.hosts"
    if any(path not in reading.values for path in (host, url, hosts)):
        return
    if not (reading.text(host) or reading.text(url) or reading.texts(hosts)):
        text = (
            "type redis needs redis.host, redis.url, redis.sentinel.hosts or the environment variable "
            "LONGSHORE_REDIS_URL"
        )
        reading.fault(host, reading.line("state_persistence.type"), text)


def _redis_is_named_once(reading: Reading) -> None:
    if reading.text(f"{_REDIS}.url") is not None:
        _are_defaults(reading, ("host", "port", "db", "username", "password", "tls", "sentinel.hosts"), "redis.url")
    elif reading.texts(f"{_REDIS}.sentinel.hosts"):
        _are_defaults(reading, ("host", "port"), "redis.sentinel")


def _are_defaults(reading: Reading, names: Sequence[str], instead: str) -> None:
    for name in names:
        path = f"{_REDIS}.{name}"
        if path in reading.values and reading.values[path] != _DEFAULTS[path]:
            reading.fault(path, reading.line(path), f"{instead} says this already; remove one of the two")


def _a_shared_redis_is_not_refreshed(reading: Reading) -> None:
    path = "state_persistence.refresh_on_startup"
    if reading.is_on(path) and reading.text("state_persistence.type") == "redis":
        text = "several processes share this Redis, and no start may wipe it: run `longshore sessions purge` instead"
        reading.fault(path, reading.line(path), text)


def _files_belong_to_a_server(reading: Reading) -> None:
    path = "state_persistence.reconciliation.legacy_server_id"
    named = reading.text(path)
    known = [reading.text(f"{at}.id") for at in _servers(reading)]
    if named is not None and named not in known and None not in known:
        reading.fault(path, reading.line(path), f"{named!r} is not the id of a configured server")


def _somebody_may_call(reading: Reading) -> None:
    path = "core.auth.token"
    if not reading.is_on("core.auth.enabled") or path not in reading.values:
        return
    if not (reading.text(path) or _tokens(reading) or reading.text("core.auth.oauth.issuer")):
        text = (
            "must be set, and not blank, or core.auth.tokens have an item, or core.auth.oauth.issuer be set, while "
            "core.auth.enabled is true"
        )
        reading.fault(path, reading.line(path), text)


def _tokens_differ(reading: Reading) -> None:
    """Each named token is one, and is nobody else's. No fault repeats a token."""
    first: dict[str, str] = {}
    if (one := reading.text("core.auth.token")) is not None:
        first |= {"token": "core.auth.token", _digest(one): "core.auth.token"}
    for at in _tokens(reading):
        if f"{at}.token" not in reading.values or f"{at}.token_sha256" not in reading.values:
            continue
        name, token, digest = (reading.text(f"{at}.{key}") for key in ("name", "token", "token_sha256"))
        if token is None and digest is None:
            reading.fault(f"{at}.token", reading.line(at), "must be set, and not blank, or token_sha256 be set")
        known = [("name", name), ("token", None if token is None else _digest(token)), ("token_sha256", digest)]
        for key, value in known:
            path = f"{at}.{key}"
            if value is not None and first.setdefault(value, path) != path:
                reading.fault(path, reading.line(path), f"is the same as at {first[value]}")


def _an_issuer_has_what_it_needs(reading: Reading) -> None:
    oauth, base = "core.auth.oauth", "core.public_base_url"
    issuer = f"{oauth}.issuer"
    if issuer not in reading.values:
        return
    if reading.text(issuer) is not None:
        if base in reading.values and reading.text(base) is None:
            text = "must be set with core.auth.oauth.issuer: it is the name that tokens are made out to"
            reading.fault(base, reading.line(issuer), text)
        return
    for name in ("jwks_url", "introspection.url"):
        if reading.text(f"{oauth}.{name}") is not None:
            reading.fault(issuer, reading.line(f"{oauth}.{name}"), f"must be set with core.auth.oauth.{name}")


def _tokens_open_servers(reading: Reading) -> None:
    known = [reading.text(f"{at}.id") for at in _servers(reading)]
    for at in _tokens(reading):
        path = f"{at}.servers"
        strange = [server for server in reading.texts(path) if server not in known]
        if strange and None not in known:
            reading.fault(path, reading.line(path), f"{strange[0]!r} is not the id of a configured server")


def _tokens(reading: Reading) -> list[str]:
    return [f"core.auth.tokens[{index}]" for index in range(reading.lengths.get("core.auth.tokens", 0))]


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _locator_roots_are_set(reading: Reading) -> None:
    policy, roots = "storage.artifact_locator_policy", "storage.artifact_locator_allowed_roots"
    if reading.text(policy) == "allow_configured_roots" and reading.values.get(roots) == ():
        text = "must hold at least one folder while storage.artifact_locator_policy is allow_configured_roots"
        reading.fault(roots, reading.line(roots), text)


def _ports_differ(reading: Reading) -> None:
    if not (port := reading.number("core.port")) or port != reading.number("core.admin_port"):
        return
    host, admin = reading.text("core.host"), reading.text("core.admin_host")
    if host is not None and admin is not None and (host == admin or host in _WILDCARDS or admin in _WILDCARDS):
        text = "is core.port too; choose another, or 0 for no admin listener"
        reading.fault("core.admin_port", reading.line("core.admin_port"), text)


def _files_travel_encrypted(reading: Reading) -> None:
    path, base, host = "files.sep_2631", "core.public_base_url", reading.text("core.host")
    if not reading.is_on(path) or base not in reading.values or host is None:
        return
    url = reading.text(base)
    if url is None and reading.values.get("core.trusted_proxies") == ():     # nobody says that callers come by https
        url = f"http://[{host}]" if ":" in host else f"http://{host}"
    if url is not None and not is_encrypted_or_local(url):
        text = (
            f"hands out links to files, which travel by https alone: {base} must be set and begin with https://, or be "
            "on loopback, or core.host be on loopback"
        )
        reading.fault(path, reading.line(path), text)


def _fetched_files_have_no_digest(reading: Reading) -> None:
    path = "files.openai_file_params"
    if reading.is_on(path) and reading.is_on("uploads.require_sha256"):
        text = "takes files that come without a digest, which uploads.require_sha256 refuses; turn off one of the two"
        reading.fault(path, reading.line(path), text)


def _servers_differ(reading: Reading) -> None:
    for name in ("id", "mount_path"):
        first: dict[str, str] = {}
        for at in _servers(reading):
            path = f"{at}.{name}"
            value = reading.text(path)
            if value is not None and first.setdefault(value, path) != path:
                text = f"{value!r} is taken by {first[value]} on line {reading.line(first[value])}"
                reading.fault(path, reading.line(path), text)


def _mounts_leave_our_routes(reading: Reading) -> None:
    upload = reading.text("core.upload_path")
    for at in _servers(reading):
        path = f"{at}.mount_path"
        mount = reading.text(path)
        if mount is None:
            continue
        taken = mount == "/healthz" or mount.startswith(("/artifacts/", "/.well-known/"))
        if taken or (upload is not None and mount.startswith(f"{upload}/")):
            reading.fault(path, reading.line(path), "longshore serves something else there")


def _own_token_stays_here(reading: Reading) -> None:
    """The header with our token never travels upstream, so no key may ask for that."""
    own = reading.text("core.auth.header_name")
    if own is None or not reading.is_on("core.auth.enabled"):
        return
    for at in _servers(reading):
        for name in ("required", "passthrough"):
            path = f"{at}.upstream.client_headers.{name}"
            if any(header.lower() == own.lower() for header in reading.texts(path)):
                reading.fault(path, reading.line(path), f"{own} carries longshore's own token, which stays here")


def _structured_has_a_key(reading: Reading) -> None:
    for at, tag in reading.tags.items():
        key, argument = f"{at}.output_locator.output_path_key", f"{at}.output_path_argument"
        if tag != "artifact_producer" or reading.text(f"{at}.output_locator.mode") != "structured":
            continue
        if key in reading.values and argument in reading.values and not (reading.text(key) or reading.text(argument)):
            reading.fault(key, reading.line(key), "mode structured needs this key, or output_path_argument")


def _servers(reading: Reading) -> list[str]:
    return [f"servers[{index}]" for index in range(reading.lengths.get("servers", 0))]


_RULES: tuple[Callable[[Reading], None], ...] = (
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
