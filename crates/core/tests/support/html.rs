// SPDX-License-Identifier: Apache-2.0
//! Reads a page as strictly as a test wants: every tag closed in its order, every attribute quoted.

#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

const VOID: [&str; 3] = ["meta", "img", "input"];

/// An element, its attributes with their entities resolved, and the text in it and its children.
#[derive(Debug, Clone)]
pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub text: String,
    /// Names of the elements around it, outermost first.
    pub within: Vec<String>,
}

impl Element {
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }
}

/// All elements in the order of their opening tags.
///
/// # Panics
/// If it is not well-formed.
pub fn read(html: &str) -> Vec<Element> {
    let mut rest = html.strip_prefix("<!DOCTYPE html>").unwrap();
    let mut elements: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    while !rest.is_empty() {
        let (text, tag) = rest.split_at(rest.find('<').unwrap_or(rest.len()));
        assert!(!open.is_empty() || text.is_empty(), "text outside of the document: {text}");
        for at in &open {
            elements[*at].text.push_str(&unescape(text));
        }
        rest = tag;
        if let Some(closing) = rest.strip_prefix("</") {
            let (name, after) = closing.split_once('>').unwrap();
            let at = open.pop().unwrap_or_else(|| panic!("</{name}> closes nothing"));
            assert_eq!(elements[at].name, name, "</{name}> stands in the wrong place");
            rest = after;
        } else if let Some(opening) = rest.strip_prefix('<') {
            let within = open.iter().map(|at| elements[*at].name.clone()).collect();
            let (mut element, after) = opening_tag(opening, within);
            rest = after;
            if matches!(element.name.as_str(), "style" | "script") {
                let end = format!("</{}>", element.name);
                let (raw, after) = rest.split_once(end.as_str()).unwrap();
                raw.clone_into(&mut element.text);
                rest = after;
            } else if !VOID.contains(&element.name.as_str()) {
                open.push(elements.len());
            }
            elements.push(element);
        }
    }
    assert!(open.is_empty(), "not closed: {open:?}");
    elements
}

fn opening_tag(tag: &str, within: Vec<String>) -> (Element, &str) {
    let end = tag.find(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit()).unwrap();
    let (name, mut rest) = tag.split_at(end);
    assert!(!name.is_empty(), "no tag: {tag}");
    let mut attributes: Vec<(String, String)> = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix('>') {
            let element =
                Element { name: name.to_owned(), attributes, text: String::new(), within };
            return (element, after);
        }
        let (key, after) = rest.strip_prefix(' ').unwrap().split_once("=\"").unwrap();
        assert!(key.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "attribute {key}");
        assert!(attributes.iter().all(|(one, _)| one != key), "{key} stands twice");
        let (value, after) = after.split_once('"').unwrap();
        attributes.push((key.to_owned(), unescape(value)));
        rest = after;
    }
}

/// Text behind its entities. A bare `&` or `>` is one that was not escaped.
fn unescape(text: &str) -> String {
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (entity, rest) = part.split_once(';').unwrap_or_else(|| panic!("bare & in {text}"));
        out.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#39" => '\'',
            _ => panic!("unknown entity in {text}"),
        });
        out.push_str(rest);
    }
    assert!(!text.contains(['<', '>']), "not escaped: {text}");
    out
}
