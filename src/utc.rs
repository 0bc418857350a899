//! Times as SQLite writes them, `YYYY-MM-DD HH:MM:SS` in UTC, and as seconds since 1970.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::sys::clock;

const SECONDS_PER_DAY: i64 = 86_400;

/// The first second of a year with four digits, and the last.
pub(crate) const FIRST_SECOND: i64 = -62_167_219_200;
pub(crate) const LAST_SECOND: i64 = 253_402_300_799;

/// Seconds since 1970 by the system's clock, with decimals.
pub(crate) fn now() -> f64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

/// Whole seconds since 1970 by the system's clock.
pub(crate) fn now_seconds() -> i64 {
    clock::coarse_seconds()
}

/// Whole seconds since 1970, written as SQLite's CURRENT_TIMESTAMP.
pub(crate) fn format(unix_seconds: i64) -> String {
    let (days, second) = (unix_seconds.div_euclid(SECONDS_PER_DAY), unix_seconds.rem_euclid(SECONDS_PER_DAY));
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// The seconds since 1970 of such a text, which may have decimals and a `T` in the middle.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let separators = [(4, "-"), (7, "-"), (13, ":"), (16, ":")];
    if separators.iter().any(|&(at, mark)| text.get(at..=at) != Some(mark))
        || !matches!(text.get(10..11), Some(" " | "T"))
    {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let fraction: f64 = match text.get(19..)? {
        "" | "Z" => 0.0,
        rest if rest.starts_with('.') => rest.trim_end_matches('Z').parse().ok()?,
        _ => return None,
    };
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let whole = days_from_civil(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    #[allow(clippy::cast_precision_loss)] // Four-digit years are far below 2^53 seconds.
    Some(whole as f64 + fraction)
}

/// The proleptic Gregorian date of a day counted from 1970-01-01.
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The reverse; same source.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times_read_and_write() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_700_000_000, "2023-11-14 22:13:20"),
            (4_107_542_399, "2100-02-28 23:59:59"),
            (-1, "1969-12-31 23:59:59"),
        ] {
            assert_eq!(format(seconds), text);
            assert_eq!(parse(text), Some(seconds as f64));
        }
        assert_eq!(parse("1970-01-01T00:00:01.25Z"), Some(1.25));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "now",
            "1970-01-01",
            "1970-13-01 00:00:00",
            "1970-01-01 24:00:00",
            "1970-01-01 00:00:00+1",
            "197x-01-01 00:00:00",
            "+970-01-01 00:00:00",
            "１970-01-01 00:00:00",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
