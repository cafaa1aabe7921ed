// SPDX-License-Identifier: Apache-2.0
//! Runs `wrangler dev` as a child: shows its build output, keeps its log, and waits until it is healthy.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{Group, spawn_group};
use crate::tools::Tools;

/// Time for the first response; enough for a first build on a slow machine.
const READY_WITHIN: Duration = Duration::from_mins(15);
/// How long the Worker may respond with an error before the start counts as failed.
const HEALTHY_WITHIN: Duration = Duration::from_secs(10);
const BUILD_MARK: &str = "[custom build]";

/// The settings of a start.
pub(crate) struct Start<'a> {
    pub(crate) root: &'a Path,
    pub(crate) tools: &'a Tools,
    pub(crate) port: u16,
    /// The file of the Worker's variables; `None` for `.dev.vars`.
    pub(crate) variables: Option<&'a PathBuf>,
    /// The directory of the Worker's storage.
    pub(crate) data: &'a Path,
    pub(crate) log: PathBuf,
}

pub(crate) struct Wrangler {
    group: Group,
    port: u16,
    log: PathBuf,
}

impl Wrangler {
    pub(crate) fn start(start: &Start<'_>) -> Result<Self> {
        let Start { root, tools, port, variables, data, log } = start;
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(tools.node());
        command
            .arg(root.join("node_modules/wrangler/bin/wrangler.js"))
            .args(["dev", "--ip", "127.0.0.1", "--show-interactive-dev-session=false", "--port"])
            .arg(port.to_string())
            .arg("--persist-to")
            .arg(data)
            .current_dir(root)
            .env("PATH", tools.path()?)
            // It would store every URL with its query, and so authorization codes, in .wrangler/state.
            .env("X_LOCAL_OBSERVABILITY", "false")
            .env("CLOUDFLARE_CF_FETCH_ENABLED", "false")
            .env("WRANGLER_SEND_METRICS", "false")
            .env("WRANGLER_WRITE_LOGS", "false")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(variables) = variables {
            command.arg("--env-file").arg(variables);
        }
        let mut group = spawn_group(&mut command, "Run `npm ci`, then try again.")?;
        if let Some(output) = group.child().stdout.take() {
            follow(output, file.try_clone()?);
        }
        if let Some(output) = group.child().stderr.take() {
            follow(output, file);
        }
        Ok(Self { group, port: *port, log: log.clone() })
    }

    /// Waits until the Worker responds with 200 to `GET /health`. `Err` if it does not in time, if it reports
    /// a configuration error, if wrangler exits, or if `interrupted` is set.
    pub(crate) fn wait_until_healthy(&mut self, interrupted: &AtomicBool) -> Result<()> {
        let started = Instant::now();
        let mut first_answer = None;
        while started.elapsed() < READY_WITHIN {
            if interrupted.load(Ordering::Relaxed) {
                bail!("interrupted");
            }
            self.check()?;
            if let Some(answer) = ask_health(self.port) {
                if answer.status == "200" {
                    return Ok(());
                }
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                if let Some(reason) = configuration_error(&log) {
                    bail!("the configuration is invalid: {reason}");
                }
                if first_answer.get_or_insert_with(Instant::now).elapsed() > HEALTHY_WITHIN {
                    let (status, body, log) = (answer.status, answer.body, self.log.display());
                    bail!("the Worker responds {status} to GET /health: {body}\nIts log is {log}");
                }
            }
            sleep(Duration::from_millis(100));
        }
        bail!(
            "the Worker did not respond to GET /health within {READY_WITHIN:?}; see {}",
            self.log.display()
        )
    }

    /// `Err` if wrangler has exited.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.group.ended()? {
            Some(status) => bail!(
                "wrangler dev exited ({status}); see the output above or {} for the reason",
                self.log.display()
            ),
            None => Ok(()),
        }
    }
}

/// Copies output into the log, and lines of a build to the terminal too.
fn follow(output: impl Read + Send + 'static, mut log: File) {
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            if let Some((_, text)) =
                line.split_once(BUILD_MARK).filter(|(_, text)| !text.trim().is_empty())
            {
                println!("   {text}");
            }
            let _ = log.write_all(format!("{line}\n").as_bytes());
        }
    });
}

/// The reason of the last configuration error that the Worker logged.
fn configuration_error(log: &str) -> Option<String> {
    let line = log.lines().rev().find(|line| line.contains(r#""event":"configuration_error""#))?;
    let event: serde_json::Value = serde_json::from_str(line.get(line.find('{')?..)?).ok()?;
    event.get("reason")?.as_str().map(str::to_owned)
}

struct Answer {
    status: String,
    body: String,
}

/// Sends one `GET /health`. `None` if no valid response arrives in time.
fn ask_health(port: u16) -> Option<Answer> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")
        .ok()?;
    let mut bytes = Vec::new();
    stream.take(4_096).read_to_end(&mut bytes).ok()?;
    parse_answer(&String::from_utf8_lossy(&bytes))
}

fn parse_answer(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ")?.split_whitespace().next()?.to_owned();
    Some(Answer { status, body: body.trim().chars().take(300).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_says_what_is_wrong_with_a_configuration() {
        let log = "ready\n[log] {\"event\":\"configuration_error\",\"reason\":\"CLIENTS.a: is odd\"}\nGET\n";
        assert_eq!(configuration_error(log).unwrap(), "CLIENTS.a: is odd");
        assert_eq!(configuration_error("{\"event\":\"other\"}\n"), None);
    }

    #[test]
    fn an_answer_has_a_status_and_a_body() {
        let answer =
            parse_answer("HTTP/1.1 503 Service Unavailable\r\nA: b\r\n\r\nconfiguration error\n")
                .unwrap();
        assert_eq!((answer.status.as_str(), answer.body.as_str()), ("503", "configuration error"));
        assert!(parse_answer("nonsense").is_none());
    }
}
