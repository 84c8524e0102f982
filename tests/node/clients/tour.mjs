// Uses every feature of a server once and reports what came of it as one line of JSON.
// Usage: node tour.mjs URL fixture|everything

import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';

import { connect, until } from './session.mjs';

const [, , url, kind] = process.argv;
const tours = { fixture: tourFixture, everything: tourEverything };

const { client, transport, heard, listening } = await connect(url);
await listening;
const report = { opening: [client.getServerVersion(), client.getServerCapabilities(), client.getInstructions()] };
await tours[kind]();
const sessionId = transport.sessionId;
await transport.terminateSession();
const headers = { 'mcp-session-id': sessionId, accept: 'application/json, text/event-stream' };
const ping = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' });
const after = await fetch(url, { method: 'POST', body: ping, headers: { ...headers, 'content-type': 'application/json' } });
report.ended = after.status;
await client.close();
process.stdout.write(`${JSON.stringify(report)}\n`);

async function tourFixture() {
  report.ping = await client.ping();
  report.tools = (await client.listTools()).tools;
  report.simple = await tool('test_simple_text');
  report.failing = await tool('test_error_handling');
  report.missing = await failure(tool('no_such_tool'));
  report.progress = await progressOf('test_tool_with_progress');
  await client.setLoggingLevel('info');
  await tool('test_tool_with_logging');
  await client.setLoggingLevel('error');
  await tool('test_tool_with_logging');
  report.logs = heard.logs;
  report.sampled = await tool('test_sampling', { prompt: 'name a port' });
  report.elicited = await tool('test_elicitation', { message: 'who?' });
  report.elicitedUrl = await tool('test_elicitation_url');
  report.roots = await tool('test_roots');
  report.seen = (await tool('test_client')).structuredContent;
  report.resumed = await tool('test_reconnection');
  report.cancelled = await cancelled('test_tool_with_progress');
  report.resources = await pages((cursor) => client.listResources({ cursor }), 'resources');
  report.templates = await pages((cursor) => client.listResourceTemplates({ cursor }), 'resourceTemplates');
  report.prompts = await pages((cursor) => client.listPrompts({ cursor }), 'prompts');
  report.read = await client.readResource({ uri: 'test://static-binary' });
  report.unread = await failure(client.readResource({ uri: 'test://nowhere' }));
  report.prompt = await client.getPrompt({ name: 'test_prompt_with_arguments', arguments: { arg1: 'a', arg2: 'b' } });
  const argument = { name: 'arg1', value: 'par' };
  report.completed = await client.complete({ ref: { type: 'ref/prompt', name: 'test_prompt_with_arguments' }, argument });
  await client.subscribeResource({ uri: 'test://watched-resource' });
  await tool('test_announcements');
  await until(() => heard.changes.length === 4);
  report.changes = heard.changes;
  await client.unsubscribeResource({ uri: 'test://watched-resource' });
}

async function tourEverything() {
  // It asks for the roots on the standing stream, and says there that it has them.
  await until(() => heard.logs.some((line) => String(line).startsWith('Roots updated')));
  report.roots = await tool('get-roots-list');
  report.echo = await tool('echo', { message: 'ahoy' });
  report.progress = await progressOf('trigger-long-running-operation', { duration: 0.4, steps: 4 });
  report.sampled = await tool('trigger-sampling-request', { prompt: 'name a port', maxTokens: 10 });
  report.elicited = await tool('trigger-elicitation-request');
  report.cancelled = await cancelled('trigger-long-running-operation', { duration: 2, steps: 10 });
  report.resources = await pages((cursor) => client.listResources({ cursor }), 'resources');
  report.templates = (await client.listResourceTemplates()).resourceTemplates;
  report.read = (await client.readResource({ uri: 'demo://resource/dynamic/text/7' })).contents[0].uri;
  report.prompts = (await client.listPrompts()).prompts;
  report.prompt = await client.getPrompt({ name: 'args-prompt', arguments: { city: 'Brest' } });
  const argument = { name: 'department', value: 'E' };
  report.completed = await client.complete({ ref: { type: 'ref/prompt', name: 'completable-prompt' }, argument });
  await client.setLoggingLevel('debug');
  await client.subscribeResource({ uri: 'demo://resource/dynamic/text/1' });
  await tool('toggle-subscriber-updates');
  await until(() => heard.changes.includes('demo://resource/dynamic/text/1'), 15_000);
  await tool('toggle-subscriber-updates');
  report.updated = true;
}

async function tool(name, args = {}, options = {}) {
  return client.request({ method: 'tools/call', params: { name, arguments: args } }, CallToolResultSchema, {
    timeout: 15_000,
    ...options,
  });
}

async function progressOf(name, args) {
  const steps = [];
  const result = await tool(name, args, { onprogress: (step) => void steps.push([step.progress, step.total]) });
  return { steps, result };
}

/** Cancels the call at its first progress, and sees that the session goes on. */
async function cancelled(name, args) {
  const leaving = new AbortController();
  const call = tool(name, args, { onprogress: () => leaving.abort('enough'), signal: leaving.signal });
  const message = await failure(call);
  await client.ping();
  return message;
}

async function failure(call) {
  return call.then(
    () => 'it succeeded',
    (error) => String(error?.message ?? error),
  );
}

async function pages(list, key) {
  const found = [];
  let cursor;
  do {
    const page = await list(cursor);
    found.push(page[key]);
    cursor = page.nextCursor;
  } while (cursor);
  return found;
}
