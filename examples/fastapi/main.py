# SPDX-License-Identifier: Apache-2.0
"""A web application that signs users in with the vault and calls a provider's API for them."""

import json
import os
from pathlib import Path
from typing import Annotated

import httpx
from auth0_fastapi.auth import AuthClient
from auth0_fastapi.config import Auth0Config
from auth0_fastapi.errors import AccessTokenForConnectionError, register_exception_handlers
from auth0_fastapi.server.routes import register_auth_routes, router
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse

settings = json.loads(Path(os.environ.get("SETTINGS", "settings.json")).read_text())
CONNECT = f"/auth/connect?connection={settings['connection']}&returnTo=/profile"

config = Auth0Config(
    domain=settings["vault"],
    client_id=settings["client_id"],
    client_secret=settings["client_secret"],
    app_base_url=settings["application"],
    secret=settings["cookie_secret"],
    audience=f"https://{settings['vault']}/",
    authorization_params={"scope": "openid profile email offline_access"},
    mount_connected_account_routes=True,
)
auth = AuthClient(config)
app = FastAPI()
app.state.config, app.state.auth_client = config, auth
# /auth/login, /auth/callback, /auth/logout and /auth/connect
register_auth_routes(router, config)
app.include_router(router)
register_exception_handlers(app)


@app.get("/", response_class=HTMLResponse)
def home():
    return f"""<!doctype html><title>Example</title>
        <a href="/auth/login">Sign in</a> <a href="{CONNECT}">Connect</a>
        <a href="/profile">Profile</a> <a href="/auth/logout">Sign out</a>"""


@app.get("/profile")
async def profile(request: Request, response: Response, session: Annotated[dict, Depends(auth.require_session)]):
    """The user's profile at the provider, or why there is none and where to connect."""
    stored = {"request": request, "response": response}
    try:
        token = await auth.client.get_access_token_for_connection({"connection": settings["connection"]}, stored)
    except AccessTokenForConnectionError as error:
        response.status_code = 409
        return {"user": session["user"]["sub"], "message": error.message, "connect": CONNECT}
    async with httpx.AsyncClient() as provider:
        answer = await provider.get(settings["profile"], headers={"authorization": f"Bearer {token}"})
    return answer.raise_for_status().json()
