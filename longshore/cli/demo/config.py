"""Configuration file of the demonstration. Pure."""

import msgspec

SERVER_ID = "demo"
MOUNT = f"/mcp/{SERVER_ID}"
INSPECT = "inspect_file"
REPORT = "make_report"

_TEMPLATE = """\
# `longshore up --demo` writes this file at each start: copy it before you change it.
core:
  host: 127.0.0.1
  port: {port}
  admin_port: {admin_port}
  allow_artifacts_download: true
storage:
  root: {root}
servers:
  - id: demo
    mount_path: /mcp/demo
    upstream:
      url: {upstream}
    adapters:
      - type: upload_consumer           # upload:// handles in `path` become paths
        tools: [inspect_file]
        file_path_argument: path
      - type: artifact_producer         # longshore fills in the path, the client gets a link
        tools: [make_report]
        output_path_argument: output_path
"""


def render(*, root: str, upstream: str, port: int, admin_port: int) -> str:
    """Render the file; `root` may contain any characters."""
    return _TEMPLATE.format(root=_literal(root), upstream=_literal(upstream), port=port, admin_port=admin_port)


def _literal(text: str) -> str:
    """Quote a text: a JSON string is a YAML string, and the configuration reads `$${` as `${`."""
    return msgspec.json.encode(text.replace("${", "$${")).decode()
