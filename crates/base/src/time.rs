// SPDX-License-Identifier: Apache-2.0
//! Points in time. The Worker reads the clock once per event and passes the time to the core as an argument.

/// Whole seconds since 1970-01-01T00:00:00Z, like a JWT's `NumericDate` (RFC 7519 §2) without a fraction.
pub type UnixSeconds = i64;

/// The tolerated difference between two clocks, in seconds.
pub const CLOCK_SKEW_SECONDS: i64 = 60;

/// Formats a time as RFC 3339 in UTC, as the My Account API writes dates: `2026-01-31T08:00:00Z`.
///
/// RFC 3339 has no years outside 0..=9999; such times are clamped to that range.
pub fn rfc3339(at: UnixSeconds) -> String {
    const FIRST: i64 = -62_167_219_200;
    const LAST: i64 = 253_402_300_799;
    let at = at.clamp(FIRST, LAST);
    let (days, seconds) = (at.div_euclid(86_400), at.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// Parses RFC 3339 in UTC with whole seconds: `2026-01-31T08:00:00Z`. `None` for every other form and for
/// dates that do not exist. A leap second (`:60`) reads as the second after it.
pub fn from_rfc3339(text: &str) -> Option<UnixSeconds> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let days = days(year, month, day);
    let exists = civil(days) == (year, month, day) && hour < 24 && minute < 60 && second <= 60;
    exists.then(|| days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Parses three numbers that have exactly these many digits each.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut found = [0; 3];
    for (number, digits) in found.iter_mut().zip(digits) {
        let part = parts.next()?;
        let plain = part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
        *number = part.parse().ok().filter(|_| plain)?;
    }
    parts.next().is_none().then_some(found)
}

/// Converts year, month and day to days since the epoch (Howard Hinnant's `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Converts days since the epoch to year, month and day (Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_rfc_3339_in_utc() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(1_795_492_800), "2026-11-24T04:00:00Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59Z");
        assert_eq!(rfc3339(i64::MAX), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn a_date_reads_as_it_was_written() {
        for at in [0, 951_782_399, 951_782_400, 1_795_492_800, 4_102_444_799] {
            assert_eq!(from_rfc3339(&rfc3339(at)), Some(at));
        }
        for bad in [
            "2026-11-24",
            "2026-11-24T04:00:00",
            "2026-11-24T04:00:00+01:00",
            "2026-11-24T04:00:00.5Z",
            "2026-02-30T04:00:00Z",
            "2026-13-01T04:00:00Z",
            "2026-11-24T24:00:00Z",
            "2026-11-24T+4:00:00Z",
            "12026-11-24T04:00:00Z",
            "",
        ] {
            assert_eq!(from_rfc3339(bad), None, "{bad}");
        }
    }
}
