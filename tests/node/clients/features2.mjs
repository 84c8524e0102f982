// The official client 2.x uses each feature of the everything-server. Usage: node features2.mjs URL legacy|auto

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

import { use } from './features.mjs';

const [, , url, mode] = process.argv;
const capabilities = { sampling: {}, elicitation: { form: {}, url: {} }, roots: {} };
const client = new Client({ name: 'features', version: '1' }, { capabilities, versionNegotiation: { mode } });
const changes = [];
client.setRequestHandler('sampling/createMessage', async (request) => ({
  role: 'assistant',
  model: 'none',
  content: { type: 'text', text: `sampled: ${request.params.messages[0].content.text}` },
}));
client.setRequestHandler('elicitation/create', async () => ({ action: 'decline' }));
client.setRequestHandler('roots/list', async () => ({ roots: [] }));
client.setNotificationHandler('notifications/tools/list_changed', (note) => void changes.push(note.method));
client.setNotificationHandler('notifications/resources/updated', (note) => void changes.push(note.params.uri));
const transport = new StreamableHTTPClientTransport(new URL(url));
client.onerror = () => {}; // what fails is reported by the call that it fails for
await client.connect(transport);

const isModern = client.getNegotiatedProtocolVersion() === '2026-07-28';
await use({
  isModern,
  changes,
  tool: (name, args = {}, options = {}) => client.callTool({ name, arguments: args }, options),
  subscribe: (uri) => (isModern ? client.listen({ resourceSubscriptions: [uri] }) : client.subscribeResource({ uri })),
  watchTools: async () => {
    if (isModern) await client.listen({ toolsListChanged: true });
  },
  listTools: () => client.listTools(),
  listResources: () => client.listResources(),
  readResource: (params) => client.readResource(params),
  listPrompts: () => client.listPrompts(),
  getPrompt: (params) => client.getPrompt(params),
});
