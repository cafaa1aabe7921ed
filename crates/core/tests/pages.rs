// SPDX-License-Identifier: Apache-2.0
//! Every page in every state and language: what it may hold, and what its policy lets it do.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/config.rs"]
mod config_support;
#[path = "support/html.rs"]
mod html;
#[path = "support/pages.rs"]
mod samples;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use html::Element;
use samples::{FAULTS, HOSTILE, LONG, Names, ORDINARY, UNTRUSTED};
use url::Url;
use vault_base::encoding;
use vault_core::connect::browser;
use vault_core::connect::hops::SessionOrigin;
use vault_core::connect::record::{Denied, Flow};
use vault_core::issuer::error_page;
use vault_core::pages::{
    self, Consent, DECISION, ErrorPage, Failed, Fault, Form, FormAction, Language, Link, Look,
    Page, SignedOut,
};

const ALL_NAMES: [&Names; 3] = [&ORDINARY, &LONG, &UNTRUSTED];

/// What a page may hold. All else would need a reason.
const ELEMENTS: [&str; 23] = [
    "a", "bdi", "body", "button", "code", "div", "form", "h1", "head", "header", "html", "img",
    "input", "li", "main", "meta", "p", "script", "span", "strong", "style", "title", "ul",
];

fn every(mut check: impl FnMut(&str, Language, &Page, &[Element])) {
    for names in ALL_NAMES {
        for language in Language::ALL {
            for (name, page) in samples::all(language, names) {
                let elements = html::read(&page.html);
                check(&format!("{name} ({})", language.tag()), language, &page, &elements);
            }
        }
    }
}

fn named<'a>(elements: &'a [Element], name: &str) -> Vec<&'a Element> {
    elements.iter().filter(|element| element.name == name).collect()
}

fn directive<'a>(page: &'a Page, name: &str) -> Option<&'a str> {
    let mut directives = page.content_security_policy.split("; ");
    directives.find_map(|one| one.strip_prefix(name)?.strip_prefix(' '))
}

#[test]
fn every_page_is_a_whole_document_in_its_language() {
    every(|name, language, _, elements| {
        let one = |tag: &str| match named(elements, tag)[..] {
            [one] => one.clone(),
            _ => panic!("{name}: not one {tag}"),
        };
        assert_eq!(one("html").attribute("lang"), Some(language.tag()), "{name}");
        assert_eq!(one("html").attribute("dir"), Some("ltr"), "{name}");
        assert!(!one("title").text.is_empty(), "{name}");
        assert!(!one("header").text.is_empty(), "{name}");
        assert!(one("h1").within.contains(&"main".to_owned()), "{name}");
        let first = elements.iter().skip_while(|one| one.name != "main").nth(1).unwrap();
        assert_eq!(first.name, "h1", "{name}");
        one("style");
        for element in elements {
            assert!(ELEMENTS.contains(&element.name.as_str()), "{name}: {}", element.name);
        }
    });
}

#[test]
fn every_control_says_what_it_does() {
    every(|name, _, _, elements| {
        for control in elements.iter().filter(|one| matches!(&*one.name, "button" | "a")) {
            assert!(!control.text.trim().is_empty(), "{name}: {control:?}");
        }
        for button in named(elements, "button") {
            assert!(button.within.contains(&"form".to_owned()), "{name}");
            assert_eq!(button.attribute("type"), Some("submit"), "{name}");
        }
        for input in named(elements, "input") {
            assert_eq!(input.attribute("type"), Some("hidden"), "{name}: needs a label");
        }
        for image in named(elements, "img") {
            assert_eq!(image.attribute("alt"), Some(""), "{name}: the title stands beside it");
        }
        for form in named(elements, "form") {
            assert_eq!(form.attribute("method"), Some("post"), "{name}");
        }
    });
}

#[test]
fn nothing_runs_but_the_script_of_an_answer_and_nothing_is_loaded() {
    every(|name, _, page, elements| {
        let is_answer = name.starts_with("form-post") || name.starts_with("web-message");
        let scripts = named(elements, "script");
        assert_eq!(scripts.len(), usize::from(is_answer), "{name}");
        assert_eq!(directive(page, "script-src").is_some(), is_answer, "{name}");
        for element in elements {
            for (key, value) in &element.attributes {
                assert!(!key.starts_with("on") && key != "style", "{name}: {key}");
                let is_reference = matches!(&**key, "src" | "href" | "action" | "srcset");
                let given = [&ORDINARY, &LONG, &UNTRUSTED];
                let origin = |uri: &str| Url::parse(uri).unwrap().origin().ascii_serialization();
                let is_given = |names: &Names| {
                    let uri = names.redirect_uri;
                    names.logo == Some(value.as_str()) || uri == value || origin(uri) == *value
                };
                let is_ours = value.starts_with('/') || given.into_iter().any(is_given);
                assert!(!is_reference || is_ours, "{name}: {value}");
            }
        }
        let style = &named(elements, "style")[0].text;
        for loads in ["url(", "@import", "http", "</"] {
            assert!(!style.contains(loads), "{name}: {loads}");
        }
    });
}

#[test]
fn the_policy_names_what_is_in_the_page_and_nothing_else() {
    every(|name, _, page, elements| {
        let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(encoding::sha256(text)));
        assert_eq!(directive(page, "default-src"), Some("'none'"), "{name}");
        assert_eq!(directive(page, "base-uri"), Some("'none'"), "{name}");
        let style = hash(&named(elements, "style")[0].text);
        assert_eq!(directive(page, "style-src"), Some(&*style), "{name}");
        let script = named(elements, "script").first().map(|one| hash(&one.text));
        assert_eq!(directive(page, "script-src"), script.as_deref(), "{name}");
        let images = (!named(elements, "img").is_empty()).then_some("'self' https: data:");
        assert_eq!(directive(page, "img-src"), images, "{name}");
        let framed = name.starts_with("web-message");
        assert_eq!(page.framed, framed, "{name}");
        assert_eq!(directive(page, "frame-ancestors") == Some("'none'"), !framed, "{name}");
        if named(elements, "form").is_empty() {
            assert_eq!(directive(page, "form-action"), Some("'none'"), "{name}");
        }
        let policy = &page.content_security_policy;
        assert!(!policy.contains("unsafe"), "{name}: {policy}");
        assert!(policy.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{name}: {policy}");
    });
}

#[test]
fn what_others_chose_is_shown_as_text_that_stands_for_itself() {
    let shown = HOSTILE.replace(['\u{202e}', '\u{200f}'], "");
    for language in Language::ALL {
        for (name, page) in samples::all(language, &UNTRUSTED) {
            let elements = html::read(&page.html);
            let title = named(&elements, "title")[0];
            assert!(title.text.ends_with(&shown) || name == "error-plain", "{name}: {title:?}");
            // No element but the hidden fields, which only a program reads, holds them as they are.
            for element in elements.iter().filter(|one| one.text.contains("alert(1)")) {
                let isolated = named(&elements, "bdi").into_iter().filter(|one| one.text == shown);
                assert!(isolated.count() > 0, "{name}");
                assert!(!element.text.contains(['\u{202e}', '\u{200f}']), "{name}");
                assert!(!matches!(&*element.name, "script" | "style"), "{name}");
            }
        }
    }
    let consent = page_of(&UNTRUSTED, "consent");
    let elements = html::read(&consent.html);
    assert_eq!(named(&elements, "input")[0].attribute("value"), Some(HOSTILE));
    assert_eq!(named(&elements, "img")[0].attribute("src"), UNTRUSTED.logo);
    let items: Vec<_> = named(&elements, "li").iter().map(|item| item.text.clone()).collect();
    assert_eq!(items[1], shown);
    assert_eq!(items[2], "Use the permission “<i>”");
}

fn page_of(names: &Names, name: &str) -> Page {
    let mut pages = samples::all(Language::English, names).into_iter();
    pages.find(|(one, _)| one == name).unwrap().1
}

#[test]
fn each_way_to_sign_in_is_a_form_of_its_own() {
    let page = page_of(&ORDINARY, "sign-in-again");
    let elements = html::read(&page.html);
    let buttons: Vec<_> = named(&elements, "button").iter().map(|one| one.text.clone()).collect();
    assert_eq!(
        buttons,
        ["Continue with GitHub", "Continue with Google", "Continue with Microsoft", "Cancel"]
    );
    let hidden: Vec<_> = named(&elements, "input")
        .iter()
        .map(|one| (one.attribute("name").unwrap(), one.attribute("value").unwrap()))
        .collect();
    assert_eq!(hidden, [("authorization", "a.b"), ("connection", "Qv7x4-2TzN")].repeat(4));
    assert!(page.html.contains("to continue to <bdi>Acme Notes</bdi>"));
}

#[test]
fn a_decision_is_sent_as_the_button_that_was_pressed() {
    let (name, yes, no) = DECISION;
    for page in ["consent", "link"] {
        let elements = html::read(&page_of(&ORDINARY, page).html);
        let buttons = named(&elements, "button");
        let sent: Vec<_> =
            buttons.iter().map(|one| (one.attribute("name"), one.attribute("value"))).collect();
        assert_eq!(sent, [(Some(name), Some(yes)), (Some(name), Some(no))], "{page}");
    }
}

#[test]
fn the_redirects_after_a_form_are_restricted_only_where_they_stay_here() {
    let look = Look::plain(Language::English);
    let form = Form { action: "/a", fields: &[] };
    let Names { user, added, .. } = ORDINARY;
    for (leads_to, expected) in [(FormAction::Own, Some("'self'")), (FormAction::Anywhere, None)] {
        let page = pages::link(&look, &Link { user, added, form, leads_to });
        assert_eq!(directive(&page, "form-action"), expected);
    }
    for page in ["sign-in", "consent", "sign-out", "form-post"] {
        assert_eq!(directive(&page_of(&ORDINARY, page), "form-action"), None, "{page}");
    }
}

#[test]
fn a_page_with_a_form_lets_the_browser_name_its_origin_and_no_page_tells_another_site_its_address()
{
    every(|name, _, page, elements| {
        let has_form = !named(elements, "form").is_empty();
        let expected = if has_form { "same-origin" } else { "no-referrer" };
        assert_eq!(page.referrer_policy, expected, "{name}");
    });
}

#[test]
fn consent_names_where_the_user_goes_afterwards() {
    for (redirect_uri, expected) in [
        ("https://notes.example:8443/callback", Some("notes.example")),
        ("com.example.notes:/callback", Some("com.example.notes")),
        ("javascript:alert(1)", None),
    ] {
        let asked = Consent {
            application: "Notes",
            redirect_uri,
            user: ORDINARY.user,
            scopes: &[],
            form: Form { action: "/a", fields: &[] },
        };
        let page = pages::consent(&Look::plain(Language::English), &asked);
        let elements = html::read(&page.html);
        let last = named(&elements, "p").last().unwrap().text.clone();
        let shown = last.strip_prefix("Either way, you will return to ");
        assert_eq!(shown.and_then(|text| text.strip_suffix('.')), expected);
    }
}

#[test]
fn a_form_post_answer_holds_the_parameters_and_works_without_script() {
    let page = page_of(&UNTRUSTED, "form-post");
    let elements = html::read(&page.html);
    let forms = named(&elements, "form");
    assert_eq!(forms[0].attribute("action"), Some(UNTRUSTED.redirect_uri));
    let hidden: Vec<_> = named(&elements, "input")
        .iter()
        .map(|one| (one.attribute("name").unwrap(), one.attribute("value").unwrap()))
        .collect();
    let iss = ("iss", "https://vault.example/");
    assert_eq!(hidden, [("code", HOSTILE), ("state", "a b+c="), iss]);
    assert_eq!(named(&elements, "button")[0].text, "Continue");
    assert_eq!(directive(&page, "form-action"), None);

    let look = Look::plain(Language::English);
    for refused in ["javascript:alert(1)", "data:text/html,x", "/callback", ""] {
        assert_eq!(pages::form_post(&look, refused, &[]), None, "{refused}");
        assert_eq!(pages::web_message(&look, refused, &[]), None, "{refused}");
    }
    // An application on a device (RFC 8252 §7.1) gets a form, and has no window to send a message to.
    assert!(pages::form_post(&look, "com.example.app:/callback", &[]).is_some());
    assert_eq!(pages::web_message(&look, "com.example.app:/callback", &[]), None);
}

#[test]
fn a_web_message_goes_to_one_origin_by_a_script_that_never_changes() {
    let page = page_of(&UNTRUSTED, "web-message");
    let elements = html::read(&page.html);
    let data = elements.iter().find(|one| one.attribute("id") == Some("response")).unwrap();
    assert_eq!(data.attribute("data-origin"), Some("https://notes.example"));
    let response: serde_json::Value =
        serde_json::from_str(data.attribute("data-response").unwrap()).unwrap();
    let expected =
        serde_json::json!({ "code": HOSTILE, "state": "a b+c=", "iss": "https://vault.example/" });
    assert_eq!(response, expected);
    assert_eq!(directive(&page, "frame-ancestors"), Some("https://notes.example"));
    let other = page_of(&LONG, "web-message");
    assert_eq!(directive(&page, "script-src"), directive(&other, "script-src"));
    let host = "https://a-very-long-host-name.of-the-notes-application.example.com:8443";
    assert_eq!(directive(&other, "frame-ancestors"), Some(host));

    // No policy can name an IPv6 address.
    let look = Look::plain(Language::English);
    let page = pages::web_message(&look, "http://[::1]:3000/callback", &[]).unwrap();
    assert!(page.html.contains("data-origin=\"http://[::1]:3000\""));
    assert_eq!(directive(&page, "frame-ancestors"), Some("'none'"));
    assert!(!page.framed);
}

#[test]
fn a_link_back_is_one_to_a_page() {
    let look = Look::plain(Language::English);
    for (address, shown) in [
        ("https://notes.example/", true),
        ("javascript:alert(1)", false),
        ("data:text/html,x", false),
        ("//evil.example", false),
    ] {
        let page = pages::signed_out(&look, &SignedOut { back: Some(("Notes", address)) });
        assert_eq!(page.html.contains("<a "), shown, "{address}");
    }
}

#[test]
fn texts_differ_from_each_other_and_between_languages() {
    let mut seen = BTreeSet::new();
    for language in Language::ALL {
        for (name, failed, fault) in FAULTS {
            let error = ErrorPage { failed, fault, detail: None, application: None };
            let page = pages::error(&Look::plain(language), &error);
            let elements = html::read(&page.html);
            let text = named(&elements, "p")[0].text.clone();
            assert!(!text.contains("  ") && !text.contains('\n'), "{text}");
            assert!(seen.insert(text), "{name} ({})", language.tag());
        }
        for failed in [Failed::Connect, Failed::SignIn, Failed::SignOut, Failed::Link] {
            let fault = Fault::Expired;
            let error = ErrorPage { failed, fault, detail: None, application: None };
            let page = pages::error(&Look::plain(language), &error);
            let heading = named(&html::read(&page.html), "h1")[0].text.clone();
            assert!(seen.insert(heading), "{failed:?} ({})", language.tag());
        }
    }
}

#[test]
fn the_error_page_of_a_connect_says_what_to_do() {
    // RFC 9700 §4.11: a page and no redirect, for there is no address that is known to be right.
    // Where the account may be connected, no heading says that it is not.
    let not_connected = "The account was not connected";
    let (over, no_answer) = ("This link doesn’t work any more", "There is no answer at the moment");
    for (denied, status, heading, message) in [
        (Denied::Expired, 400, not_connected, "This link has expired."),
        (Denied::Used, 400, over, "This link was used already. The application shows whether"),
        (Denied::OtherBrowser, 400, not_connected, "This was started in another browser."),
        (Denied::ProviderUnavailable, 503, no_answer, "The service cannot be reached"),
        (Denied::NotStored, 503, no_answer, "The service cannot be reached at the moment."),
        (Denied::ProviderMisconfigured, 503, not_connected, "This connection is not set up"),
        (Denied::RegistrationChanged, 503, not_connected, "This connection is not set up"),
        (Denied::Unknown, 400, over, "This link is not valid."),
        (Denied::OtherProvider, 400, over, "This link is not valid."),
    ] {
        let (got, page) = browser::page(&denied, &Look::plain(Language::English), None, None);
        assert_eq!(got, status, "{denied:?}");
        let elements = html::read(&page.html);
        assert_eq!(named(&elements, "h1")[0].text, heading, "{denied:?}");
        assert!(named(&elements, "p")[0].text.starts_with(message), "{denied:?}");
        assert!(named(&elements, "a").is_empty(), "{denied:?}");
    }
    let (_, page) = browser::page(&Denied::Expired, &Look::plain(Language::German), None, None);
    assert!(page.html.contains("Dieser Link ist abgelaufen."));
}

#[test]
fn the_error_page_of_a_known_session_names_the_application_and_leads_back_to_its_origin() {
    let config = config_support::config();
    let look = Look::plain(Language::English);
    let page = |client_id: &str, redirect_uri: &str, flow: Flow| {
        let (client_id, redirect_uri) = (client_id.to_owned(), redirect_uri.to_owned());
        let origin = SessionOrigin { client_id, redirect_uri, flow };
        let client = config.clients.get(&origin.client_id);
        let (_, page) = browser::page(&Denied::Expired, &look, Some(&origin), client);
        html::read(&page.html)
    };
    let uri = "https://app.example:8443/back?tab=1#x";
    let elements = page("spa", uri, Flow::Connect);
    let link = named(&elements, "a")[0];
    assert_eq!(link.attribute("href"), Some("https://app.example:8443"));
    assert_eq!(link.text, format!("Back to {}", config.clients["spa"].name));
    // A client that is not configured any more has only its id.
    assert_eq!(named(&page("gone", uri, Flow::Connect), "a")[0].text, "Back to gone");
    let elements = page("spa", "com.example.app:/back", Flow::Connect);
    assert!(named(&elements, "a").is_empty());
    let quiet = named(&elements, "p").pop().unwrap();
    assert_eq!(quiet.text, format!("The application is {}.", config.clients["spa"].name));
    assert_eq!(named(&elements, "h1")[0].text, "The account was not connected");
    let elements = page("spa", "", Flow::Login);
    assert_eq!(named(&elements, "h1")[0].text, "You were not signed in");
}

#[test]
fn the_error_page_of_a_sign_in_says_what_to_do_and_tells_the_developer_the_reason() {
    for (reason, status, message, detail) in [
        ("unavailable", 503, "The service cannot be reached at the moment.", false),
        ("identity_busy", 503, "The service cannot be reached at the moment.", false),
        ("link_expired", 400, "This link has expired.", false),
        ("other_browser", 400, "This was started in another browser.", false),
        ("client_unknown", 400, "The application made a mistake", true),
        ("redirect_uri_unknown", 400, "The application made a mistake", true),
        ("repeated_parameter", 400, "The application made a mistake", true),
        ("too_many_parameters", 400, "The application made a mistake", true),
        ("request_uri_unknown", 400, "The application made a mistake", true),
        ("user_disabled", 403, "Your access has been turned off.", false),
        ("account_of_other_user", 403, "This account already belongs to another user", false),
        ("sign_in_too_old", 403, "For this, you need to have signed in", false),
        ("session_ended", 403, "For this, you need to have signed in", false),
        ("other_request", 400, "This link is not valid.", false),
        ("too_many_identities", 403, "You have already added as many accounts", false),
        ("link_invalid", 400, "This link is not valid.", false),
    ] {
        let look = Look::plain(Language::English);
        let (got, page) = error_page::page(Failed::SignIn, reason, &look);
        assert_eq!(got, status, "{reason}");
        let elements = html::read(&page.html);
        assert_eq!(named(&elements, "h1")[0].text, "You were not signed in");
        assert!(named(&elements, "p")[0].text.starts_with(message), "{reason}");
        let told = named(&elements, "code").first().map(|code| code.text.clone());
        assert_eq!(told.as_deref(), detail.then_some(reason), "{reason}");
    }
}

#[test]
fn what_is_printed_of_a_page_tells_no_secret() {
    let fields = [("authorization", "s3cret")];
    let form = Form { action: "/sign-in", fields: &fields };
    let look = Look::plain(Language::English);
    let page = pages::form_post(&look, "https://app.example/", &[("code", "s3cret")]).unwrap();
    assert!(page.html.contains("s3cret"));
    let printed = format!("{form:?} {page:?}");
    assert!(printed.contains("default-src") && !printed.contains("s3cret"), "{printed}");
}
