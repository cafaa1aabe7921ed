// SPDX-License-Identifier: Apache-2.0
// Chromium for the tests that need a real browser: `chromium` in PATH, or its path in CHROMIUM.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';

const inPath = (name) => (process.env.PATH ?? '').split(delimiter).map((directory) => join(directory, name)).find(existsSync);
const executablePath = process.env.CHROMIUM || inPath('chromium') || inPath('chromium-browser');

/** Why tests in a browser are left out, or false. */
export const skip = executablePath ? false : 'no Chromium found: install it, or name it in CHROMIUM';

/**
 * Starts a browser with a new profile. `close` ends both.
 *
 * @param {{args?: string[], preferences?: object}} [more]  of the command line and of the profile
 */
export async function openBrowser({ args = [], preferences } = {}) {
  const profile = mkdtempSync(join(tmpdir(), 'edge-token-vault-browser-'));
  const remove = () => rmSync(profile, { recursive: true, force: true });
  try {
    if (preferences) {
      mkdirSync(join(profile, 'Default'));
      writeFileSync(join(profile, 'Default/Preferences'), JSON.stringify(preferences));
    }
    const browser = await chromium.launchPersistentContext(profile, {
      executablePath,
      args: [
        '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
        '--disable-background-networking', '--disable-component-update', '--disable-sync', ...args,
      ],
    });
    browser.setDefaultTimeout(15_000);
    const close = async () => {
      await browser.close();
      remove();
    };
    return { browser, close };
  } catch (error) {
    remove();
    throw error;
  }
}
