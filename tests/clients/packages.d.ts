// SPDX-License-Identifier: Apache-2.0
// Packages that only the suite `clients` installs; the static checks run without them.
declare module '@auth0/auth0-auth-js';
declare module 'oauth4webapi';
declare module 'openid-client';
