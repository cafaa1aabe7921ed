// SPDX-License-Identifier: Apache-2.0
import { auth0, connection } from '../auth0.js';

// The links are plain ones: a `Link` would request these addresses before the user follows it.
export default async function Page() {
  const session = await auth0.getSession();
  if (!session) return <a href="/auth/login">Sign in</a>;
  return (
    <main>
      <p>{session.user.name ?? session.user.sub}</p>
      <ul>
        <li><a href={`/auth/connect?connection=${encodeURIComponent(connection)}&returnTo=/profile`}>Connect {connection}</a></li>
        <li><a href="/profile">Call the provider</a></li>
        <li><a href="/auth/logout">Sign out</a></li>
      </ul>
    </main>
  );
}
