//! Reads what a connection says of how its provider speaks.

use super::Fault;
use super::fields::Fields;
use crate::provider::dialect::{
    Blast, BodyFormat, ErrorRules, IdentityRules, IdentitySource, Kind, Method, Minting,
    RevocationAuthentication, RevocationRules, RevokedToken,
};

pub(super) fn errors(mut fields: Fields) -> Result<ErrorRules, Fault> {
    let rules = ErrorRules {
        members: fields.list("members")?.unwrap_or_else(|| ErrorRules::default().members),
        permanent: fields.list("permanent")?.unwrap_or_default(),
        transient: fields.list("transient")?.unwrap_or_default(),
        misconfigured: fields.list("misconfigured")?.unwrap_or_default(),
        consent: fields.list("consent")?.unwrap_or_default(),
    };
    fields.end()?;
    Ok(rules)
}

pub(super) fn revocation(mut fields: Fields) -> Result<RevocationRules, Fault> {
    let standard = RevocationRules::default();
    let rules = RevocationRules {
        method: fields.choice("method", Method::NAMES)?.unwrap_or(standard.method),
        authentication: fields
            .choice("authentication", RevocationAuthentication::NAMES)?
            .unwrap_or(standard.authentication),
        body: fields.choice("body", BodyFormat::NAMES)?.unwrap_or(standard.body),
        token_parameter: fields.text("token_parameter")?.unwrap_or(standard.token_parameter),
        hint: fields.flag("hint")?.unwrap_or(standard.hint),
        params: fields.texts("params")?,
        headers: fields.texts("headers")?,
        token: fields.choice("token", RevokedToken::NAMES)?.unwrap_or(standard.token),
        blast: fields.choice("blast", Blast::NAMES)?.unwrap_or(standard.blast),
        gone: fields.list("gone")?.unwrap_or_default(),
    };
    fields.end()?;
    Ok(rules)
}

pub(super) fn identity(mut fields: Fields) -> Result<IdentityRules, Fault> {
    let standard = IdentityRules::default();
    let rules = IdentityRules {
        from: fields.choice("from", IdentitySource::NAMES)?,
        method: fields.choice("method", Method::NAMES)?.unwrap_or(standard.method),
        body: fields.text("body")?,
        scheme: fields.text("scheme")?.unwrap_or(standard.scheme),
        headers: fields.texts("headers")?,
        id: fields.text("id")?.unwrap_or(standard.id),
        email: fields.text("email")?.unwrap_or(standard.email),
        name: fields.text("name")?.unwrap_or(standard.name),
    };
    fields.end()?;
    Ok(rules)
}

pub(super) fn kind(mut fields: Fields) -> Result<Kind, Fault> {
    let kind = Kind {
        scopes: fields.list("scopes")?.unwrap_or_default(),
        scope_parameter: fields.text("scope_parameter")?.unwrap_or_default(),
        answer_path: fields.text("answer_path")?.unwrap_or_default(),
        revocable: fields.flag("revocable")?.unwrap_or_default(),
        minting: fields.some_table("minting")?.map(minting).transpose()?,
    };
    fields.end()?;
    Ok(kind)
}

fn minting(mut fields: Fields) -> Result<Minting, Fault> {
    let rules = Minting {
        resource: fields.required("resource")?,
        own_lookup: fields.required("own_lookup")?,
        organization_lookup: fields.required("organization_lookup")?,
        membership_endpoint: fields.required("membership_endpoint")?,
        membership_required: fields.texts("membership_required")?,
        membership_account: fields.required("membership_account")?,
        id: fields.required("id")?,
        account: fields.required("account")?,
        suspended: fields.required("suspended")?,
        token_endpoint: fields.required("token_endpoint")?,
        token_member: fields.required("token_member")?,
        expires_at_member: fields.required("expires_at_member")?,
        scope_member: fields.required("scope_member")?,
        headers: fields.texts("headers")?,
        revocation_endpoint: fields.text("revocation_endpoint")?,
        revocation: revocation(fields.table("revocation")?)?,
    };
    if rules.membership_required.is_empty() {
        let mend = "is missing: it says what an owner is, and without it anybody would be one";
        return Err(fields.fault("membership_required", mend));
    }
    fields.end()?;
    Ok(rules)
}
