// SPDX-License-Identifier: Apache-2.0
// Auth0's SDK with the vault as its domain. It reads AUTH0_DOMAIN, AUTH0_CLIENT_ID, AUTH0_CLIENT_SECRET, AUTH0_SECRET
// and APP_BASE_URL.
import { Auth0Client } from '@auth0/nextjs-auth0/server';

export const auth0 = new Auth0Client({
  enableConnectAccountEndpoint: true,
  // In development the vault may be on `localhost` and have a port.
  allowInsecureRequests: process.env.NODE_ENV === 'development',
});

/** The connection, and the address of its provider's API that the application calls. */
export const { CONNECTION: connection = '', PROFILE: profile = '' } = process.env;
