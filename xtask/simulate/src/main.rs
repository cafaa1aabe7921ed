// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask simulate`: runs seeds, and prints what was kept, what was lost and why.
#![allow(clippy::disallowed_methods, reason = "the std clocks work here")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use anyhow::{Result, bail};
use lexopt::prelude::{Long, ValueExt as _};
use simulate::explore;
use simulate::mechanisms::Intact;
use simulate::scenario::{self, Outcome};

/// The most runs of one case.
const LIMIT: u64 = 200_000;

struct Options {
    seeds: u64,
    first: u64,
    refreshes: Option<u64>,
    trace: bool,
    exhaustive: bool,
}

fn main() -> ExitCode {
    match options().map(|options| if options.exhaustive { explore() } else { simulate(&options) }) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options> {
    let mut options =
        Options { seeds: 1000, first: 1, refreshes: None, trace: false, exhaustive: false };
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("seeds") => options.seeds = args.value()?.parse()?,
            Long("seed") => {
                options.first = args.value()?.parse()?;
                options.seeds = 1;
            }
            Long("refreshes") => options.refreshes = Some(args.value()?.parse()?),
            Long("trace") => options.trace = true,
            Long("exhaustive") => options.exhaustive = true,
            other => return Err(other.unexpected().into()),
        }
    }
    if options.trace && options.seeds != 1 {
        bail!("--trace prints one run: add --seed S");
    }
    Ok(options)
}

/// Runs the seeds. Returns whether nothing happened that must not.
fn simulate(options: &Options) -> bool {
    let begun = Instant::now();
    let mut total = Outcome::default();
    let mut runs = 0_u64;
    let mut failed: Vec<(u64, String)> = Vec::new();
    for seed in options.first.. {
        let enough = match options.refreshes {
            Some(refreshes) => total.refreshes >= refreshes,
            None => runs >= options.seeds,
        };
        if enough {
            break;
        }
        let outcome = scenario::run(seed, Rc::new(Intact), options.trace);
        runs += 1;
        for line in &outcome.trace {
            println!("{line}");
        }
        failed.extend(outcome.violations.into_iter().map(|violation| (seed, violation.what)));
        total.refreshes += outcome.refreshes;
        total.answered += outcome.answered;
        total.kept += outcome.kept;
        add(&mut total.losses, outcome.losses);
        add(&mut total.faults, outcome.faults);
        add(&mut total.leases, outcome.leases);
        if failed.len() >= 200 {
            break;
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{runs} runs, {} refreshes, {} exchanges answered", total.refreshes, total.answered);
    #[allow(clippy::cast_precision_loss, reason = "a rate")]
    let rate = total.refreshes as f64 / seconds;
    println!("{seconds:.1} s, {rate:.0} refreshes per second");
    println!("grants kept: {}", total.kept);
    table("grants lost that nobody could have kept", &total.losses);
    table("faults", &total.faults);
    table("leases", &total.leases);
    println!("violations: {}", failed.len());
    for (seed, what) in &failed {
        println!("  seed {seed}: {what} (cargo xtask simulate --seed {seed} --trace)");
    }
    failed.is_empty()
}

/// Goes through all orders of events of the small cases.
fn explore() -> bool {
    let (mut states, mut runs, mut failed) = (0, 0, 0);
    for case in explore::cases(true) {
        let explored = explore::explore(case, LIMIT);
        let all = if explored.is_complete { "all" } else { "the first" };
        println!("{case:?}: {all} {} states, {} runs", explored.states, explored.runs);
        for (decisions, violation) in explored.violations.iter().take(3) {
            println!("  {}, after the decisions {decisions:?}", violation.what);
        }
        states += explored.states;
        runs += explored.runs;
        failed += explored.violations.len();
    }
    println!("{states} states, {runs} runs, {failed} violations");
    failed == 0
}

fn add(total: &mut BTreeMap<&'static str, u64>, more: BTreeMap<&'static str, u64>) {
    for (name, count) in more {
        *total.entry(name).or_default() += count;
    }
}

fn table(title: &str, rows: &BTreeMap<&'static str, u64>) {
    println!("{title}:");
    for (name, count) in rows {
        println!("  {count:>9}  {name}");
    }
}
