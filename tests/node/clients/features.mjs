// What each feature of the everything-server is asked for, by clients of either generation.

const WATCHED = 'test://watched-resource';
const TOOLS_CHANGED = 'notifications/tools/list_changed';

/** Uses each feature once. Reports as one line of JSON which work, or what went wrong. */
export async function use(client) {
  const report = { modern: client.isModern };
  for (const [name, feature] of Object.entries(FEATURES)) {
    report[name] = await withinS(20, feature(client)).catch((error) => String(error?.message ?? error).slice(0, 300));
  }
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
}

const FEATURES = {
  async tools(client) {
    const listed = (await client.listTools()).tools.map((tool) => tool.name);
    const said = await text(client, 'test_simple_text');
    return listed.includes('test_simple_text') && said.startsWith('This is a simple text');
  },
  async progress(client) {
    const steps = [];
    await client.tool('test_tool_with_progress', {}, { onprogress: (step) => void steps.push(step.progress) });
    return steps.join() === '0,50,100' || steps;
  },
  async resources(client) {
    const listed = (await client.listResources()).resources.map((entry) => entry.uri);
    const read = (await client.readResource({ uri: 'test://static-text' })).contents[0].text;
    return listed.includes('test://static-text') && read.startsWith('This is the content');
  },
  async subscription(client) {
    await client.subscribe(WATCHED);
    return told(client, 'test_announcements', WATCHED);
  },
  async prompts(client) {
    const listed = (await client.listPrompts()).prompts.map((prompt) => prompt.name);
    const said = await client.getPrompt({ name: 'test_prompt_with_arguments', arguments: { arg1: 'a', arg2: 'b' } });
    return listed.includes('test_simple_prompt') && said.messages[0].content.text.includes("arg1='a'");
  },
  async elicitation(client) {
    const said = await text(client, 'test_elicitation', { message: 'who?' });
    return said === 'Elicitation completed: action=decline, content=None' || said;
  },
  async sampling(client) {
    const said = await text(client, 'test_sampling', { prompt: 'name a port' });
    return said === 'LLM response: sampled: name a port' || said;
  },
  async cancellation(client) {
    const mark = crypto.randomUUID();
    const leaving = new AbortController();
    const options = { onprogress: () => leaving.abort('enough'), signal: leaving.signal };
    await client.tool('test_waiting', { mark }, options).catch(() => {});
    while ((await text(client, 'test_was_cancelled', { mark })) !== 'yes') await pause(50);
    return true;
  },
  async 'list-changed'(client) {
    await client.watchTools();
    return told(client, 'test_trigger_tool_change', TOOLS_CHANGED);
  },
};

/** Whether the client hears of a change that `tool` makes. A stream that opens late misses one: it is made again. */
async function told(client, tool, change) {
  client.changes.length = 0;
  while (!client.changes.includes(change)) {
    await client.tool(tool);
    for (let turn = 0; turn < 25 && !client.changes.includes(change); turn += 1) await pause(20);
  }
  return true;
}

async function text(client, name, args = {}) {
  return (await client.tool(name, args)).content[0].text;
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function withinS(seconds, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
