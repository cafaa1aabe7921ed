// SPDX-License-Identifier: Apache-2.0
//! All pages in all their states, for the tests and for the example that writes them to a folder.

use vault_core::pages::{
    self, Account, Application, AskedScope, Consent, ErrorPage, Failed, Fault, Form, FormAction,
    Language, Link, Look, Notice, Page, SignIn, SignedOut, Way,
};

/// Everything that was chosen by others, once with ordinary values and once with hard ones.
pub struct Names<'a> {
    pub title: Option<&'a str>,
    pub logo: Option<&'a str>,
    pub application: &'a str,
    pub user: Account<'a>,
    pub added: Account<'a>,
    pub services: &'a [&'a str],
    pub scopes: &'a [AskedScope<'a>],
    pub redirect_uri: &'a str,
    pub value: &'a str,
}

const fn scope<'a>(scope: &'a str, description: Option<&'a str>) -> AskedScope<'a> {
    AskedScope { scope, description }
}

pub const LOGO: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 \
    32 32'%3E%3Ccircle cx='16' cy='16' r='16' fill='%230f766e'/%3E%3Cpath d='M9 17l5 5 9-12' \
    fill='none' stroke='%23fff' stroke-width='3'/%3E%3C/svg%3E";

pub const ORDINARY: Names = Names {
    title: Some("Acme"),
    logo: Some(LOGO),
    application: "Acme Notes",
    user: Account { name: "Ana Lima", email: Some("ana@example.com"), service: Some("GitHub") },
    added: Account { name: "alima", email: Some("ana.lima@mail.example"), service: Some("Google") },
    services: &["GitHub", "Google", "Microsoft"],
    scopes: &[scope("openid", None), scope("profile", None), scope("email", None)],
    redirect_uri: "https://notes.example/callback",
    value: "Qv7x4-2TzN",
};

pub const LONG: Names = Names {
    title: Some("Ministry of Administrative Simplification and Intergovernmental Coordination"),
    logo: None,
    application: "Donaudampfschifffahrtsgesellschaftskapitänskajütenverwaltungsassistent Enterprise",
    user: Account {
        name: "Wolfeschlegelsteinhausenbergerdorff Hubert Blaine Adolph Charles David Earl Frederick",
        email: Some(
            "a.very.long.address.of.somebody.who.likes.dots@subdomain.of.a.long.example.com",
        ),
        service: Some("The Company's Own Identity Service (Production, Region Europe North)"),
    },
    added: Account { name: "", email: Some("木村さくら@example.jp"), service: None },
    services: &[
        "GitHub",
        "Google",
        "Microsoft",
        "Slack",
        "GitLab",
        "Bitbucket",
        "LinkedIn",
        "Salesforce",
        "Zendesk",
        "HubSpot",
        "The Company's Own Identity Service (Production, Region Europe North)",
        "株式会社さくらテクノロジーズの社内認証基盤",
    ],
    scopes: &[
        scope("openid", None),
        scope("profile", None),
        scope("email", None),
        scope("offline_access", None),
        scope("create:me:connected_accounts", None),
        scope("read:me:connected_accounts", None),
        scope("delete:me:connected_accounts", None),
        scope("read:me:identities", None),
        scope("delete:me:identities", None),
        scope(
            "read:notes",
            Some("Read all of your notes, those that were shared with you included"),
        ),
        scope("write:notes", None),
        scope(
            "https://api.example.com/auth/some.very.long.scope.name.without.any.space.readonly",
            None,
        ),
    ],
    redirect_uri: "https://a-very-long-host-name.of-the-notes-application.example.com:8443/callback",
    value: "x",
};

/// The names of hostile or unlucky users, applications and operators.
pub const HOSTILE: &str =
    "</title></style><script>alert(1)</script> \"onload='x()' & \u{202e}elgoog\u{200f}";

pub const UNTRUSTED: Names = Names {
    title: Some(HOSTILE),
    logo: Some("\"><script>alert(1)</script>"),
    application: HOSTILE,
    user: Account { name: HOSTILE, email: Some(HOSTILE), service: Some(HOSTILE) },
    added: Account { name: "مريم الخوارزمي", email: None, service: Some("<b>") },
    services: &[HOSTILE, "שלום (GitHub)"],
    scopes: &[scope(HOSTILE, None), scope("x", Some(HOSTILE)), scope("<i>", Some(""))],
    redirect_uri: "https://notes.example/callback?a=\"><script>alert(1)</script>&b='",
    value: HOSTILE,
};

pub const FAULTS: [(&str, Failed, Fault); 11] = [
    ("invalid", Failed::Connect, Fault::Invalid),
    ("expired", Failed::Connect, Fault::Expired),
    ("used", Failed::Connect, Fault::Used),
    ("other-browser", Failed::Connect, Fault::OtherBrowser),
    ("unavailable", Failed::Connect, Fault::Unavailable),
    ("misconfigured", Failed::Connect, Fault::Misconfigured),
    ("application", Failed::SignOut, Fault::Application),
    ("account-taken", Failed::Link, Fault::AccountTaken),
    ("too-many-accounts", Failed::Link, Fault::TooManyAccounts),
    ("disabled", Failed::SignIn, Fault::Disabled),
    ("sign-in-too-old", Failed::Link, Fault::SignInTooOld),
];

/// Each page in each of its states, by name.
pub fn all(language: Language, names: &Names) -> Vec<(String, Page)> {
    let look = Look { title: names.title, logo: names.logo, language };
    let mut out = sign_in(&look, names);
    out.extend(decisions(&look, names));
    let application = Application { name: names.application, redirect_uri: names.redirect_uri };
    for (name, failed, fault) in FAULTS {
        let application = Some(application);
        let error = ErrorPage { failed, fault, detail: None, application };
        out.push((format!("error-{name}"), pages::error(&look, &error)));
    }
    let nameless = ErrorPage {
        failed: Failed::SignIn,
        fault: Fault::Application,
        detail: None,
        application: None,
    };
    let error = ErrorPage { detail: Some(names.value), ..nameless };
    out.push(("error-detail".into(), pages::error(&look, &error)));
    let own_scheme = Application { redirect_uri: "com.example.app:/back", ..application };
    let error = ErrorPage { application: Some(own_scheme), ..nameless };
    out.push(("error-no-link".into(), pages::error(&look, &error)));
    let plain = Look::plain(language);
    out.push(("error-plain".into(), pages::error(&plain, &nameless)));
    let response = [("code", names.value), ("state", "a b+c="), ("iss", "https://vault.example/")];
    let page = pages::form_post(&look, names.redirect_uri, &response);
    out.extend(page.map(|page| ("form-post".into(), page)));
    let page = pages::web_message(&look, names.redirect_uri, &response);
    out.extend(page.map(|page| ("web-message".into(), page)));
    out
}

fn sign_in(look: &Look, names: &Names) -> Vec<(String, Page)> {
    let fields = [("authorization", "a.b"), ("connection", names.value)];
    let form = Form { action: "/sign-in", fields: &fields };
    let ways: Vec<Way> = names.services.iter().map(|service| Way { service, form }).collect();
    let first = SignIn { application: None, notice: None, ways: &ways, cancel: None };
    let mut out = vec![("sign-in".into(), pages::sign_in(look, &first))];
    for (name, notice) in
        [("cancelled", Notice::Cancelled), ("failed", Notice::Failed), ("again", Notice::Again)]
    {
        let application = Some(names.application);
        let again = SignIn { application, notice: Some(notice), cancel: Some(form), ..first };
        out.push((format!("sign-in-{name}"), pages::sign_in(look, &again)));
    }
    out
}

fn decisions(look: &Look, names: &Names) -> Vec<(String, Page)> {
    let fields = [("authorization", names.value)];
    let form = Form { action: "/sign-in", fields: &fields };
    let consent = Consent {
        application: names.application,
        redirect_uri: names.redirect_uri,
        user: names.user,
        scopes: names.scopes,
        form,
    };
    let link = Link { user: names.user, added: names.added, form, leads_to: FormAction::Own };
    let done = SignedOut { back: Some((names.application, names.redirect_uri)) };
    vec![
        ("consent".into(), pages::consent(look, &consent)),
        ("link".into(), pages::link(look, &link)),
        ("sign-out".into(), pages::sign_out(look, &form)),
        ("signed-out".into(), pages::signed_out(look, &SignedOut::default())),
        ("signed-out-back".into(), pages::signed_out(look, &done)),
    ]
}
