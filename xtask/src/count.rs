// SPDX-License-Identifier: Apache-2.0
//! Counts tests in the output of cargo, of the wasm test runner and of Node.

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Skipped tests, or groups of tests, that need a browser, which this machine does not have.
    pub(crate) skipped: u64,
}

impl Count {
    /// The count of a single test.
    pub(crate) fn one(passed: bool) -> Self {
        Self { passed: u64::from(passed), failed: u64::from(!passed), skipped: 0 }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// Adds one failure if the run failed without a failed test, or ran no test at all.
    pub(crate) fn judged(mut self, success: bool) -> Self {
        if self.failed == 0 && (!success || self.passed == 0) {
            self.failed = 1;
        }
        self
    }

    /// Reads a line such as `test result: ok. 3 passed; 0 failed; …`, which each test binary prints once; the
    /// wasm test runner prints the same.
    pub(crate) fn read_cargo(&mut self, line: &str) {
        let Some((_, numbers)) =
            line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for part in numbers.split("; ") {
            match part.split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }

    /// Reads a line such as `# pass 3`, which Node prints once, at the end. A test's own output may look the
    /// same, so the last such line counts.
    pub(crate) fn read_tap(&mut self, line: &str) {
        let number = |name| line.strip_prefix(name).and_then(|number| number.parse().ok());
        if let Some(passed) = number("# pass ") {
            *self = Self { passed, failed: 0, ..*self };
        } else if let Some(failed) = number("# fail ").or_else(|| number("# cancelled ")) {
            self.failed += failed;
        } else if line.trim_start().starts_with("ok ") && line.contains(" # SKIP") {
            self.skipped += 1;
        }
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)?;
        match self.skipped {
            0 => Ok(()),
            number => write!(formatter, ", {number} skipped (see above)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(passed: u64, failed: u64) -> Count {
        Count { passed, failed, skipped: 0 }
    }

    fn cargo(output: &str) -> Count {
        let mut count = Count::default();
        output.lines().for_each(|line| count.read_cargo(line));
        count
    }

    fn tap(output: &str) -> Count {
        let mut count = Count::default();
        output.lines().for_each(|line| count.read_tap(line));
        count
    }

    #[test]
    fn results_of_several_test_binaries_add_up() {
        let output = "test a ... ok\n\
            test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
            test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        assert_eq!(cargo(output), count(7, 2));
    }

    #[test]
    fn the_summary_of_node_counts_cancelled_tests_as_failed() {
        let output = "TAP version 13\nok 1 - a\n1..6\n# tests 6\n# suites 0\n# pass 3\n# fail 2\n# cancelled 1\n# skipped 0\n";
        assert_eq!(tap(output), count(3, 3));
    }

    #[test]
    fn what_a_test_prints_does_not_count() {
        let output = "# pass 40\n# fail 2\n    # pass 9\n# pass 3\n# fail 0\n# cancelled 0\n";
        assert_eq!(tap(output), count(3, 0));
    }

    #[test]
    fn skipped_tests_are_counted_and_printed() {
        let node = tap("ok 1 - a browser # SKIP none found\n# pass 3\n# fail 0\n# cancelled 0\n");
        assert_eq!(node, Count { skipped: 1, ..count(3, 0) });
        assert_eq!(node.to_string(), "3 passed, 0 failed, 1 skipped (see above)");
        assert_eq!(count(3, 0).to_string(), "3 passed, 0 failed");
    }

    #[test]
    fn a_suite_that_does_not_run_is_one_failure() {
        assert_eq!(Count::default().judged(false), count(0, 1));
        assert_eq!(count(3, 0).judged(false), count(3, 1));
        assert_eq!(count(3, 2).judged(false), count(3, 2));
    }

    #[test]
    fn a_suite_without_tests_is_one_failure() {
        assert_eq!(Count::default().judged(true), count(0, 1));
        assert_eq!(count(1, 0).judged(true), count(1, 0));
    }
}
