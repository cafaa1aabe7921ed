//! Counts tests in the output of cargo, of wasm's test runner and of Node.

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Count {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// A run that failed without a failed test, or ran no test at all, is a failure.
    pub(crate) fn judged(mut self, success: bool) -> Self {
        if self.failed == 0 && (!success || self.passed == 0) {
            self.failed = 1;
        }
        self
    }

    /// `test result: ok. 3 passed; 0 failed; …`, once per test binary; also from wasm's runner.
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

    /// `# pass 3`: Node sums up once, at the end. Output of tests looks alike, so the last line wins.
    pub(crate) fn read_tap(&mut self, line: &str) {
        let number = |name| line.strip_prefix(name).and_then(|number| number.parse().ok());
        if let Some(passed) = number("# pass ") {
            *self = Self { passed, failed: 0 };
        } else if let Some(failed) = number("# fail ").or_else(|| number("# cancelled ")) {
            self.failed += failed;
        }
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(cargo(output), Count { passed: 7, failed: 2 });
    }

    #[test]
    fn the_summary_of_node_counts_cancelled_tests_as_failed() {
        let output = "TAP version 13\nok 1 - a\n1..6\n# tests 6\n# suites 0\n# pass 3\n# fail 2\n# cancelled 1\n# skipped 0\n";
        assert_eq!(tap(output), Count { passed: 3, failed: 3 });
    }

    #[test]
    fn what_a_test_prints_does_not_count() {
        let output = "# pass 40\n# fail 2\n    # pass 9\n# pass 3\n# fail 0\n# cancelled 0\n";
        assert_eq!(tap(output), Count { passed: 3, failed: 0 });
    }

    #[test]
    fn a_suite_that_does_not_run_is_one_failure() {
        assert_eq!(Count::default().judged(false), Count { passed: 0, failed: 1 });
        assert_eq!(Count { passed: 3, failed: 0 }.judged(false), Count { passed: 3, failed: 1 });
        assert_eq!(Count { passed: 3, failed: 2 }.judged(false), Count { passed: 3, failed: 2 });
    }

    #[test]
    fn a_suite_without_tests_is_one_failure() {
        assert_eq!(Count::default().judged(true), Count { passed: 0, failed: 1 });
        assert_eq!(Count { passed: 1, failed: 0 }.judged(true), Count { passed: 1, failed: 0 });
    }
}
