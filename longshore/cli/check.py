"""Renders the effective configuration for `longshore check`, with secrets masked."""

from ipaddress import IPv4Network, IPv6Network

import msgspec
import yaml

from longshore.shared.config import REDIS_URL_VARIABLE, Config
from longshore.shared.config.keys import KeyClass
from longshore.shared.config.schema import ROOT, KeySchema, SectionSchema
from longshore.shared.config.text_types import HttpUrl, RedisUrl
from longshore.shared.config.urls import MASK, mask_url
from longshore.shared.config.value_types import Atom, FileMode, Value

Plain = bool | int | float | str | None | list["Plain"] | dict[str, "Plain"]


def render_effective(config: Config) -> str:
    """Render the keys that take effect, in YAML, and the notices as comments after them.

    Without secrets, the text is a configuration that loads to the same values.
    """
    shown = yaml.safe_dump(_section(ROOT, config), sort_keys=False, allow_unicode=True, width=1000)
    lines = [f"# {notice}" for notice in config.notices]
    if config.redis_url_variable is not None:
        lines.append(f"# {REDIS_URL_VARIABLE} is set and takes precedence: {mask_url(config.redis_url_variable)}")
    return shown + "".join(f"{line}\n" for line in lines)


def _section(section: SectionSchema, struct: msgspec.Struct) -> dict[str, Plain]:
    values = {name: getattr(struct, name) for name in struct.__struct_fields__}
    plain: dict[str, Plain] = {}
    for name, key in section.keys.items():
        if key.key_class is KeyClass.WORKS:
            plain[name] = _tag(struct) if name not in values else _value(key, values[name])
    for name, below in section.sections.items():
        if inner := _section(below, values[name]):
            plain[name] = inner
    for name, below in section.lists.items():
        plain[name] = [_section(below, item) for item in values[name]]
    for name, kinds in section.tagged.items():
        plain[name] = [_section(kinds[_tag(item)], item) for item in values[name]]
    return plain


def _tag(struct: msgspec.Struct) -> str:
    return str(struct.__struct_config__.tag)


def _value(key: KeySchema, value: Value) -> Plain:
    if isinstance(value, dict):
        return {name: MASK if key.options.secret else _atom(item) for name, item in value.items()}
    if isinstance(value, tuple):
        return [MASK if key.options.secret else _atom(item) for item in value]
    if value is None or key.options.secret:
        return None if value is None else MASK
    if isinstance(key.value_type, FileMode):
        return f"{value:04o}"
    if isinstance(key.value_type, HttpUrl | RedisUrl):
        return _atom(mask_url(str(value)))
    return _atom(value)


def _atom(value: Atom) -> Plain:
    if isinstance(value, IPv4Network | IPv6Network):
        return str(value)
    return value.replace("${", "$${") if isinstance(value, str) else value
