// SPDX-License-Identifier: Apache-2.0
// Packages that only the examples install; the static checks run without them.
declare module '@auth0/nextjs-auth0/errors';
declare module '@auth0/nextjs-auth0/server';
declare module 'express';
declare module 'express-openid-connect';
