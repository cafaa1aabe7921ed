// SPDX-License-Identifier: Apache-2.0
//! The pages where a user decides: what an application of somebody else may do, and whether
//! another account opens the same profile.

use maud::{Markup, html};

use super::foreign::Foreign;
use super::layout::{self, Extras};
use super::policy::{self, FormAction};
use super::text::Texts;
use super::{Account, Form, Look, Page};

/// The field that says how the user decided, in each form with two answers, and what it holds if
/// the answer is yes and if it is no.
pub const DECISION: (&str, &str, &str) = ("action", "allow", "deny");

/// What a third-party client asks for.
#[derive(Debug, Clone, Copy)]
pub struct Consent<'a> {
    /// The name of the application.
    pub application: &'a str,
    /// Where the response goes: the client's redirect URI. The page names its host.
    pub redirect_uri: &'a str,
    /// Who consents.
    pub user: Account<'a>,
    /// What consent is asked for, in its order.
    pub scopes: &'a [AskedScope<'a>],
    /// Sent with [`DECISION`].
    pub form: Form<'a>,
}

/// A scope that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct AskedScope<'a> {
    /// The scope itself (RFC 6749 §3.3).
    pub scope: &'a str,
    /// What the operator says of it; the scopes of OpenID Connect and of `/me/` need nothing.
    pub description: Option<&'a str>,
}

/// The consent page of a third-party client.
pub fn consent(look: &Look, asked: &Consent) -> Page {
    let texts = look.language.texts();
    let own = &texts.consent;
    let content = html! {
        p.lead { (own.application.around(&Foreign::name(asked.application))) }
        p.account { span { (texts.signed_in_as) } (layout::account(&asked.user)) }
        p { (own.list) }
        ul.scopes { @for scope in asked.scopes { li { (sentence(texts, scope)) } } }
        p.quiet { (own.trust) }
        @if let Some(host) = policy::destination(asked.redirect_uri) {
            p.quiet { (own.host.around(&Foreign::name(&host))) }
        }
        (layout::form(&asked.form, &decision(texts.allow, texts.deny)))
    };
    let forms = Some(FormAction::Anywhere);
    layout::page(look, own.heading, &content, &Extras { forms, ..Extras::default() })
}

/// What a scope allows, in words.
fn sentence(texts: &Texts, asked: &AskedScope) -> Markup {
    let scopes = &texts.scopes;
    let known = match asked.scope {
        "openid" => scopes.openid,
        "profile" => scopes.profile,
        "email" => scopes.email,
        "offline_access" => scopes.offline_access,
        "create:me:connected_accounts" => scopes.connect_accounts,
        "read:me:connected_accounts" => scopes.list_accounts,
        "delete:me:connected_accounts" => scopes.disconnect_accounts,
        "read:me:identities" => scopes.list_identities,
        "delete:me:identities" => scopes.unlink_identities,
        scope => {
            return match asked.description.map(Foreign::sentence) {
                Some(description) if !description.is_empty() => html! { (description) },
                _ => scopes.other.around(&Foreign::sentence(scope)),
            };
        }
    };
    html! { (known) }
}

/// Another account that a user wants to sign in with.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// Who is signed in.
    pub user: Account<'a>,
    /// Which account is added.
    pub added: Account<'a>,
    /// Sent with [`DECISION`].
    pub form: Form<'a>,
    /// Where the form may lead.
    pub leads_to: FormAction,
}

/// The consent page for linking another account.
pub fn link(look: &Look, asked: &Link) -> Page {
    let texts = look.language.texts();
    let own = &texts.link;
    let content = html! {
        p.account { span { (texts.signed_in_as) } (layout::account(&asked.user)) }
        p.account { span { (own.added) } (layout::account(&asked.added)) }
        p { (own.effect) }
        p.quiet { (own.trust) }
        (layout::form(&asked.form, &decision(own.allow, own.deny)))
    };
    let forms = Some(asked.leads_to);
    layout::page(look, own.heading, &content, &Extras { forms, ..Extras::default() })
}

/// The two buttons of a decision.
fn decision(allow: &str, deny: &str) -> Markup {
    let (name, yes, no) = DECISION;
    html! {
        div.decision {
            button.primary type="submit" name=(name) value=(yes) { (allow) }
            button type="submit" name=(name) value=(no) { (deny) }
        }
    }
}
