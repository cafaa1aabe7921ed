// SPDX-License-Identifier: Apache-2.0
// The one request that the agent sends to Google: https://developers.google.com/calendar/api/v3/reference/events/insert

/** The scope that the request needs. */
export const SCOPE = 'https://www.googleapis.com/auth/calendar.events';

/**
 * Google chooses no id if the event has one: `[0-9a-v]`, at least five characters.
 * @typedef {{id: string, summary: string, start: {date: string}, end: {date: string}}} CalendarEvent
 */

/**
 * What Google's errors mean, by their `reason`: https://developers.google.com/calendar/api/guides/errors
 *
 * @type {Record<string, 'written' | 'token_refused' | 'missing_scopes' | 'provider_unavailable'>}
 */
const MEANING = {
  duplicate: 'written', // an earlier attempt wrote it, and its response was lost
  authError: 'token_refused',
  insufficientPermissions: 'missing_scopes',
  rateLimitExceeded: 'provider_unavailable',
  userRateLimitExceeded: 'provider_unavailable',
  quotaExceeded: 'provider_unavailable',
  backendError: 'provider_unavailable',
};

/**
 * Writes an event to the user's own calendar. It can be repeated, because the event has an id.
 *
 * @param {string} api  `https://www.googleapis.com/calendar/v3`
 * @param {string} accessToken
 * @param {CalendarEvent} event
 * @returns {Promise<'written' | 'token_refused' | 'missing_scopes' | 'provider_unavailable' | 'provider_refused'>}
 */
export async function write(api, accessToken, event) {
  try {
    const response = await fetch(`${api}/calendars/primary/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(event),
      redirect: 'error',
      signal: AbortSignal.timeout(30_000),
    });
    if (response.ok) return 'written';
    const body = await response.json().catch(() => ({}));
    const unclear = response.status >= 500 || response.status === 429 ? 'provider_unavailable' : 'provider_refused';
    return MEANING[body.error?.errors?.[0]?.reason] ?? (response.status === 401 ? 'token_refused' : unclear);
  } catch {
    return 'provider_unavailable';
  }
}
