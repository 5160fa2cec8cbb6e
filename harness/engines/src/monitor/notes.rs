//! Sentences about what a monitor could not do. They end in the run's `notes`; nothing here ever stops a run.

use std::sync::{Arc, Mutex, PoisonError};

/// Most different notes that are kept: a run's verdict must stay readable whatever goes wrong.
const MAX_NOTES: usize = 20;

/// Notes shared by the monitors of one run. Copies write into the same list.
#[derive(Debug, Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<Note>>>);

#[derive(Debug)]
struct Note {
    subject: &'static str,
    first_detail: String,
    times: u64,
}

impl Notes {
    /// Adds a note. `subject` says which attempt failed and on what; repeats of a subject are counted, and only the
    /// `detail` of the first one is kept, because the first failure tends to explain the others.
    pub(crate) fn add(&self, subject: &'static str, detail: impl ToString) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(note) = notes.iter_mut().find(|note| note.subject == subject) {
            note.times += 1;
        } else if notes.len() < MAX_NOTES {
            notes.push(Note { subject, first_detail: detail.to_string(), times: 1 });
        }
    }

    /// One sentence per subject, in the order in which they first came up.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        notes
            .iter()
            .map(|note| {
                let repeats = if note.times > 1 { format!(" ({} times)", note.times) } else { String::new() };
                format!("{}: {}{repeats}", note.subject, note.first_detail)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_failure_is_one_sentence_with_a_count() {
        let notes = Notes::default();
        notes.add("sample PostgreSQL", "connection refused");
        notes.add("read PSI", "no such file");
        notes.add("sample PostgreSQL", "timed out");
        assert_eq!(notes.sentences(), ["sample PostgreSQL: connection refused (2 times)", "read PSI: no such file"]);
    }
}
