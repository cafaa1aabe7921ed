# SPDX-License-Identifier: Apache-2.0
"""Calls `authlib`: its client for Starlette signs users in, its session for `requests` does the rest."""

import sys

from authlib.integrations.requests_client import OAuth2Session
from authlib.integrations.starlette_client import OAuth
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from driver import serve
from starlette.requests import Request

VAULT, CLIENT_ID, SECRET = sys.argv[1:4]
TOKEN = f"{VAULT}/oauth/token"
OAUTH = OAuth()
OAUTH.register(
    "vault",
    client_id=CLIENT_ID,
    client_secret=SECRET,
    server_metadata_url=f"{VAULT}/.well-known/openid-configuration",
    client_kwargs={"scope": "openid profile email offline_access", "code_challenge_method": "S256"},
)
BROWSERS = {}


def request_of(browser, query=""):
    """A request of a browser, with its session, as Starlette's middleware makes it."""
    session = BROWSERS.setdefault(browser, {})
    scope = {"type": "http", "method": "GET", "path": "/callback", "query_string": query.encode(), "headers": []}
    return Request({**scope, "session": session})


async def start_login(browser, redirect_uri, **more):
    response = await OAUTH.vault.authorize_redirect(request_of(browser), redirect_uri, **more)
    return response.headers["location"]


async def complete_login(browser, query):
    return await OAUTH.vault.authorize_access_token(request_of(browser, query))


def session(secret=None, client_id=CLIENT_ID, method="client_secret_basic", audience=None, **more):
    """`audience` is that of the assertions of `private_key_jwt`, by default the token endpoint."""
    made = OAuth2Session(client_id, secret or SECRET, token_endpoint_auth_method=method, **more)
    made.register_client_auth_method(PrivateKeyJWT(audience, headers={"kid": "k"}))
    return made


def refresh(refresh_token, audience=None, scope=None, **client):
    more = {name: value for name, value in {"audience": audience, "scope": scope}.items() if value}
    return session(**client).refresh_token(TOKEN, refresh_token=refresh_token, **more)


def exchange(parameters, **client):
    return session(**client).fetch_token(TOKEN, **parameters)


def revoke(token):
    answer = session().revoke_token(f"{VAULT}/oauth/revoke", token=token, token_type_hint="refresh_token")
    return answer.status_code


def call(method, path, access_token, json=None):
    """Calls the connected-accounts API with the session's access token."""
    api = session(token={"access_token": access_token, "token_type": "Bearer"})
    answer = api.request(method, f"{VAULT}{path}", json=json)
    return {"status": answer.status_code, "body": answer.json()}


serve([start_login, complete_login, refresh, exchange, revoke, call])
