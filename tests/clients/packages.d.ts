// SPDX-License-Identifier: Apache-2.0
// Packages that only the suite `clients` installs; the static checks run without them.
declare module '@auth0/ai/TokenVault';
declare module '@auth0/ai/stores';
declare module '@auth0/auth0-auth-js';
declare module '@auth0/auth0-server-js';
declare module '@auth0/nextjs-auth0/server';
declare module 'auth0/legacy';
declare module 'express';
declare module 'express-openid-connect';
declare module 'next';
declare module 'next/server.js';
declare module 'oauth4webapi';
declare module 'openid-client';
