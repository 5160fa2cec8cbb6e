//! The meters of hiccups in a run: how the process among them is started, and their seconds in the timeline.

use qbench_engines::helper::HelperProgram;
use qbench_engines::monitor::Hiccups;
use qbench_engines::monitor::hiccups::Report;
use qbench_schema::result::TimelineRow;

/// The hidden command by which this program is a meter.
pub const METER_COMMAND: &str = "hiccup-meter";

/// This program as the meter that is a process of its own.
pub fn meter_program() -> HelperProgram {
    HelperProgram::this_one(METER_COMMAND)
}

/// Adds the latest wake-up of each second to its row. Seconds of the meters begin with the measured phase, as those of the
/// timeline do; the meters stop at the end of the drain, so the last row may have none.
pub(super) fn add_to(timeline: &mut [TimelineRow], hiccups: &Hiccups) {
    let of = |report: &Option<Report>, at_s: u32| report.as_ref()?.seconds_max_ms.get(at_s as usize).copied();
    for row in timeline {
        row.hiccup_host_max_ms = of(&hiccups.host, row.at_s);
        row.hiccup_harness_max_ms = of(&hiccups.harness, row.at_s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_gets_what_was_seen_in_it_and_nothing_where_nobody_looked() {
        let host = Some(Report { seconds_max_ms: vec![0.1, 48.0], ..Report::default() });
        let mut timeline = [0, 1, 2].map(|at_s| TimelineRow { at_s, ..TimelineRow::default() });
        add_to(&mut timeline, &Hiccups { host, ..Hiccups::default() });
        assert_eq!(timeline.map(|row| row.hiccup_host_max_ms), [Some(0.1), Some(48.0), None]);
        assert_eq!(timeline.map(|row| row.hiccup_harness_max_ms), [None; 3]);
    }
}
