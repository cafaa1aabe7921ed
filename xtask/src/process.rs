// SPDX-License-Identifier: Apache-2.0
//! Runs other programs: steps that print what they do, and children that are stopped with this program.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

/// Time between SIGTERM and SIGKILL to a process group.
const GRACE: Duration = Duration::from_secs(5);

/// Prints `title`, runs `work` and prints how long it took.
pub(crate) fn step<T>(title: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("==> {title}…");
    let started = Instant::now();
    let result = work()?;
    println!("    done in {:.1} s", started.elapsed().as_secs_f32());
    Ok(result)
}

/// Runs `command` to its end. The error names the command and contains `next`, which says what to do.
pub(crate) fn run(command: &mut Command, next: &str) -> Result<()> {
    let status = command.status().map_err(|error| not_started(command, &error, next))?;
    if !status.success() {
        bail!("failed ({status}): {}\n{next}", line_of(command));
    }
    Ok(())
}

/// Starts `command` in its own process group. Errors as for [`run`].
pub(crate) fn spawn_group(command: &mut Command, next: &str) -> Result<Group> {
    let child =
        command.process_group(0).spawn().map_err(|error| not_started(command, &error, next))?;
    Ok(Group { child })
}

pub(crate) fn not_started(command: &Command, error: &std::io::Error, next: &str) -> anyhow::Error {
    let why = if error.kind() == ErrorKind::NotFound {
        "not found".to_owned()
    } else {
        error.to_string()
    };
    anyhow!("cannot start ({why}): {}\n{next}", line_of(command))
}

/// The command as a person would type it. This program passes no secrets as arguments.
pub(crate) fn line_of(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        let _ = write!(line, " {}", argument.to_string_lossy());
    }
    line
}

/// A child and all processes it started. Dropping the group stops all of them.
pub(crate) struct Group {
    child: Child,
}

impl Group {
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The exit status of the child; `None` while it runs.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("cannot ask for the state of a child process")
    }

    fn end(&mut self) {
        let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else {
            return;
        };
        for signal in [Signal::TERM, Signal::KILL] {
            if kill_process_group(group, signal).is_err() {
                break;
            }
            let asked = Instant::now();
            while asked.elapsed() < GRACE {
                // Reaps the group's leader, which would otherwise stay in the group as a zombie.
                let _ = self.child.try_wait();
                if test_kill_process_group(group).is_err() {
                    return;
                }
                sleep(Duration::from_millis(50));
            }
        }
        let _ = self.child.try_wait();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}
