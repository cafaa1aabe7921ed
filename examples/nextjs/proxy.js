// SPDX-License-Identifier: Apache-2.0
// Serves /auth/login, /auth/callback, /auth/connect and /auth/logout.
import { auth0 } from './auth0.js';

export const proxy = (request) => auth0.middleware(request);

export const config = { matcher: ['/((?!_next/).*)'] };
