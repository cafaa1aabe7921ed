// SPDX-License-Identifier: Apache-2.0
//! Runs other programs: steps that print what they do, and children that are stopped with this program.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

/// Time between SIGTERM and SIGKILL to a process group.
const GRACE: Duration = Duration::from_secs(5);

/// How many lines of a failed program's output are shown.
const LAST_LINES: usize = 40;
/// How often to say that a program still runs.
const STILL_RUNS: Duration = Duration::from_secs(30);

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

/// Runs `command` to its end and shows nothing of what it prints, which is meant for people who use that program.
/// The error has the last lines of it, and names the file with all. A command that takes long says so now and then.
/// Standard input is empty, unless `command` has another.
pub(crate) fn run_quietly(command: &mut Command, input: Option<&[u8]>, next: &str) -> Result<()> {
    let output = Output::create(command)?;
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    command.stdout(output.file.try_clone()?).stderr(output.file.try_clone()?);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            output.remove()?;
            return Err(not_started(command, &error, next));
        }
    };
    if let (Some(mut pipe), Some(bytes)) = (child.stdin.take(), input) {
        // A program that ends before it has read all says why by its status.
        let _ = std::io::Write::write_all(&mut pipe, bytes);
    }
    let status = wait(&mut child)?;
    if status.success() {
        return output.remove();
    }
    bail!("failed ({status}): {}\n{}{next}", line_of(command), output.shown())
}

/// Waits for the end of a child, and prints from time to time that it still runs.
fn wait(child: &mut Child) -> Result<ExitStatus> {
    let (started, mut told) = (Instant::now(), Instant::now());
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if told.elapsed() >= STILL_RUNS {
            told = Instant::now();
            println!("    still running after {} s", started.elapsed().as_secs());
        }
        sleep(Duration::from_millis(20));
    }
}

/// The file with the output of a program.
struct Output {
    path: PathBuf,
    file: File,
}

impl Output {
    /// Creates the file, which only its owner can read.
    fn create(command: &Command) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let directory = crate::project_root().join("target/xtask");
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot create {}", directory.display()))?;
        let program = Path::new(command.get_program()).file_name().unwrap_or_default();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{}-{number}.log", program.to_string_lossy(), std::process::id());
        let path = directory.join(name);
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600);
        let file =
            options.open(&path).with_context(|| format!("cannot write {}", path.display()))?;
        file.set_len(0)?;
        Ok(Self { path, file })
    }

    /// The last lines, and where all are.
    fn shown(&self) -> String {
        let bytes = fs::read(&self.path).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let mut shown = String::new();
        for line in lines.iter().skip(lines.len().saturating_sub(LAST_LINES)) {
            let _ = writeln!(shown, "    {line}");
        }
        if lines.len() > LAST_LINES {
            let _ = writeln!(shown, "All {} lines are in {}.", lines.len(), self.path.display());
        }
        shown
    }

    fn remove(self) -> Result<()> {
        fs::remove_file(&self.path)
            .with_context(|| format!("cannot remove {}", self.path.display()))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failed_program_is_shown_by_its_last_lines_and_the_file_that_has_all() {
        let script =
            "i=0; while [ $i -lt 100 ]; do echo line-$i; i=$((i+1)); done; echo why >&2; exit 3";
        let error = run_quietly(&mut shell(script), None, "Try this.").unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.ends_with("Try this."), "{error}");
        assert!(error.contains("    line-99\n    why\n") && error.contains("line-61\n"), "{error}");
        assert!(!error.contains("line-60\n"), "{error}");
        let (_, file) = error.split_once("All 101 lines are in ").unwrap();
        let file = file.split(".log").next().unwrap().to_owned() + ".log";
        assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 101);
        fs::remove_file(file).unwrap();
    }

    #[test]
    fn a_program_that_succeeds_leaves_nothing_and_reads_what_it_is_given() {
        let command = || shell("read x && [ \"$x\" = given ] && basename \"$0\"");
        run_quietly(&mut command(), Some(b"given\n"), "").unwrap();
        run_quietly(&mut shell("! read x"), None, "").unwrap();
        let mut missing = Command::new("no-such-program-of-the-tests");
        let error = run_quietly(&mut missing, None, "Install it.").unwrap_err().to_string();
        assert_eq!(error, "cannot start (not found): no-such-program-of-the-tests\nInstall it.");
    }
}
