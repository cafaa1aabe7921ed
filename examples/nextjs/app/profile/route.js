// SPDX-License-Identifier: Apache-2.0
// Calls the provider for the user who is signed in.
import { AccessTokenForConnectionError } from '@auth0/nextjs-auth0/errors';
import { auth0, connection, profile } from '../../auth0.js';

export async function GET() {
  try {
    const { token } = await auth0.getAccessTokenForConnection({ connection });
    const answer = await fetch(profile, { headers: { authorization: `Bearer ${token}` }, cache: 'no-store' });
    return Response.json(await answer.json(), { status: answer.status });
  } catch (error) {
    if (!(error instanceof AccessTokenForConnectionError)) throw error;
    // federated_connection_refresh_token_not_found: the user must connect; …_flow_failed: must connect again;
    // temporarily_unavailable: try again later; invalid_grant, missing_session: the user must sign in.
    return Response.json({ error: error.cause?.code ?? error.code }, { status: 403 });
  }
}
