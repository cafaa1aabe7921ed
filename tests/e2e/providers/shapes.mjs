// SPDX-License-Identifier: Apache-2.0
// The formats of the other providers of the catalogue, each from its own documentation (`source`).
//
// `auth`: the method of client authentication (`basic`, `post`, or `key`: the secret as user name); `asks`:
// the required parameters of an authorization request; `sends`: those of each token request, `renews`: those
// of a refresh; `life`: the lifetime of an access token in seconds, `tells: false` if responses do not state
// it, `refresh: false` if there is no refresh token; `once`: a refresh token can be used only once; `told`:
// how responses write scopes; `says`: further members of a response; `me`: where the user is read; `hint`:
// the user's value by which the vault then knows the account; `dead`: the response to a refresh of an ended
// grant, if it is not that of RFC 6749, and `deadSource`; `revoke`: the revocation endpoint for a refresh
// token (RFC 7009), and `revokeSource`; `revokes`: how revocations differ from that (`auth`: `none`, or `client` for
// `Authorization: Client SECRET`; `bodies`; `parameter` of the token; `access`: it is an access token); `idParameter`: the
// parameter for the client id; `tellsAt`: the member with the time of expiry; `never`: parameters that token
// requests do not have.
const email = ({ email: address }) => address;
const id = ({ id: number }) => number;

export const SHAPES = {
  airtable: {
    source: 'https://airtable.com/developers/web/api/oauth-reference',
    authorize: 'airtable.com/oauth2/v1/authorize', token: 'airtable.com/oauth2/v1/token',
    auth: 'basic', pkce: 'required', life: 3600, once: true,
    says: () => ({ refresh_expires_in: 5184000 }),
    me: { at: 'api.airtable.com/v0/meta/whoami', says: (user) => ({ id: user.id, email: user.email }) },
    hint: email,
  },
  amazon: {
    source: 'https://developer.amazon.com/docs/login-with-amazon/authorization-code-grant.html',
    authorize: 'www.amazon.com/ap/oa', token: 'api.amazon.com/auth/o2/token', auth: 'post', life: 3600,
    me: { at: 'api.amazon.com/user/profile', says: (user) => ({ user_id: user.id, email: user.email, name: user.name }) },
    hint: email,
  },
  asana: {
    source: 'https://developers.asana.com/docs/oauth',
    authorize: 'app.asana.com/-/oauth_authorize', token: 'app.asana.com/-/oauth_token', auth: 'post', life: 3600,
    says: (user) => ({ data: { id: user.number, gid: user.id, name: user.name, email: user.email } }),
    hint: email,
  },
  bitbucket: {
    source: 'https://developer.atlassian.com/cloud/bitbucket/oauth-2/',
    authorize: 'bitbucket.org/site/oauth2/authorize', token: 'bitbucket.org/site/oauth2/access_token', auth: 'basic', life: 7200,
    scopes: false, told: () => ({ scope: 'account repository' }), once: true,
    me: { at: 'api.bitbucket.org/2.0/user', says: (user) => ({ uuid: `{${user.id}}`, username: user.login }) },
    hint: ({ login }) => login,
  },
  calendly: {
    source: 'https://developer.calendly.com/api-docs/authentication',
    authorize: 'auth.calendly.com/oauth/authorize', token: 'auth.calendly.com/oauth/token', auth: 'basic', life: 7200, once: true,
    says: (user) => ({ owner: `https://api.calendly.com/users/${user.id}`, organization: 'https://api.calendly.com/organizations/1' }),
    hint: (user) => `https://api.calendly.com/users/${user.id}`,
  },
  canva: {
    source: 'https://www.canva.dev/docs/connect/authentication/',
    authorize: 'www.canva.com/api/oauth/authorize', token: 'api.canva.com/rest/v1/oauth/token',
    auth: 'basic', pkce: 'required', life: 14400, once: true,
    dead: { code: 'invalid_grant', message: 'Refresh token is invalid.' },
    deadSource: 'https://github.com/canva-sdks/canva-connect-api-starter-kit/blob/main/openapi/spec.yml',
    me: { at: 'api.canva.com/rest/v1/users/me', says: (user) => ({ team_user: { user_id: user.id, team_id: 't' } }) },
    hint: id,
  },
  clickup: {
    source: 'https://developer.clickup.com/docs/authentication',
    authorize: 'app.clickup.com/api', token: 'api.clickup.com/api/v2/oauth/token',
    auth: 'post', bodies: ['json'], never: ['grant_type', 'redirect_uri'], pkce: 'refused', scopes: false,
    tells: false, refresh: false, told: () => ({}),
    me: { at: 'api.clickup.com/api/v2/user', says: (user) => ({ user: { id: user.number, username: user.name, email: user.email } }) },
    hint: email,
  },
  digitalocean: {
    source: 'https://docs.digitalocean.com/reference/api/oauth/',
    authorize: 'cloud.digitalocean.com/v1/oauth/authorize', token: 'cloud.digitalocean.com/v1/oauth/token', auth: 'post', life: 2592000, once: true,
    says: (user) => ({ info: { name: user.name, email: user.email, uuid: user.id } }),
    hint: email,
  },
  discord: {
    source: 'https://discord.com/developers/docs/topics/oauth2',
    authorize: 'discord.com/oauth2/authorize', token: 'discord.com/api/oauth2/token', auth: 'basic', life: 604800, once: true,
    me: { at: 'discord.com/api/users/@me', says: (user) => ({ id: user.id, username: user.login, email: user.email }) },
    hint: email,
  },
  docusign: {
    source: 'https://developers.docusign.com/platform/auth/confidential-authcode-get-token/',
    authorize: 'account.docusign.com/oauth/auth', token: 'account.docusign.com/oauth/token', auth: 'basic', life: 28800, once: true,
    me: { at: 'account.docusign.com/oauth/userinfo', says: (user) => ({ sub: user.id, name: user.name, email: user.email, accounts: [{ account_id: 'a1', is_default: true, base_uri: 'https://demo.docusign.net' }] }) },
    hint: email, data: { 'accounts.0.base_uri': 'https://demo.docusign.net' },
  },
  dropbox: {
    source: 'https://www.dropbox.com/developers/documentation/http/documentation#authorization',
    authorize: 'www.dropbox.com/oauth2/authorize', token: 'api.dropboxapi.com/oauth2/token', auth: 'basic',
    asks: { token_access_type: 'offline' }, life: 14400,
    says: (user) => ({ account_id: `dbid:${user.id}`, uid: user.id }),
    hint: (user) => `dbid:${user.id}`,
  },
  fitbit: {
    source: 'https://dev.fitbit.com/build/reference/web-api/developer-guide/authorization/',
    authorize: 'www.fitbit.com/oauth2/authorize', token: 'api.fitbit.com/oauth2/token', auth: 'basic', life: 28800, once: true,
    says: (user) => ({ user_id: user.id }),
    dead: { errors: [{ errorType: 'invalid_grant', message: 'Refresh token invalid' }], success: false },
    deadSource: 'https://dev.fitbit.com/build/reference/web-api/troubleshooting-guide/error-messages/',
    hint: id,
  },
  freshbooks: {
    source: 'https://www.freshbooks.com/api/authentication',
    authorize: 'auth.freshbooks.com/oauth/authorize', token: 'api.freshbooks.com/auth/oauth/token', auth: 'post', life: 43200, once: true,
    renews: { redirect_uri: 'callback' },
    me: { at: 'api.freshbooks.com/auth/api/v1/users/me', says: (user) => ({ response: { id: user.number, email: user.email } }) },
    hint: email,
  },
  gitlab: {
    source: 'https://docs.gitlab.com/api/oauth2/',
    authorize: 'gitlab.com/oauth/authorize', token: 'gitlab.com/oauth/token', auth: 'post', life: 7200, once: true,
    renews: { redirect_uri: 'callback' },
    me: { at: 'gitlab.com/api/v4/user', says: (user) => ({ id: user.number, username: user.login, email: user.email }) },
    hint: email,
  },
  gong: {
    source: 'https://help.gong.io/docs/create-an-app-for-gong',
    authorize: 'app.gong.io/oauth2/authorize', token: 'app.gong.io/oauth2/generate-customer-token',
    auth: 'basic', pkce: 'refused', life: 86400, once: true,
    says: () => ({ api_base_url_for_customer: 'https://company-17.api.gong.io' }),
    data: { api_base_url_for_customer: 'https://company-17.api.gong.io' },
  },
  hubspot: {
    source: 'https://developers.hubspot.com/docs/api-reference/auth-oauth-v3/guide',
    authorize: 'app.hubspot.com/oauth/authorize', token: 'api.hubapi.com/oauth/2026-03/token', auth: 'post', life: 1800,
    revoke: 'api.hubapi.com/oauth/2026-03/token/revoke', revoked: 'revoked',
    revokeSource: 'https://developers.hubspot.com/docs/api-reference/latest/authentication/oauth-tokens/revoke-token',
    told: (scopes) => ({ scopes: ['oauth', ...scopes] }), says: (user) => ({ hub_id: user.number }),
    hint: (user) => String(user.number),
    dead: {
      error: 'invalid_grant', error_description: 'refresh token is invalid, expired or revoked',
      status: 'BAD_REFRESH_TOKEN', message: 'refresh token is invalid, expired or revoked',
    },
    deadSource: 'https://developers.hubspot.com/changelog/new-oauth-v3-api-endpoints-and-standardized-error-responses',
  },
  huggingface: {
    source: 'https://huggingface.co/docs/hub/oauth',
    issuer: 'huggingface.co', authorize: 'huggingface.co/oauth/authorize', token: 'huggingface.co/oauth/token',
    auth: 'basic', life: 28800, refresh: false, hint: email,
  },
  intercom: {
    source: 'https://developers.intercom.com/docs/build-an-integration/learn-more/authentication/setting-up-oauth',
    authorize: 'app.intercom.com/oauth', token: 'api.intercom.io/auth/eagle/token',
    auth: 'post', scopes: false, tells: false, refresh: false, told: () => ({}),
    me: { at: 'api.intercom.io/me', says: (user) => ({ type: 'admin', id: user.id, email: user.email, name: user.name }) },
    hint: email,
  },
  klaviyo: {
    source: 'https://developers.klaviyo.com/en/docs/set_up_oauth',
    authorize: 'www.klaviyo.com/oauth/authorize', token: 'a.klaviyo.com/oauth/token',
    auth: 'basic', pkce: 'required', life: 3600,
    me: {
      at: 'a.klaviyo.com/api/accounts', headers: ['revision'],
      says: (user) => ({ data: [{ type: 'account', id: user.id, attributes: { contact_information: { default_sender_email: user.email, organization_name: user.name } } }] }),
    },
    hint: email, revoked: 'revoked',
    revoke: 'a.klaviyo.com/oauth/revoke', revokeSource: 'https://developers.klaviyo.com/en/docs/set_up_oauth',
  },
  linear: {
    source: 'https://linear.app/developers/oauth-2-0-authentication',
    authorize: 'linear.app/oauth/authorize', token: 'api.linear.app/oauth/token', auth: 'post', separator: ',',
    asks: { prompt: 'consent' }, life: 86399, once: true, told: (scopes) => ({ scope: scopes.join(' ') }),
    me: { method: 'POST', at: 'api.linear.app/graphql', says: (user) => ({ data: { viewer: { id: user.id, email: user.email, name: user.name } } }) },
    hint: email,
  },
  linkedin: {
    source: 'https://learn.microsoft.com/en-us/linkedin/shared/authentication/authorization-code-flow',
    authorize: 'www.linkedin.com/oauth/v2/authorization', token: 'www.linkedin.com/oauth/v2/accessToken',
    auth: 'post', pkce: 'refused', life: 5184000, told: (scopes) => ({ scope: scopes.toSorted().join(',') }),
    me: { at: 'api.linkedin.com/v2/userinfo', says: (user) => ({ sub: user.id, name: user.name, email: user.email }) },
    hint: email,
  },
  mailchimp: {
    source: 'https://mailchimp.com/developer/marketing/guides/access-user-data-oauth-2/',
    authorize: 'login.mailchimp.com/oauth2/authorize', token: 'login.mailchimp.com/oauth2/token',
    auth: 'post', scopes: false, refresh: false, told: () => ({ scope: null }),
    me: { at: 'login.mailchimp.com/oauth2/metadata', scheme: 'OAuth', says: (user) => ({ dc: 'us6', user_id: user.number, accountname: user.name, login: { email: user.email } }) },
    hint: email, data: { dc: 'us6' },
  },
  miro: {
    source: 'https://developers.miro.com/docs/getting-started-with-oauth',
    authorize: 'miro.com/oauth/authorize', token: 'api.miro.com/v1/oauth/token',
    auth: 'post', pkce: 'refused', scopes: false, life: 3600, once: true, told: () => ({ scope: 'boards:read boards:write' }),
    says: (user) => ({ user_id: user.id, team_id: 3074457 }),
    hint: (user) => `${user.id}:3074457`, data: { team_id: '3074457' }, revoked: 'not_supported',
  },
  monday: {
    source: 'https://developer.monday.com/apps/docs/migrating-to-the-new-oauth-flow',
    authorize: 'auth.monday.com/oauth2/authorize', token: 'auth.monday.com/oauth_ms/oauth/token',
    auth: 'post', bodies: ['json'], pkce: 'required', life: 3600, tells: false, once: true,
    me: { method: 'POST', at: 'api.monday.com/v2', says: (user) => ({ data: { me: { id: user.id, email: user.email, name: user.name, account: { id: '7' } } } }) },
    hint: email, revoked: 'revoked',
    revoke: 'auth.monday.com/oauth_ms/oauth/revoke', revokeSource: 'https://developer.monday.com/apps/docs/migrating-to-the-new-oauth-flow',
  },
  paypal: {
    source: 'https://developer.paypal.com/docs/log-in-with-paypal/integrate/',
    authorize: 'www.paypal.com/signin/authorize', token: 'api.paypal.com/v1/oauth2/token', auth: 'basic', life: 28800,
    asks: { flowEntry: 'static' },
    me: { at: 'api.paypal.com/v1/identity/openidconnect/userinfo', says: (user) => ({ user_id: user.id, name: user.name, email: user.email }) },
    hint: email,
  },
  pipedrive: {
    source: 'https://pipedrive.readme.io/docs/marketplace-oauth-authorization',
    authorize: 'oauth.pipedrive.com/oauth/authorize', token: 'oauth.pipedrive.com/oauth/token',
    auth: 'basic', pkce: 'refused', scopes: false, life: 3600, told: () => ({ scope: 'base,deals:full' }),
    says: () => ({ api_domain: 'https://acme.pipedrive.com' }), data: { api_domain: 'https://acme.pipedrive.com' },
    me: { at: 'api.pipedrive.com/v1/users/me', says: (user) => ({ success: true, data: { id: user.number, company_id: 42, email: user.email, name: user.name } }) },
    hint: email, revoked: 'revoked',
    revoke: 'oauth.pipedrive.com/oauth/revoke', revokeSource: 'https://developers.pipedrive.com/docs/api/v1/Oauth',
  },
  quickbooks: {
    source: 'https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/oauth-2.0',
    authorize: 'appcenter.intuit.com/connect/oauth2', token: 'oauth.platform.intuit.com/oauth2/v1/tokens/bearer', auth: 'basic', life: 3600, once: true,
    // A user may connect several companies.
    callback: (user) => ({ realmId: String(user.number) }), told: () => ({}), says: () => ({ x_refresh_token_expires_in: 8726400 }),
    hint: (user) => String(user.number),
    revokes: { bodies: ['json'] }, revoked: 'revoked',
    revoke: 'developer.api.intuit.com/v2/oauth2/tokens/revoke', revokeSource: 'https://developer.intuit.com/app/developer/qbo/docs/develop/authentication-and-authorization/oauth-2.0',
  },
  reddit: {
    source: 'https://github.com/reddit-archive/reddit/wiki/OAuth2',
    authorize: 'www.reddit.com/api/v1/authorize', token: 'www.reddit.com/api/v1/access_token', auth: 'basic',
    asks: { duration: 'permanent' }, life: 86400,
    me: { at: 'oauth.reddit.com/api/v1/me', says: (user) => ({ id: user.id, name: user.login }) },
    hint: ({ login }) => login,
  },
  slack_bot: {
    source: 'https://docs.slack.dev/authentication/installing-with-oauth',
    authorize: 'slack.com/oauth/v2/authorize', token: 'slack.com/api/oauth.v2.access', auth: 'basic', separator: ',', life: 43200, once: true,
    says: () => ({ ok: true, token_type: 'bot', bot_user_id: 'U1', app_id: 'A1', team: { id: 'T1', name: 'A team' }, authed_user: { id: 'U2' } }),
    hint: () => 'T1', data: { 'team.id': 'T1', bot_user_id: 'U1' },
  },
  snapchat: {
    source: 'https://developers.snap.com/api/marketing-api/Ads-API/authentication',
    authorize: 'accounts.snapchat.com/login/oauth2/authorize', token: 'accounts.snapchat.com/login/oauth2/access_token',
    auth: 'post', pkce: 'refused', life: 1800, once: true,
  },
  snowflake: {
    source: 'https://docs.snowflake.com/en/user-guide/oauth-custom',
    authorize: 'acme.snowflakecomputing.com/oauth/authorize', token: 'acme.snowflakecomputing.com/oauth/token-request',
    auth: 'basic', life: 600, says: (user) => ({ username: user.login }),
    variables: { account: 'acme' }, hint: ({ login }) => login,
  },
  spotify: {
    source: 'https://developer.spotify.com/documentation/web-api/tutorials/code-flow',
    authorize: 'accounts.spotify.com/authorize', token: 'accounts.spotify.com/api/token', auth: 'basic', life: 3600,
    me: { at: 'api.spotify.com/v1/me', says: (user) => ({ id: user.id, email: user.email, display_name: user.name }) },
    hint: email,
  },
  square: {
    source: 'https://developer.squareup.com/reference/square/o-auth/obtain-token',
    authorize: 'connect.squareup.com/oauth2/authorize', token: 'connect.squareup.com/oauth2/token',
    auth: 'post', bodies: ['json'], pkce: 'refused', asks: { session: 'false' },
    life: 2592000, tells: false, tellsAt: 'expires_at', told: () => ({}),
    says: (user) => ({ merchant_id: `ML${user.id}`, short_lived: false }),
    hint: (user) => `ML${user.id}`, revoked: 'revoked',
    revoke: 'connect.squareup.com/oauth2/revoke', revokes: { auth: 'client', parameter: 'access_token', access: true },
    revokeSource: 'https://developer.squareup.com/reference/square/o-auth/revoke-token',
  },
  stripe_apps: {
    source: 'https://docs.stripe.com/stripe-apps/api-authentication/oauth',
    authorize: 'marketplace.stripe.com/oauth/v2/authorize', token: 'api.stripe.com/v1/oauth/token',
    auth: 'key', pkce: 'refused', life: 3600, tells: false, once: true,
    says: (user) => ({ stripe_user_id: `acct_${user.id}`, livemode: false }),
    hint: (user) => `acct_${user.id}`, data: { livemode: 'false' },
  },
  stripe_connect: {
    source: 'https://docs.stripe.com/connect/oauth-reference',
    authorize: 'connect.stripe.com/oauth/authorize', token: 'connect.stripe.com/oauth/token',
    auth: 'post', pkce: 'refused', tells: false,
    says: (user) => ({ stripe_user_id: `acct_${user.id}`, livemode: true, stripe_publishable_key: 'pk_live' }),
    hint: (user) => `acct_${user.id}`, data: { stripe_publishable_key: 'pk_live' },
  },
  tiktok: {
    source: 'https://developers.tiktok.com/doc/oauth-get-a-user-access-token',
    authorize: 'www.tiktok.com/v2/auth/authorize/', token: 'open.tiktokapis.com/v2/oauth/token/', idParameter: 'client_key',
    auth: 'post', pkce: 'refused', separator: ',', life: 7200, once: true,
    says: (user) => ({ open_id: user.id, refresh_expires_in: 15552000 }),
    dead: { error: 'invalid_grant', error_description: 'Refresh token is invalid or expired.', log_id: '2' },
    deadSource: 'https://developers.tiktok.com/doc/oauth-error-handling',
    hint: id, revoked: 'revoked',
    revoke: 'open.tiktokapis.com/v2/oauth/revoke/', revokes: { access: true },
    revokeSource: 'https://developers.tiktok.com/docs/en/oauth-revoke-a-user-access-token',
  },
  tumblr: {
    source: 'https://www.tumblr.com/docs/en/api/v2#oauth2-authorization',
    authorize: 'www.tumblr.com/oauth2/authorize', token: 'api.tumblr.com/v2/oauth2/token', auth: 'post', life: 2520, once: true,
    me: { at: 'api.tumblr.com/v2/user/info', says: (user) => ({ meta: { status: 200 }, response: { user: { name: user.login } } }) },
    hint: ({ login }) => login,
  },
  typeform: {
    source: 'https://www.typeform.com/developers/get-started/applications/',
    authorize: 'api.typeform.com/oauth/authorize', token: 'api.typeform.com/oauth/token', auth: 'post', life: 604800, once: true,
    me: { at: 'api.typeform.com/me', says: (user) => ({ user_id: user.id, alias: user.name, email: user.email }) },
    hint: email,
  },
  xero: {
    source: 'https://developer.xero.com/documentation/guides/oauth2/auth-flow/',
    issuer: 'identity.xero.com', authorize: 'login.xero.com/identity/connect/authorize', token: 'identity.xero.com/connect/token',
    auth: 'basic', life: 1800, once: true, hint: email,
  },
  zoho: {
    source: 'https://www.zoho.com/accounts/protocol/oauth/multi-dc/client-authorization.html',
    authorize: 'accounts.zoho.com/oauth/v2/auth', token: 'accounts.zoho.com/oauth/v2/token',
    auth: 'post', pkce: 'refused', separator: ',', asks: { access_type: 'offline', prompt: 'consent' }, life: 3600,
    callback: () => ({ location: 'us', 'accounts-server': 'https://accounts.zoho.com' }),
    says: () => ({ api_domain: 'https://www.zohoapis.com' }), data: { location: 'us', api_domain: 'https://www.zohoapis.com' },
    me: { at: 'accounts.zoho.com/oauth/user/info', says: (user) => ({ ZUID: user.number, Email: user.email, Display_Name: user.name }) },
    hint: email, revoked: 'revoked', dead: { error: 'invalid_code' }, deadSource: 'https://github.com/Weble/ZohoBooksApi/issues/84',
    revoke: 'accounts.zoho.com/oauth/v2/token/revoke', revokes: { auth: 'none' },
    revokeSource: 'https://www.zoho.com/contracts/api/getting-started/refreshing-access-tokens.html',
  },
  zoom: {
    source: 'https://developers.zoom.us/docs/integrations/oauth/',
    authorize: 'zoom.us/oauth/authorize', token: 'zoom.us/oauth/token', auth: 'basic', life: 3600, once: true,
    me: { at: 'api.zoom.us/v2/users/me', says: (user) => ({ id: user.id, email: user.email, display_name: user.name }) },
    hint: email,
  },
};
