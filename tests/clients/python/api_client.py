# SPDX-License-Identifier: Apache-2.0
"""Calls `auth0-api-python`: an API that verifies its caller's access token and exchanges it."""

import sys

from auth0_api_python import ApiClient, ApiClientOptions
from driver import serve

HOST, CLIENT_ID, SECRET = sys.argv[1:4]


def client(secret=SECRET, client_id=CLIENT_ID):
    options = {"domain": HOST, "audience": f"https://{HOST}/", "client_id": client_id, "client_secret": secret}
    return ApiClient(ApiClientOptions(**options))


async def verify(access_token):
    return await client().verify_request({"authorization": f"Bearer {access_token}"})


async def exchange(access_token, connection="demo", secret=SECRET, client_id=CLIENT_ID):
    options = {"connection": connection, "access_token": access_token}
    return await client(secret, client_id).get_access_token_for_connection(options)


serve([verify, exchange])
