// SPDX-License-Identifier: Apache-2.0
//! The pages of the vault as an OpenID provider. They work without script, load nothing from elsewhere,
//! and escape every text.

mod text;

use vault_base::encoding;
use vault_base::secret::Secret;
use vault_base::text::html;

use crate::config::SignIn;
use text::{ENGLISH, LANGUAGES, Texts};

/// A page and the policy that it is sent with.
#[derive(Debug)]
pub struct Page {
    /// The markup.
    pub html: String,
    /// `Content-Security-Policy`.
    pub policy: String,
}

/// The language of a page.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    texts: &'static Texts,
}

impl Context {
    /// Chooses the language: the client's `ui_locales` (OpenID Connect Core §3.1.2.1), else the browser's
    /// `Accept-Language` (RFC 9110 §12.5.4), else English.
    pub fn new(accept_language: Option<&str>, ui_locales: Option<&str>) -> Self {
        let wished = ui_locales.into_iter().flat_map(|list| list.split(' ')).find_map(language);
        let accepted = accept_language.and_then(preferred);
        Self { texts: wished.or(accepted).unwrap_or(&ENGLISH) }
    }
}

/// The language of a tag: its first subtag (RFC 5646 §2.2.1).
fn language(tag: &str) -> Option<&'static Texts> {
    let primary = tag.trim().split('-').next()?.to_ascii_lowercase();
    LANGUAGES.iter().copied().find(|texts| texts.language == primary)
}

/// The known language with the greatest weight; of equal ones the first.
fn preferred(header: &str) -> Option<&'static Texts> {
    let mut best: Option<(u32, &'static Texts)> = None;
    for range in header.split(',').take(20) {
        let (tag, weight) = range.split_once(';').unwrap_or((range, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Some(1000), thousandths);
        if let (Some(texts), Some(weight @ 1..)) = (language(tag), weight)
            && best.is_none_or(|(so_far, _)| weight > so_far)
        {
            best = Some((weight, texts));
        }
    }
    best.map(|(_, texts)| texts)
}

/// A weight such as `0.8`, in thousandths.
fn thousandths(text: &str) -> Option<u32> {
    let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let part = format!("{part:0<3}");
    let part: u32 = part.get(..3)?.parse().ok()?;
    Some(whole.parse::<u32>().ok()?.min(1) * 1000 + part)
}

const STYLE: &str = "\
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--text:#1c1f24;--muted:#555c66;--line:#d5d9e0;--go:#1f5fd0;--on:#fff}\
@media(prefers-color-scheme:dark){:root{--bg:#14161a;--card:#1d2026;--text:#eceef2;--muted:#a9b0bb;--line:#3a404a;--go:#8ab4ff;--on:#10131a}}\
*{box-sizing:border-box}\
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1rem;background:var(--bg);color:var(--text);font:16px/1.5 system-ui,sans-serif}\
main{width:100%;max-width:26rem;background:var(--card);border:1px solid var(--line);border-radius:12px;padding:2rem 1.5rem;overflow-wrap:anywhere}\
img{max-width:12rem;max-height:4rem;display:block;margin:0 0 1rem}\
h1{font-size:1.375rem;line-height:1.3;margin:0 0 .5rem}\
p{margin:0 0 1.25rem;color:var(--muted)}\
ul{margin:0 0 1.5rem;padding-left:1.25rem}\
li{margin:.25rem 0}\
form{margin:0 0 .75rem}\
button{width:100%;min-height:2.75rem;padding:.5rem 1rem;border:1px solid var(--line);border-radius:8px;background:transparent;color:var(--text);font:inherit;font-weight:600;cursor:pointer;overflow-wrap:anywhere}\
button.go{background:var(--go);border-color:var(--go);color:var(--on)}\
button:hover{text-decoration:underline}\
button:focus-visible{outline:3px solid var(--go);outline-offset:2px}";

/// The page around these parts. `script` is code that the policy allows, if there is any.
fn page(texts: &Texts, title: &str, logo: Option<&str>, body: &str, more: &str) -> Page {
    let image = logo.map(|src| format!("<img src=\"{}\" alt=\"\">", html(src))).unwrap_or_default();
    let markup = format!(
        "<!doctype html><html lang=\"{}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\"><title>{}</title><style>{STYLE}</style></head>\
         <body><main>{image}{body}</main></body></html>",
        texts.language,
        html(title),
    );
    let images = if logo.is_some() { "; img-src https:" } else { "" };
    let policy = format!(
        "default-src 'none'; style-src '{}'; base-uri 'none'{images}{more}",
        source_hash(STYLE)
    );
    Page { html: markup, policy }
}

/// A hash source (CSP Level 3 §2.3.1).
fn source_hash(text: &str) -> String {
    format!("sha256-{}", encoding::base64(encoding::sha256(text)))
}

const UNFRAMED: &str = "; frame-ancestors 'none'";

/// A form of one button that posts these fields.
fn form(action: &str, fields: &[(&str, &str)], label: &str, is_main: bool) -> String {
    let input = |(name, value): &(&str, &str)| {
        ["<input type=\"hidden\" name=\"", &html(name), "\" value=\"", &html(value), "\">"].concat()
    };
    let inputs = fields.iter().map(input).collect::<Vec<_>>().concat();
    let class = if is_main { " class=\"go\"" } else { "" };
    format!(
        "<form method=\"post\" action=\"{}\">{inputs}<button{class}>{}</button></form>",
        html(action),
        html(label)
    )
}

/// The sign-in page: one button per connection.
pub fn sign_in(context: &Context, sign_in: &SignIn, client: &str, authorization: &str) -> Page {
    let texts = context.texts;
    let mut body = format!(
        "<h1>{}</h1><p>{}</p>",
        html(&sign_in.title),
        texts.sign_in_to.replace("{}", &html(client))
    );
    for (index, connection) in sign_in.connections.iter().enumerate() {
        let label = texts.with_connection.replace("{}", connection);
        let fields = [("authorization", authorization), ("connection", connection.as_str())];
        body += &form("/sign-in", &fields, &label, index == 0);
    }
    page(texts, &sign_in.title, sign_in.logo.as_deref(), &body, UNFRAMED)
}

/// The consent page for an application of somebody else.
pub fn consent(
    context: &Context,
    sign_in: &SignIn,
    client: &str,
    scopes: &[String],
    authorization: &str,
) -> Page {
    let texts = context.texts;
    let title = texts.consent.replace("{}", client);
    let mut body = format!("<h1>{}</h1><p>{}</p><ul>", html(&title), texts.consent_asks);
    for scope in scopes {
        body.extend(["<li>", &html(texts.scope(scope)), "</li>"]);
    }
    body += "</ul>";
    for (action, label, is_main) in [("allow", texts.allow, true), ("deny", texts.deny, false)] {
        let fields = [("authorization", authorization), ("action", action)];
        body += &form("/sign-in", &fields, label, is_main);
    }
    page(texts, &title, sign_in.logo.as_deref(), &body, UNFRAMED)
}

/// The question before a sign-out that a stranger may have asked for. `fields` are posted back.
pub fn sign_out(context: &Context, fields: &[(&str, &str)]) -> Page {
    let texts = context.texts;
    let body = format!(
        "<h1>{}</h1><p>{}</p>{}",
        texts.sign_out_title,
        texts.sign_out_question,
        form("/oidc/logout", fields, texts.sign_out, true)
    );
    page(texts, texts.sign_out_title, None, &body, UNFRAMED)
}

/// The page after a sign-out that returns nowhere.
pub fn signed_out(context: &Context) -> Page {
    let texts = context.texts;
    let body = format!("<h1>{}</h1><p>{}</p>", texts.signed_out_title, texts.signed_out);
    page(texts, texts.signed_out_title, None, &body, UNFRAMED)
}

/// The error page for a reason, with its status.
pub fn error(context: &Context, reason: &str) -> (u16, Page) {
    let texts = context.texts;
    let (status, message) = match reason {
        "unavailable" => (503, texts.error_unavailable),
        "client_unknown"
        | "redirect_uri_unknown"
        | "repeated_parameter"
        | "too_many_parameters"
        | "request_uri_unknown" => (400, texts.error_application),
        "sign_in_refused" => (403, texts.error_refused),
        _ => (400, texts.error_link),
    };
    let body = format!("<h1>{}</h1><p>{message}</p>", texts.error_title);
    (status, page(texts, texts.error_title, None, &body, UNFRAMED))
}

const SUBMIT: &str = "document.forms[0].submit()";

/// The page that posts a response to the client (OAuth 2.0 Form Post Response Mode §2). Without script its
/// button does.
pub fn form_post(action: &str, fields: &[(&'static str, Secret)]) -> Page {
    let fields: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (*name, value.expose())).collect();
    let texts = &ENGLISH;
    let button = form(action, &fields, texts.continue_button, true);
    let body = format!("<h1>{}</h1>{button}<script>{SUBMIT}</script>", texts.continue_title);
    let more = format!("; script-src '{}'{UNFRAMED}", source_hash(SUBMIT));
    page(texts, texts.continue_title, None, &body, &more)
}

const MESSAGE: &str = "const data=JSON.parse(document.getElementById('message').textContent);\
(window.opener||window.parent).postMessage({type:'authorization_response',response:data.response},data.origin)";

/// The page that sends a response to the window that opened or embeds it, if that has this origin.
pub fn web_message(origin: &str, fields: &[(&'static str, Secret)]) -> Page {
    let response: serde_json::Map<String, serde_json::Value> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.expose().into())).collect();
    let data = serde_json::json!({ "origin": origin, "response": response });
    // Inside a script element only `<` could end it.
    let data = data.to_string().replace('<', "\\u003c");
    let body = format!(
        "<h1>{}</h1><script type=\"application/json\" id=\"message\">{data}</script>\
         <script>{MESSAGE}</script>",
        ENGLISH.continue_title
    );
    let more = format!("; script-src '{}'; frame-ancestors {origin}", source_hash(MESSAGE));
    page(&ENGLISH, ENGLISH.continue_title, None, &body, &more)
}
