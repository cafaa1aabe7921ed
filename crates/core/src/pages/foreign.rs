// SPDX-License-Identifier: Apache-2.0
//! Text that somebody else chose: names of users and applications, addresses, descriptions.

use maud::{Markup, Render, html};

/// Most characters of a name that are shown.
const NAME: usize = 100;

/// Most characters of a sentence that are shown.
const SENTENCE: usize = 400;

/// Foreign text as it may be shown: it cannot change how the text around it reads, neither by
/// markup nor by characters that turn the direction of writing, and it is not endless.
pub(super) struct Foreign(String);

impl Foreign {
    pub(super) fn name(text: &str) -> Self {
        Self(clean(text, NAME))
    }

    pub(super) fn sentence(text: &str) -> Self {
        Self(clean(text, SENTENCE))
    }

    /// As text of a `title`, where there can be no element.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Render for Foreign {
    fn render(&self) -> Markup {
        html! { bdi { (self.0) } }
    }
}

fn clean(text: &str, most: usize) -> String {
    let spaced: String = text
        .chars()
        .filter(|c| !is_hidden(*c))
        .map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .take(most * 2)
        .collect();
    let mut out = String::new();
    let mut count = 0;
    for word in spaced.split_whitespace() {
        let space = usize::from(count > 0);
        let length = word.chars().count();
        if count + space + length > most {
            out.extend(std::iter::repeat_n(' ', space));
            out.extend(word.chars().take(most.saturating_sub(count + space + 1)));
            out.push('…');
            return out;
        }
        out.extend(std::iter::repeat_n(' ', space));
        out.push_str(word);
        count += space + length;
    }
    out
}

/// What would turn the direction of the text around it (UAX #9 §2), and what is not seen at all.
/// The joiners stay: some scripts and symbols need them.
fn is_hidden(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}');
    turns
        || matches!(c, '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_its_letters_and_loses_what_turns_or_breaks_the_line() {
        assert_eq!(clean("  Ana \u{202e}elgoog\n\u{2067}x\0y\u{2028}z ", 100), "Ana elgoog x y z");
        assert_eq!(clean("مريم 木村", 100), "مريم 木村");
        assert_eq!(clean("\u{200f}\u{feff}\u{200b}", 100), "");
    }

    #[test]
    fn a_long_name_is_cut_and_says_so() {
        assert_eq!(clean("abcdef", 6), "abcdef");
        assert_eq!(clean("abcdefg", 6), "abcde…");
        assert_eq!(clean("ab cdefg", 6), "ab cd…");
        assert_eq!(clean("abcde f", 6), "abcde …");
        assert_eq!(clean(&"木".repeat(10_000), NAME).chars().count(), NAME);
    }
}
