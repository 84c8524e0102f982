// The official client 2.x is asked something by each tool of the everything-server that asks. Usage: node asked.mjs URL

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const capabilities = { sampling: {}, elicitation: { form: {} }, roots: {} };
const client = new Client({ name: 'asked', version: '1' }, { capabilities, versionNegotiation: { mode: 'auto' } });
client.setRequestHandler('elicitation/create', async () => ({ action: 'accept', content: { name: 'Ada' } }));
client.setRequestHandler('sampling/createMessage', async (request) => ({
  role: 'assistant',
  model: 'none',
  content: { type: 'text', text: `heard ${request.params.messages[0].content.text}` },
}));
client.setRequestHandler('roots/list', async () => ({ roots: [{ uri: 'file:///harbour', name: 'harbour' }] }));
await client.connect(new StreamableHTTPClientTransport(new URL(process.argv[2])));

const text = (result) => result.content.map((block) => block.text).join('\n');
const report = { version: client.getNegotiatedProtocolVersion(), elicited: [], sampled: [], rooted: [] };
for (let turn = 0; turn < 3; turn++) {
  report.elicited.push(text(await client.callTool({ name: 'trigger-elicitation-request', arguments: {} })));
  const prompt = { prompt: 'name a port', maxTokens: 10 };
  report.sampled.push(text(await client.callTool({ name: 'trigger-sampling-request', arguments: prompt })));
  report.rooted.push(text(await client.callTool({ name: 'get-roots-list', arguments: {} })));
}
console.log(JSON.stringify(report));
await client.close();
