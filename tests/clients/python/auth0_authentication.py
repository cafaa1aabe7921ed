# SPDX-License-Identifier: Apache-2.0
"""Calls the authentication API of `auth0-python`."""

import sys

from auth0.authentication import GetToken, RevokeToken, Users
from auth0.authentication.pushed_authorization_requests import PushedAuthorizationRequests
from auth0.authentication.token_verifier import AsymmetricSignatureVerifier, TokenVerifier
from driver import serve

HOST, CLIENT_ID, SECRET = sys.argv[1:4]
EXCHANGED = "http://auth0.com/oauth/token-type/federated-connection-access-token"


def get_token(secret=SECRET):
    return GetToken(HOST, CLIENT_ID, client_secret=secret)


def push(parameters):
    return PushedAuthorizationRequests(HOST, CLIENT_ID, SECRET).pushed_authorization_request(**parameters)


def redeem(code, redirect_uri):
    return get_token().authorization_code(code, redirect_uri)


def verify(id_token, nonce):
    keys = AsymmetricSignatureVerifier(f"https://{HOST}/.well-known/jwks.json")
    return TokenVerifier(keys, f"https://{HOST}/", CLIENT_ID).verify(id_token, nonce=nonce)


def refresh(refresh_token, scope=""):
    return get_token().refresh_token(refresh_token, scope)


def userinfo(access_token):
    return Users(HOST).userinfo(access_token)


def exchange(subject_token_type, subject_token, connection, secret=SECRET):
    return get_token(secret).access_token_for_connection(subject_token_type, subject_token, EXCHANGED, connection)


def revoke(refresh_token):
    return RevokeToken(HOST, CLIENT_ID, SECRET).revoke_refresh_token(refresh_token)


serve([push, redeem, verify, refresh, userinfo, exchange, revoke])
