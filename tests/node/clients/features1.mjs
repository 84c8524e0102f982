// The official SDK 1.x uses each feature of the everything-server. Usage: node features1.mjs URL

import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';

import { use } from './features.mjs';
import { connect } from './session.mjs';

const { client, heard } = await connect(process.argv[2]);
await use({
  isModern: false,
  changes: heard.changes,
  tool: (name, args = {}, options = {}) =>
    client.request({ method: 'tools/call', params: { name, arguments: args } }, CallToolResultSchema, options),
  subscribe: (uri) => client.subscribeResource({ uri }),
  watchTools: async () => {},
  listTools: () => client.listTools(),
  listResources: () => client.listResources(),
  readResource: (params) => client.readResource(params),
  listPrompts: () => client.listPrompts(),
  getPrompt: (params) => client.getPrompt(params),
});
