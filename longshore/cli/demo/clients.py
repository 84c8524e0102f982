"""Configuration of MCP clients for one mount of this gateway, ready to paste. Pure."""

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True)
class Recipe:
    """Configuration of one client."""

    client: str
    where: str      # the file, or "in a terminal"
    text: str       # to paste unchanged


def recipes(name: str, url: str) -> list[Recipe]:
    """Recipes for Claude Code, VS Code, Cursor and Codex to reach `url` as `name`."""
    return [
        Recipe("Claude Code", "in a terminal", f"claude mcp add --transport http {name} {url}"),
        Recipe("VS Code", ".vscode/mcp.json", _pretty({"servers": {name: {"type": "http", "url": url}}})),
        Recipe("Cursor", ".cursor/mcp.json", _pretty({"mcpServers": {name: {"url": url}}})),
        Recipe("Codex", "~/.codex/config.toml", f'[mcp_servers.{name}]\nurl = "{url}"'),
    ]


def _pretty(value: dict[str, dict[str, dict[str, str]]]) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
