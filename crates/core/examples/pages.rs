// SPDX-License-Identifier: Apache-2.0
//! Writes every page in every state and language to a folder, to look at in a browser:
//! `cargo run -p vault-core --example pages -- OUT`. Their policies come along as `<meta>`, which
//! leaves out what a browser takes from a header alone (`frame-ancestors`).

#[path = "../tests/support/pages.rs"]
mod samples;

use std::path::PathBuf;
use std::{env, fs, io};

use samples::{LONG, ORDINARY, UNTRUSTED};
use vault_core::pages::Language;

fn main() -> io::Result<()> {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: pages OUT"));
    };
    for language in Language::ALL {
        for (names, kind) in [(&ORDINARY, ""), (&LONG, "-long"), (&UNTRUSTED, "-untrusted")] {
            for (name, page) in samples::all(language, names) {
                let folder = folder.join(language.tag());
                fs::create_dir_all(&folder)?;
                let meta = format!(
                    "<head><meta http-equiv=\"Content-Security-Policy\" content=\"{}\">",
                    page.content_security_policy
                );
                let html = page.html.replacen("<head>", &meta, 1);
                fs::write(folder.join(format!("{name}{kind}.html")), html)?;
            }
        }
    }
    Ok(())
}
