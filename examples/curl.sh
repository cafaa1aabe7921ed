#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Connects an account and exchanges a token, with curl alone, on the vault of `cargo xtask dev`:
#
#   examples/curl.sh [.dev/dev.json]
#
# When the script prints a URL, open it in a browser, sign in and consent; then paste the address to which
# the browser returned.
set -euo pipefail

dev=${1:-.dev/dev.json}
get() { node -p 'JSON.parse(require("fs").readFileSync(process.argv[1])).'"$1" "$dev"; }
member() { node -p 'JSON.parse(require("fs").readFileSync(0)).'"$1"; }
base64url() { base64 | tr -d '=\n' | tr '+/' '-_'; }

vault=$(get vault) connection=demo redirect_uri=$(get 'clients.spa.redirect_uris[0]')
api=$vault/me/v1/connected-accounts
me="Authorization: Bearer $(get user.me_token)"
verifier=$(head -c 32 /dev/urandom | base64url)
challenge=$(printf %s "$verifier" | openssl dgst -sha256 -binary | base64url)
state=$(head -c 16 /dev/urandom | base64url)

# 1. Begin.
begun=$(curl -sSf "$api/connect" -H "$me" -H 'Content-Type: application/json' -d "{
  \"connection\": \"$connection\", \"redirect_uri\": \"$redirect_uri\", \"state\": \"$state\", \"scopes\": [],
  \"code_challenge\": \"$challenge\", \"code_challenge_method\": \"S256\" }")
echo "Open: $(member connect_uri <<<"$begun")?ticket=$(member connect_params.ticket <<<"$begun")"

# 2. The browser goes to the provider and returns with a connect_code.
read -rp 'Address to which the browser returned: ' back
parameter() { sed -n "s/.*[?&]$1=\([^&]*\).*/\1/p" <<<"$back"; }
connect_code=$(parameter connect_code)
# Without this check, an address that somebody else sent could connect that person's account to this user.
[ "$(parameter state)" = "$state" ] || { echo 'This address is of another connect.' >&2; exit 1; }

# 3. Complete with the access token of the user who uses this browser, who is the one who began.
account=$(curl -sSf "$api/complete" -H "$me" -H 'Content-Type: application/json' -d "{
  \"auth_session\": \"$(member auth_session <<<"$begun")\", \"connect_code\": \"$connect_code\",
  \"redirect_uri\": \"$redirect_uri\", \"code_verifier\": \"$verifier\" }")
echo "$account"

# 4. Exchange, as the backend. Without login_hint the account counts that was connected first.
curl -sSf "$vault/oauth/token" -u "$(get clients.backend.client_id):$(get clients.backend.client_secret)" \
  --data-urlencode grant_type=urn:ietf:params:oauth:grant-type:token-exchange \
  --data-urlencode subject_token_type=urn:ietf:params:oauth:token-type:access_token \
  --data-urlencode "subject_token=$(get user.access_token)" \
  --data-urlencode "audience=$connection" \
  --data-urlencode "login_hint=$(member id <<<"$account")"
echo
