// Makes calls in one session until a file appears; each that fails is made once more. Reports as one line of JSON.
// Usage: node loop.mjs URL FILE

import { existsSync } from 'node:fs';

import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';

import { connect } from './session.mjs';

const [, , url, file] = process.argv;
const { client } = await connect(url);
const options = { timeout: 4_000 };
const report = { calls: 0, retried: [], lost: [] };

const kinds = {
  plain: async () => textOf(await call('test_simple_text')).startsWith('This is a simple'),
  progress: async () => textOf(await call('test_tool_with_progress')) === 'progressed',
  sampling: async () => textOf(await call('test_sampling', { prompt: 'x' })) === 'LLM response: sampled: x',
  tools: async () => (await client.listTools(undefined, options)).tools.length > 10,
  read: async () => (await client.readResource({ uri: 'test://static-text' }, options)).contents.length === 1,
  prompts: async () => (await client.listPrompts(undefined, options)).prompts.length === 2,
};

while (!existsSync(file)) {
  for (const [kind, attempt] of Object.entries(kinds)) {
    report.calls += 1;
    const first = await outcome(attempt);
    if (first === true) continue;
    report.retried.push(`${kind}: ${first}`);
    const second = await outcome(attempt);
    if (second !== true) report.lost.push(`${kind}: ${second}`);
  }
}
await client.close();
process.stdout.write(`${JSON.stringify(report)}\n`);

function call(name, args = {}) {
  return client.request({ method: 'tools/call', params: { name, arguments: args } }, CallToolResultSchema, options);
}

function textOf(result) {
  return result.content[0].text;
}

async function outcome(attempt) {
  return attempt().catch((error) => String(error?.message ?? error));
}
