// SPDX-License-Identifier: Apache-2.0
// A backend that calls a provider on behalf of its users, with the vault of `cargo xtask dev`:
//
//   node examples/backend.mjs [.dev/dev.json]
//
// then   curl -H "Authorization: Bearer <a user's access token>" http://127.0.0.1:3000/profile
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const dev = JSON.parse(readFileSync(process.argv[2] ?? '.dev/dev.json', 'utf8'));
const { client_id: id, client_secret: secret } = dev.clients.backend;

/** Exchanges a user's access token for the provider's. Do not cache the result: the vault does. */
async function providerToken(userToken, connection) {
  const response = await fetch(`${dev.vault}/oauth/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` },
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      subject_token: userToken,
      audience: connection,
    }),
  });
  const answer = await response.json();
  if (response.ok) return answer.access_token;
  // `connection_state.state` says whether the user must connect (again) or should wait.
  throw Object.assign(new Error(answer.error_description), { status: response.status, answer });
}

const server = createServer(async (request, response) => {
  const userToken = request.headers.authorization?.replace(/^Bearer /i, '') ?? '';
  try {
    const token = await providerToken(userToken, 'demo');
    const profile = await fetch(`${dev.provider}/me`, { headers: { authorization: `Bearer ${token}` } });
    response.writeHead(profile.status, { 'content-type': 'application/json' }).end(await profile.text());
  } catch (error) {
    const { error: code, connection_state: state } = error.answer ?? { error: 'server_error' };
    response.writeHead(error.status ?? 500, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ error: code, connection_state: state, message: error.message }));
  }
});
server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  console.log(`http://127.0.0.1:${port}/profile`);
});
