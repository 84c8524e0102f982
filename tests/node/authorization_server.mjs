// An OAuth 2.1 authorization server whose only user, ada, is logged in and consents without being asked.
// Usage: node authorization_server.mjs PORT jwt|opaque
import http from 'node:http'
import { Provider } from 'oidc-provider'

const [port, format] = process.argv.slice(2)
const issuer = `http://127.0.0.1:${port}`

const provider = new Provider(issuer, {
  scopes: ['openid', 'offline_access', 'files:use'],
  clients: [{
    client_id: 'longshore', client_secret: 'secret-of-longshore', redirect_uris: [], response_types: [], grant_types: [],
  }],
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  features: {
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    registration: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        scope: 'files:use', audience: resource, accessTokenTTL: 600, accessTokenFormat: format,
        ...(format === 'jwt' ? { jwt: { sign: { alg: 'RS256' } } } : {}),
      }),
      useGrantedResource: () => true,
    },
  },
})

async function agree (req, res) {
  const { prompt, params, session } = await provider.interactionDetails(req, res)
  if (prompt.name === 'login') {
    return provider.interactionFinished(req, res, { login: { accountId: 'ada' } })
  }
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id })
  grant.addOIDCScope((prompt.details.missingOIDCScope ?? []).join(' '))
  for (const [resource, scopes] of Object.entries(prompt.details.missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(' '))
  }
  const grantId = await grant.save()
  return provider.interactionFinished(req, res, { consent: { grantId } }, { mergeWithLastSubmission: true })
}

const answer = provider.callback()
http.createServer((req, res) => {
  if (req.url.startsWith('/interaction/')) {
    agree(req, res).catch(err => { console.error(err); res.writeHead(500).end() })
  } else {
    answer(req, res)
  }
}).listen(Number(port), '127.0.0.1')
