"""Index of a server's adapters by tool name. Pure; built once for each server."""

from dataclasses import dataclass

from longshore.shared.config import ArtifactProducer, Server, UploadConsumer


@dataclass(frozen=True, slots=True)
class ToolAdapters:
    """Adapters of one tool. A tool may have both kinds."""

    consumers: tuple[UploadConsumer, ...] = ()
    producer: ArtifactProducer | None = None


@dataclass(frozen=True, slots=True)
class Adapters:
    """Adapters of one server, by tool name."""

    by_tool: dict[str, ToolAdapters]
    accepts_uploads: bool        # some tool consumes uploads, so the helper tools exist
    exposes_artifacts: bool      # some tool's artifacts are MCP resources
    keeps_files: bool            # uploads or artifacts of either kind

    @classmethod
    def of(
        cls, server: Server, *, uploads: bool, artifacts: bool, expose: bool, spills: bool = False
    ) -> "Adapters":
        """Index `server.adapters`. The flags are `uploads.enabled`, `artifacts.enabled` and
        `artifacts.expose_as_resources`; `spills` is True if large results become artifacts.

        If several producers name a tool, the first one captures its files.
        """
        consumers: dict[str, list[UploadConsumer]] = {}
        producers: dict[str, ArtifactProducer] = {}
        for adapter in server.adapters:
            for tool in adapter.tools:
                if isinstance(adapter, UploadConsumer):
                    consumers.setdefault(tool, []).append(adapter)
                else:
                    producers.setdefault(tool, adapter)
        consumers = consumers if uploads else {}
        producers = producers if artifacts else {}
        by_tool = {
            tool: ToolAdapters(tuple(consumers.get(tool, ())), producers.get(tool)) for tool in {*consumers, *producers}
        }
        exposes = expose and (spills or any(producer.expose_as_resource for producer in producers.values()))
        return cls(by_tool, bool(consumers), exposes, bool(by_tool) or spills)

    def file_arguments(self) -> dict[str, tuple[str, ...]]:
        """Argument paths of the tools that read files: dotted paths by tool name."""
        return {
            name: tuple(dict.fromkeys(adapter.file_path_argument for adapter in tool.consumers))
            for name, tool in self.by_tool.items() if tool.consumers
        }
