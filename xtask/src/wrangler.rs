// SPDX-License-Identifier: Apache-2.0
//! Runs `wrangler dev` as a child: shows its build output, keeps its log, and waits until it is healthy.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::iter;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use serde_json::Value;

use crate::dev_config::Certificates;
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
    /// The files with which it serves https; `None` for http.
    pub(crate) tls: Option<&'a Certificates>,
    /// The file of the Worker's variables; `None` for `.dev.vars`.
    pub(crate) variables: Option<&'a PathBuf>,
    /// The directory of the Worker's storage.
    pub(crate) data: &'a Path,
    pub(crate) log: PathBuf,
    /// While this is set, the Worker's log lines are printed for people.
    pub(crate) show_requests: Arc<AtomicBool>,
}

pub(crate) struct Wrangler {
    group: Group,
    health: Health,
    log: PathBuf,
}

impl Wrangler {
    pub(crate) fn start(start: &Start<'_>) -> Result<Self> {
        let Start { root, tools, port, tls, variables, data, log, show_requests } = start;
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
        if let Some(Certificates { authority, certificate, key }) = tls {
            command.args(["--local-protocol", "https", "--https-key-path"]).arg(key);
            command.arg("--https-cert-path").arg(certificate);
            // The runtime trusts it too when the Worker sends requests.
            command.env("NODE_EXTRA_CA_CERTS", authority);
        }
        if let Some(variables) = variables {
            command.arg("--env-file").arg(variables);
        }
        let mut group = spawn_group(&mut command, "Run `npm ci`, then try again.")?;
        if let Some(output) = group.child().stdout.take() {
            follow(output, file.try_clone()?, Arc::clone(show_requests));
        }
        if let Some(output) = group.child().stderr.take() {
            follow(output, file, Arc::clone(show_requests));
        }
        let health = match tls {
            None => Health::Http { port: *port },
            Some(tls) => Health::Https {
                port: *port,
                node: tools.node(),
                script: root.join("xtask/js/health.mjs"),
                authority: tls.authority.clone(),
            },
        };
        Ok(Self { group, health, log: log.clone() })
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
            if let Some(answer) = self.health.ask() {
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

/// Copies output into the log, and to the terminal lines of a build, and while `show_requests` is set lines
/// for people about what the Worker logs.
fn follow(output: impl Read + Send + 'static, mut log: File, show_requests: Arc<AtomicBool>) {
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            if let Some(text) = of_build(&line) {
                println!("   {text}");
            }
            if show_requests.load(Ordering::Relaxed)
                && let Some(text) = event_of(&line).as_ref().and_then(for_people)
            {
                println!("{text}");
            }
            let _ = log.write_all(format!("{line}\n").as_bytes());
        }
    });
}

/// What the build printed, if this is a line of it. Wrangler's own line says which command it runs.
fn of_build(line: &str) -> Option<&str> {
    let (_, text) = line.split_once(BUILD_MARK)?;
    let is_ours = !text.trim().is_empty() && !text.trim_start().starts_with("Running:");
    is_ours.then_some(text)
}

/// The last configuration error that the Worker logged: the variable, the field and the fix.
fn configuration_error(log: &str) -> Option<String> {
    let line = log.lines().rev().find(|line| line.contains(r#""event":"configuration_error""#))?;
    event_of(line)?.get("detail")?.as_str().map(str::to_owned)
}

/// The event that a line of the log is about, if the Worker wrote it.
fn event_of(line: &str) -> Option<Value> {
    let event: Value = serde_json::from_str(line.get(line.find('{')?..)?).ok()?;
    event.get("event")?.is_string().then_some(event)
}

/// One line about an event: a request with its status, or the event's name, and then the other members.
fn for_people(event: &Value) -> Option<String> {
    const FIRST: [&str; 4] = ["event", "route", "status", "duration_ms"];
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let member = |name: &str| event.get(name).map(text);
    let name = member("event")?;
    let first = match (name.as_str(), member("route"), member("status")) {
        ("request", Some(route), Some(status)) => format!("{status} {route}"),
        _ => name,
    };
    let others = event.as_object()?.iter().filter(|(name, _)| !FIRST.contains(&name.as_str()));
    let others = others.map(|(name, value)| format!("{name} {}", text(value)));
    let time = member("duration_ms").map(|milliseconds| format!("{milliseconds} ms"));
    let parts: Vec<String> = iter::once(first).chain(others).chain(time).collect();
    Some(parts.join("  "))
}

struct Answer {
    status: String,
    body: String,
}

/// How to ask the Worker for its health.
enum Health {
    Http {
        port: u16,
    },
    /// By a script, because this program has no TLS.
    Https {
        port: u16,
        node: PathBuf,
        script: PathBuf,
        authority: PathBuf,
    },
}

impl Health {
    /// Sends one `GET /health`. `None` if no valid response arrives in time.
    fn ask(&self) -> Option<Answer> {
        match self {
            Self::Http { port } => ask_health(*port),
            Self::Https { port, node, script, authority } => {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
                TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
                let mut command = Command::new(node);
                command.arg(script).arg(format!("https://localhost:{port}/health"));
                command.env("NODE_EXTRA_CA_CERTS", authority).stderr(Stdio::null());
                parse_answer(&String::from_utf8_lossy(&command.output().ok()?.stdout))
            }
        }
    }
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
    fn of_wranglers_lines_those_of_the_build_are_shown() {
        for (line, expected) in [
            ("[custom build] ==> building the Worker", Some(" ==> building the Worker")),
            ("[custom build] Running: cargo xtask build", None),
            ("[custom build] ", None),
            ("GET /health 200 OK", None),
        ] {
            assert_eq!(of_build(line), expected, "{line}");
        }
    }

    #[test]
    fn the_log_says_what_is_wrong_with_a_configuration() {
        let log = "ready\n[log] {\"event\":\"configuration_error\",\"detail\":\"CLIENTS.a: is odd\"}\nGET\n";
        assert_eq!(configuration_error(log).unwrap(), "CLIENTS.a: is odd");
        assert_eq!(configuration_error("{\"event\":\"other\"}\n"), None);
    }

    #[test]
    fn a_line_for_people_has_the_status_and_the_route_first_and_the_time_last() {
        let people = |line: &str| for_people(&event_of(line).unwrap()).unwrap();
        let request = r#"[log] {"event":"request","route":"POST /oauth/token","status":400,"error":"invalid_target","client_id":"backend","duration_ms":2}"#;
        let expected = "400 POST /oauth/token  client_id backend  error invalid_target  2 ms";
        assert_eq!(people(request), expected);
        assert_eq!(
            people(r#"{"event":"refresh_failed","connection":"a"}"#),
            "refresh_failed  connection a"
        );
        assert!(event_of("[wrangler:info] GET /health 200 OK").is_none());
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
