// Logs in to an MCP server with the official TypeScript SDK, as a browser whose user agrees to everything would,
// and reports its tools as one line of JSON. Usage: node oauth_client.mjs URL
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'

const url = new URL(process.argv[2])
const redirectUrl = 'http://127.0.0.1:9/callback'
const kept = {}
const provider = {
  redirectUrl,
  clientMetadata: {
    client_name: 'tests', redirect_uris: [redirectUrl], grant_types: ['authorization_code'], response_types: ['code'],
    token_endpoint_auth_method: 'none', application_type: 'native',
  },
  clientInformation: () => kept.client,
  saveClientInformation: client => { kept.client = client },
  tokens: () => kept.tokens,
  saveTokens: tokens => { kept.tokens = tokens },
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: verifier => { kept.verifier = verifier },
  redirectToAuthorization: async start => { kept.code = await browse(start) },
}

async function browse (start) {
  const cookies = new Map()
  let place = start
  while (!place.href.startsWith(redirectUrl)) {
    const cookie = [...cookies].map(pair => pair.join('=')).join('; ')
    const answer = await fetch(place, { redirect: 'manual', headers: { cookie } })
    for (const line of answer.headers.getSetCookie()) {
      const [name, value] = line.split(';')[0].split('=')
      cookies.set(name, value)
    }
    const location = answer.headers.get('location')
    if (!location) throw new Error(`no way on from ${place.pathname}: ${answer.status} ${await answer.text()}`)
    place = new URL(location, place)
  }
  return place.searchParams.get('code')
}

const connect = async transport => {
  const client = new Client({ name: 'tests', version: '1' })
  await client.connect(transport)
  return client
}

const first = new StreamableHTTPClientTransport(url, { authProvider: provider })
try {
  await connect(first)
  throw new Error('the server asked for no login')
} catch (err) {
  if (!(err instanceof UnauthorizedError)) throw err
}
await first.finishAuth(kept.code)
const client = await connect(new StreamableHTTPClientTransport(url, { authProvider: provider }))
const { tools } = await client.listTools()
console.log(JSON.stringify({ tools: tools.map(tool => tool.name), scope: kept.tokens.scope }))
await client.close()
