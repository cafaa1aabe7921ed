// SPDX-License-Identifier: Apache-2.0
declare module 'cloudflare:workers' {
  export class DurableObject { constructor(ctx: any, env: any); ctx: any; env: any; }
}
