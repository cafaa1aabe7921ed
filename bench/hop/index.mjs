// SPDX-License-Identifier: Apache-2.0
// Shows the platform's own limit: a Worker that reads the body, calls one SQLite Durable Object, and
// returns the object's constant response.
import { DurableObject } from 'cloudflare:workers';

const CONSTANT = JSON.stringify({ access_token: 'x'.repeat(43), token_type: 'Bearer', expires_in: 600 });

export class Hop extends DurableObject {
  fetch() {
    return new Response(CONSTANT, { headers: { 'content-type': 'application/json' } });
  }
}

export default {
  async fetch(request, env) {
    if (request.method !== 'POST') return new Response('ok');
    const name = (await request.text()).slice(-16);
    return env.HOP.get(env.HOP.idFromName(name)).fetch('https://object/');
  },
};
