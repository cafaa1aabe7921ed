# SPDX-License-Identifier: Apache-2.0
"""Calls `auth0-server-python`. The application keeps what the package stores in memory."""

import sys

from auth0_server_python.auth_server.server_client import ServerClient
from auth0_server_python.auth_types import ConnectAccountOptions, LogoutOptions, StartInteractiveLoginOptions
from driver import serve

HOST, CLIENT_ID, SECRET, CALLBACK, CONNECTED = sys.argv[1:6]
SCOPE = "openid profile email offline_access"
BROWSERS = {}


class Store:
    """What the package stores for each browser, which is the store's option."""

    async def get(self, identifier, options=None):
        return BROWSERS.setdefault(options["browser"], {}).get(identifier)

    async def set(self, identifier, state, remove_if_expires=False, options=None):
        # When it keeps a connection's token, the package passes the options where `remove_if_expires` is declared.
        browser = (options or remove_if_expires)["browser"]
        BROWSERS.setdefault(browser, {})[identifier] = state

    async def delete(self, identifier, options=None):
        BROWSERS.setdefault(options["browser"], {}).pop(identifier, None)

    async def delete_by_logout_token(self, claims, options=None):
        for kept in BROWSERS.values():
            for identifier, state in list(kept.items()):
                if as_dict(state).get("internal", {}).get("sid") == claims["sid"]:
                    del kept[identifier]


def as_dict(state):
    return state if isinstance(state, dict) else state.model_dump()


def client(secret=SECRET):
    return ServerClient(
        domain=HOST,
        client_id=CLIENT_ID,
        client_secret=secret,
        redirect_uri=CALLBACK,
        secret="the key of the application's own cookies",
        transaction_store=Store(),
        state_store=Store(),
        authorization_params={"redirect_uri": CALLBACK, "scope": SCOPE, "audience": f"https://{HOST}/"},
    )


SDK = client()


async def start_login(browser, pushed=False):
    options = StartInteractiveLoginOptions(pushed_authorization_requests=pushed)
    return await SDK.start_interactive_login(options, {"browser": browser})


async def complete_login(browser, url):
    await SDK.complete_interactive_login(url, {"browser": browser})


async def user(browser):
    return await SDK.get_user({"browser": browser})


async def tokens(browser):
    """What the test needs to know, and what must not be logged."""
    state = as_dict(await Store().get("_a0_session", {"browser": browser}) or {})
    return {
        "refresh_token": state.get("refresh_token"),
        "id_token": state.get("id_token"),
        "access_tokens": [one["access_token"] for one in state.get("token_sets", [])],
    }


async def access_token(browser, audience=None, scope=None):
    return await SDK.get_access_token({"browser": browser}, audience=audience, scope=scope)


async def start_connect(browser, connection):
    options = ConnectAccountOptions(connection=connection, redirect_uri=CONNECTED)
    return await SDK.start_connect_account(options, {"browser": browser})


async def complete_connect(browser, url):
    return (await SDK.complete_connect_account(url, {"browser": browser})).model_dump()


async def accounts(browser):
    return (await SDK.list_connected_accounts(store_options={"browser": browser})).model_dump()


async def connections(browser):
    return (await SDK.list_connected_account_connections(store_options={"browser": browser})).model_dump()


async def disconnect(browser, account):
    await SDK.delete_connected_account(account, {"browser": browser})


async def connection_token(browser, connection, secret=SECRET):
    return await client(secret).get_access_token_for_connection({"connection": connection}, {"browser": browser})


async def refresh(refresh_token):
    return await SDK.get_token_by_refresh_token({"refresh_token": refresh_token})


async def logout(browser, return_to):
    return await SDK.logout(LogoutOptions(return_to=return_to), {"browser": browser})


async def backchannel_logout(logout_token):
    await SDK.handle_backchannel_logout(logout_token)


serve([
    start_login, complete_login, user, tokens, access_token, start_connect, complete_connect, accounts, connections,
    disconnect, connection_token, refresh, logout, backchannel_logout,
])
