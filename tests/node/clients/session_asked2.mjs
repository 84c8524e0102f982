// The same as session_asked.mjs with the official client 2.x in a session. Usage: node session_asked2.mjs URL

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [, , url] = process.argv;
const capabilities = { sampling: {}, elicitation: { form: {}, url: {} }, roots: {} };
const client = new Client({ name: 'asked', version: '1' }, { capabilities, versionNegotiation: { mode: 'legacy' } });
const asked = [];
const completed = [];
const steps = [];
client.setRequestHandler('elicitation/create', async ({ params }) => {
  asked.push(params.mode ?? 'form');
  return params.mode === 'url' ? { action: 'accept' } : { action: 'accept', content: { name: 'Ada' } };
});
client.setRequestHandler('sampling/createMessage', async ({ params }) => {
  const content = params.messages[0].content;
  const text = (Array.isArray(content) ? content[0] : content).text;
  return { role: 'assistant', model: 'none', content: { type: 'text', text: `sampled: ${text}` } };
});
client.setRequestHandler('roots/list', async () => ({ roots: [{ uri: 'file:///harbour', name: 'harbour' }] }));
client.setNotificationHandler('notifications/elicitation/complete', (note) => void completed.push(note));
await client.connect(new StreamableHTTPClientTransport(new URL(url)));

const onprogress = (step) => void steps.push([step.progress, step.total]);
const report = {
  version: client.getNegotiatedProtocolVersion(),
  greeted: await said('greet', {}, { onprogress }),
  surveyed: await said('survey', { harbour: 'Brest' }),
  loggedIn: await said('log_in'),
  prompt: (await client.getPrompt({ name: 'personal' })).messages[0].content.text,
  read: (await client.readResource({ uri: 'log://Brest' })).contents[0].text,
  again: await said('tide', { harbour: 'Brest' }),
  steps,
  asked,
  done: completed.length,
};
process.stdout.write(`${JSON.stringify(report)}\n`);
await client.close();

async function said(name, args = {}, options = {}) {
  return (await client.callTool({ name, arguments: args }, { timeout: 15_000, ...options })).content[0].text;
}
