// A client of the official SDK with every capability, and what it heard of the server.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  CreateMessageRequestSchema,
  ElicitationCompleteNotificationSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  PromptListChangedNotificationSchema,
  ResourceListChangedNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';

const CAPABILITIES = { sampling: {}, elicitation: { form: {}, url: {} }, roots: { listChanged: true } };
export const ROOT = { uri: 'file:///harbour', name: 'harbour' };

/** Connects. `heard` has what came by itself, in its order; `listening` resolves when the GET stream is open. */
export async function connect(url, elicit = declineForms) {
  const heard = { logs: [], changes: [], completed: [] };
  const client = new Client({ name: 'tour', version: '1' }, { capabilities: CAPABILITIES });
  client.setRequestHandler(CreateMessageRequestSchema, async (request) => ({
    role: 'assistant',
    model: 'none',
    content: { type: 'text', text: `sampled: ${request.params.messages[0].content.text}` },
  }));
  client.setRequestHandler(ElicitRequestSchema, async (request) => elicit(request.params));
  client.setRequestHandler(ListRootsRequestSchema, async () => ({ roots: [ROOT] }));
  client.setNotificationHandler(LoggingMessageNotificationSchema, (note) => void heard.logs.push(note.params.data));
  client.setNotificationHandler(ElicitationCompleteNotificationSchema, (note) => void heard.completed.push(note.params));
  for (const schema of [
    ToolListChangedNotificationSchema,
    PromptListChangedNotificationSchema,
    ResourceListChangedNotificationSchema,
  ]) {
    client.setNotificationHandler(schema, (note) => void heard.changes.push(note.method));
  }
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, (note) => void heard.changes.push(note.params.uri));

  let opened;
  const listening = new Promise((resolve) => (opened = resolve));
  const watched = async (address, init) => {
    const response = await fetch(address, init);
    if (init?.method === 'GET' && response.ok) opened();
    return response;
  };
  const transport = new StreamableHTTPClientTransport(new URL(url), { fetch: watched });
  transport.onerror = () => {}; // what fails is reported by the call that it fails for
  await client.connect(transport);
  return { client, transport, heard, listening };
}

function declineForms(params) {
  return params.mode === 'url' ? { action: 'accept' } : { action: 'decline' };
}

/** Waits until `look()` is true. */
export async function until(look, withinMs = 10_000) {
  const endsAt = Date.now() + withinMs;
  while (!look()) {
    if (Date.now() > endsAt) throw new Error(`nothing came within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
