// Answers all that a server asks in the middle of calls and reports what came of it as one line of JSON.
// Usage: node session_asked.mjs URL

import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';

import { connect } from './session.mjs';

const asked = [];
const [, , url] = process.argv;
const { client, heard } = await connect(url, (params) => {
  asked.push(params.mode ?? 'form');
  return params.mode === 'url' ? { action: 'accept' } : { action: 'accept', content: { name: 'Ada' } };
});
const steps = [];
const onprogress = (step) => void steps.push([step.progress, step.total]);
const report = {
  greeted: await said('greet', {}, { onprogress }),
  surveyed: await said('survey', { harbour: 'Brest' }),
  loggedIn: await said('log_in'),
  prompt: (await client.getPrompt({ name: 'personal' })).messages[0].content.text,
  read: (await client.readResource({ uri: 'log://Brest' })).contents[0].text,
  again: await said('tide', { harbour: 'Brest' }),
  steps,
  asked,
  done: heard.completed.length,
};
await client.close();
process.stdout.write(`${JSON.stringify(report)}\n`);

async function said(name, args = {}, options = {}) {
  const params = { name, arguments: args };
  const result = await client.request({ method: 'tools/call', params }, CallToolResultSchema, {
    timeout: 15_000,
    ...options,
  });
  return result.content[0].text;
}
