// SPDX-License-Identifier: Apache-2.0
//! Reads the parts of a connection that describe how its provider differs from the RFCs.

use super::fields::Fields;
use vault_base::text;
use vault_provider::profile::{
    BodyFormat, ErrorRules, HttpMethod, IdentityRules, IdentitySource, IssuanceRules, KindRules,
    RevocationAuthentication, RevocationRules, RevocationScope, RevokedToken,
};

pub(super) fn errors(fields: &mut Fields) -> ErrorRules {
    ErrorRules {
        members: fields.some_list("members").unwrap_or_else(|| vec!["error".to_owned()]),
        permanent: fields.list("permanent"),
        transient: fields.list("transient"),
        unclear: fields.list("unclear"),
        misconfigured: fields.list("misconfigured"),
        consent: fields.list("consent"),
        codes_listed: fields.flag("codes_listed"),
        access_denied: fields.list("access_denied"),
    }
}

pub(super) fn revocation(fields: &mut Fields) -> RevocationRules {
    RevocationRules {
        method: fields.choice("method", HttpMethod::NAMES).unwrap_or_default(),
        authentication: fields
            .choice("authentication", RevocationAuthentication::NAMES)
            .unwrap_or_default(),
        body: fields.choice("body", BodyFormat::NAMES).unwrap_or_default(),
        token_parameter: fields.text_or("token_parameter", "token"),
        hint: fields.flag_or("hint", true),
        params: fields.texts("params"),
        headers: fields.headers("headers"),
        token: fields.choice("token", RevokedToken::NAMES).unwrap_or_default(),
        blast: fields.choice("blast", RevocationScope::NAMES).unwrap_or_default(),
        gone: fields.list("gone"),
    }
}

pub(super) fn identity(fields: &mut Fields) -> IdentityRules {
    let scheme = fields.text_or("scheme", "Bearer");
    if !text::is_header_name(&scheme) {
        // An authentication scheme is a token, as a header name is (RFC 9110 §11.1).
        fields.fault("scheme", "must be one word, such as Bearer: it is an authentication scheme");
    }
    IdentityRules {
        from: fields.choice("from", IdentitySource::NAMES),
        // The default is GET, not POST as for revocations, because the request only reads.
        method: fields.choice("method", HttpMethod::NAMES).unwrap_or(HttpMethod::Get),
        body: fields.text("body"),
        scheme,
        headers: fields.headers("headers"),
        id: fields.text_or("id", "sub"),
        permanent: fields.flag("permanent"),
        email: fields.text_or("email", "email"),
        name: fields.text_or("name", "name"),
        provider_data: fields.list("extra"),
        several_audiences: fields.flag("several_audiences"),
        optional_nonce: fields.flag("optional_nonce"),
    }
}

#[inline(never)]
pub(super) fn kind(fields: &mut Fields) -> KindRules {
    KindRules {
        scopes: fields.list("scopes"),
        scope_parameter: fields.text_or("scope_parameter", ""),
        answer_path: fields.text_or("answer_path", ""),
        revocable: fields.flag("revocable"),
        issuance: fields.some_table("minting", issuance),
    }
}

fn issuance(fields: &mut Fields) -> IssuanceRules {
    let rules = IssuanceRules {
        resource: fields.required("resource"),
        own_lookup: fields.required("own_lookup"),
        organization_lookup: fields.required("organization_lookup"),
        membership_endpoint: fields.required("membership_endpoint"),
        membership_required: fields.texts("membership_required"),
        membership_account: fields.required("membership_account"),
        id: fields.required("id"),
        account: fields.required("account"),
        suspended: fields.required("suspended"),
        token_endpoint: fields.required("token_endpoint"),
        token_member: fields.required("token_member"),
        expires_at_member: fields.required("expires_at_member"),
        scope_member: fields.required("scope_member"),
        headers: fields.headers("headers"),
        revocation_endpoint: fields.text("revocation_endpoint"),
        revocation: fields.table("revocation", revocation),
    };
    if rules.membership_required.is_empty() {
        let fix = "is missing: it defines who is an owner, and without it every user would be one";
        fields.fault("membership_required", fix);
    }
    rules
}
