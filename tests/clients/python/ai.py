# SPDX-License-Identifier: Apache-2.0
"""Calls `auth0-ai`: a tool of an agent that needs a provider's access token."""

import sys

from auth0_ai.authorizers.token_vault_authorizer import (
    TokenVaultAuthorizerBase,
    TokenVaultAuthorizerParams,
    get_access_token_from_token_vault,
)
from driver import serve

HOST, CLIENT_ID, SECRET = sys.argv[1:4]


async def call_tool(subject, scopes, connection="demo", secret=SECRET):
    """Calls a tool for a user, whose token is `refresh_token` or `access_token` in `subject`."""
    authorizer = TokenVaultAuthorizerBase(
        TokenVaultAuthorizerParams(scopes=scopes, connection=connection, **subject),
        {"domain": HOST, "client_id": CLIENT_ID, "client_secret": secret},
    )
    context = {"thread_id": "thread", "tool_name": "tool", "tool_call_id": "call"}
    return await authorizer.protect(lambda: context, get_access_token_from_token_vault)()


serve([call_tool])
