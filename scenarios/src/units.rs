//! How durations, sizes and counts are written on the command line, in files and in messages.
//!
//! Durations are read as jiff reads them for people (`1.5s`, `10 s`, `1h 30m`), and written in one way only.

use std::time::Duration;

use jiff::SignedDuration;

/// Suffix and length in nanoseconds of the units that durations are written in.
const DURATION_UNITS: [(&str, u128); 4] = [("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)];

/// Suffix and length in bytes.
const SIZE_UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Reads `250us`, `500ms`, `1.5s`, `5m`, `1h 30m`.
///
/// # Errors
/// What is wrong with the text, as the end of a sentence.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    if text.parse::<f64>().is_ok_and(|number| number >= 0.0) {
        return Err(format!("a duration needs its unit: write {text}s, {text}ms or {text}m"));
    }
    let duration: SignedDuration =
        text.parse().map_err(|_| "expected a duration such as 500ms, 10s or 5m".to_owned())?;
    Duration::try_from(duration).map_err(|_| "a duration cannot be negative".to_owned())
}

/// Writes a duration so that [`parse_duration`] reads the very same back: whole seconds, else the largest unit that
/// needs no fraction. Minutes and hours are written in seconds, as the profiles state them.
pub fn format_duration(duration: Duration) -> String {
    let ns = duration.as_nanos();
    let (suffix, unit_ns) =
        DURATION_UNITS.iter().rev().find(|(_, unit_ns)| ns.is_multiple_of(*unit_ns)).unwrap_or(&DURATION_UNITS[0]);
    format!("{}{suffix}", ns / unit_ns)
}

/// A duration for people, rounded: `under 1 s`, `45 s`, `3 min 20 s`, `2 h 5 min`.
pub fn about_duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64().round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0) => "under 1 s".into(),
        (0, 0, s) => format!("{s} s"),
        (0, min, 0) => format!("{min} min"),
        (0, min, s) => format!("{min} min {s} s"),
        (h, 0, _) => format!("{h} h"),
        (h, min, _) => format!("{h} h {min} min"),
    }
}

/// Reads a size: plain bytes (`512`), or `64KiB`, `16MiB`, `1GiB`.
///
/// # Errors
/// What is wrong with the text, as the end of a sentence.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits_end);
    if number.is_empty() {
        return Err("expected a size such as 512, 64KiB or 16MiB".into());
    }
    let factor = match unit {
        "" => 1,
        unit => SIZE_UNITS
            .iter()
            .find(|(suffix, _)| *suffix == unit)
            .map(|(_, bytes)| *bytes)
            .ok_or_else(|| format!("`{unit}` is not a unit of size: use plain bytes, KiB, MiB or GiB"))?,
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| format!("{text} is larger than any memory"))
}

/// Writes a size so that [`parse_size`] reads the very same back.
pub fn format_size(bytes: u64) -> String {
    match SIZE_UNITS.iter().rev().find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit)) {
        Some((suffix, unit)) => format!("{}{suffix}", bytes / unit),
        None => bytes.to_string(),
    }
}

/// A number for people: `1,500,000`, `12.5`, `0.25`. At most two decimals.
pub fn grouped(number: f64) -> String {
    let rounded = format!("{number:.2}");
    let (whole, fraction) = rounded.split_once('.').unwrap_or((&rounded, ""));
    let fraction = fraction.trim_end_matches('0');
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut out = String::from(sign);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_read_as_they_are_written_by_hand() {
        for (text, ns) in [
            ("250us", 250_000u64),
            ("500ms", 500_000_000),
            ("10s", 10_000_000_000),
            ("1.5s", 1_500_000_000),
            ("10 s", 10_000_000_000),
            ("5m", 300_000_000_000),
            ("1h 30m", 5_400_000_000_000),
            ("0ms", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(ns)), "{text}");
        }
    }

    #[test]
    fn a_duration_that_cannot_be_is_refused_with_a_reason() {
        let refusals: Vec<String> =
            ["", "10", "1.5", "s", "1.5.5s", "10 parsecs", "-1s", "0.1ns", "99999999999999999999h"]
                .iter()
                .map(|text| format!("{text:?}: {}", parse_duration(text).unwrap_err()))
                .collect();
        insta::assert_snapshot!(refusals.join("\n"));
    }

    #[test]
    fn sizes_read_as_they_are_written_by_hand() {
        assert_eq!(parse_size("512"), Ok(512));
        assert_eq!(parse_size("64KiB"), Ok(65_536));
        assert_eq!(parse_size("16MiB"), Ok(16_777_216));
        for text in ["", "KiB", "1.5KiB", "64KB", "64 KiB", "-1", "99999999999999999999", "99999999999999999GiB"] {
            assert!(parse_size(text).is_err(), "{text} was taken");
        }
    }

    #[test]
    fn numbers_for_people_are_grouped() {
        assert_eq!(grouped(1_500_000.0), "1,500,000");
        assert_eq!(grouped(999.0), "999");
        assert_eq!(grouped(-1234.5), "-1,234.5");
        assert_eq!(grouped(0.625), "0.62");
    }

    #[test]
    fn about_durations_are_rounded() {
        let texts: Vec<_> =
            [0.2, 45.4, 60.0, 200.0, 7500.0, 7200.0].map(|s| about_duration(Duration::from_secs_f64(s))).into();
        assert_eq!(texts, ["under 1 s", "45 s", "1 min", "3 min 20 s", "2 h 5 min", "2 h"]);
    }

    proptest! {
        #[test]
        fn every_duration_survives_print_and_parse(seconds in 0..9_000_000_000u64, ns in 0..1_000_000_000u32) {
            let duration = Duration::new(seconds, ns);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }

        #[test]
        fn every_size_survives_print_and_parse(bytes: u64) {
            prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in "[0-9.]{0,30}[a-zA-Zµ]{0,4}") {
            let _ = parse_duration(&text);
            let _ = parse_size(&text);
        }
    }
}
