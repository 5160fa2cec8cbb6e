//! Reading a message of the server.
//!
//! The messages of every answer (rows, counts) are read where they were received. Those that seldom come are read by the
//! protocol's crate, from a copy.

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{self as tags, ErrorFields, Header, Message};
use sqlx::error::BoxDynError;

use crate::postgres::trouble::{Refusal, Trouble};

/// Bytes of a message's tag, which its length does not count.
const TAG_BYTES: usize = 1;
/// Bytes of tag and length.
const HEADER_BYTES: usize = 5;

/// One message where it was received.
pub(super) struct Received<'b> {
    pub(super) tag: u8,
    /// What follows the length.
    pub(super) body: &'b [u8],
    whole: &'b [u8],
}

/// Length of the message that `received` begins with, tag included; `None` while that is not known yet.
///
/// # Errors
/// [`Trouble::Protocol`] for an impossible length.
pub(super) fn length(received: &[u8]) -> Result<Option<usize>, Trouble> {
    let header = Header::parse(received).map_err(|error| Trouble::Protocol(error.to_string()))?;
    Ok(header.map(|header| TAG_BYTES + header.len().unsigned_abs() as usize))
}

impl<'b> Received<'b> {
    /// `whole` is one message of the [`length`] that it says.
    pub(super) fn new(whole: &'b [u8]) -> Self {
        Received { tag: whole[0], body: &whole[HEADER_BYTES..], whole }
    }

    /// Taken apart by the protocol's crate.
    ///
    /// # Errors
    /// [`Trouble::Protocol`] for a message that it does not know.
    pub(super) fn parse(&self) -> Result<Message, Trouble> {
        let malformed = |words: String| Trouble::Protocol(format!("a message of the server makes no sense: {words}"));
        match Message::parse(&mut BytesMut::from(self.whole)) {
            Ok(Some(message)) => Ok(message),
            Ok(None) => Err(malformed("it is shorter than it says".to_owned())),
            Err(error) => Err(malformed(error.to_string())),
        }
    }

    /// How many rows a command returned or changed, by its completion tag: `INSERT 0 5`, `SELECT 3`, `COMMIT`.
    ///
    /// # Errors
    /// [`Trouble::Protocol`] for a tag that is not ended.
    pub(super) fn rows(&self) -> Result<u64, Trouble> {
        let tag = self.body.strip_suffix(&[0]).ok_or_else(|| self.unexpected("a command's end"))?;
        let digits = tag.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let number = &tag[tag.len() - digits..];
        Ok(number.iter().fold(0, |rows: u64, digit| rows.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
    }

    /// The server's error.
    ///
    /// # Errors
    /// [`Trouble::Protocol`] for one that cannot be read.
    pub(super) fn refusal(&self) -> Result<Refusal, Trouble> {
        match self.parse()? {
            Message::ErrorResponse(body) => {
                refusal(body.fields()).map_err(|error| Trouble::Protocol(format!("an error cannot be read: {error}")))
            }
            _ => Err(self.unexpected("an error")),
        }
    }

    /// True for what the server may send at any time, whatever was asked of it: a notice, a setting that changed, a notification.
    /// Warnings are passed on to whoever reads the log.
    pub(super) fn is_aside(&self) -> bool {
        if self.tag == tags::NOTICE_RESPONSE_TAG
            && let Ok(Message::NoticeResponse(body)) = self.parse()
            && let Ok(notice) = refusal(body.fields())
            && notice.code != SUCCESS
        {
            tracing::warn!(code = notice.code, "the server warns: {}", notice.message);
        }
        matches!(self.tag, tags::NOTICE_RESPONSE_TAG | tags::PARAMETER_STATUS_TAG | tags::NOTIFICATION_RESPONSE_TAG)
    }

    /// That this message does not belong `there`.
    pub(super) fn unexpected(&self, there: &str) -> Trouble {
        Trouble::Protocol(format!("the server sent a message {:?} within {there}", char::from(self.tag)))
    }
}

/// SQLSTATE of a notice that is no warning (class 00, "successful completion").
const SUCCESS: &str = "00000";

/// The fields of an error or a notice; those that are not needed are left out.
fn refusal(mut fields: ErrorFields<'_>) -> std::io::Result<Refusal> {
    let mut refusal =
        Refusal { code: String::new(), message: String::new(), detail: None, hint: None, ends_session: false };
    while let Some(field) = fields.next()? {
        let text = || String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => refusal.code = text(),
            b'M' => refusal.message = text(),
            b'D' => refusal.detail = Some(text()),
            b'H' => refusal.hint = Some(text()),
            // The severity that no language translates.
            b'V' => refusal.ends_session = matches!(field.value_bytes(), b"FATAL" | b"PANIC"),
            _ => {}
        }
    }
    Ok(refusal)
}

/// A row where it was received: the number of its columns, then each with its length before it.
#[derive(Clone, Copy)]
pub struct DataRow<'b>(&'b [u8]);

impl<'b> DataRow<'b> {
    /// `body` is what follows the length of a DataRow message.
    pub fn new(body: &'b [u8]) -> Self {
        DataRow(body)
    }

    /// The binary form of the column at `index`, counted from 0; `None` for null.
    ///
    /// # Errors
    /// When the row has no such column, or ends within it.
    pub fn column(&self, index: usize) -> Result<Option<&'b [u8]>, BoxDynError> {
        let (columns, mut rest) = self.0.split_first_chunk().ok_or("the row ends before its first column")?;
        let columns = usize::from(u16::from_be_bytes(*columns));
        if index >= columns {
            return Err(format!("the row has {columns} columns").into());
        }
        let mut skipped = 0;
        loop {
            let (length, values) = rest.split_first_chunk().ok_or("the row ends before it")?;
            // A null has the length -1, and no bytes.
            let value = match usize::try_from(i32::from_be_bytes(*length)) {
                Ok(length) => Some(values.get(..length).ok_or("the row ends within it")?),
                Err(_) => None,
            };
            if skipped == index {
                return Ok(value);
            }
            skipped += 1;
            rest = &values[value.map_or(0, <[u8]>::len)..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).expect("a short one");
        [&[tag], &length.to_be_bytes()[..], body].concat()
    }

    #[test]
    fn a_message_s_length_is_known_from_its_first_five_bytes() {
        let whole = message(b'C', b"SELECT 3\0");
        assert_eq!(length(&whole[..4]).expect("no error"), None);
        assert_eq!(length(&whole[..5]).expect("no error"), Some(whole.len()));
        assert!(length(&[b'C', 0, 0, 0, 3]).is_err(), "a length counts itself");
    }

    #[test]
    fn rows_are_counted_by_the_last_number_of_the_tag() {
        for (tag, rows) in [("INSERT 0 5", 5), ("SELECT 3", 3), ("UPDATE 12000", 12_000), ("COMMIT", 0), ("", 0)] {
            let whole = message(b'C', format!("{tag}\0").as_bytes());
            assert_eq!(Received::new(&whole).rows().expect("a tag"), rows, "{tag}");
        }
        assert!(Received::new(&message(b'C', b"SELECT 3")).rows().is_err());
    }

    #[test]
    fn an_error_is_read_with_its_code_and_whether_it_ends_the_session() {
        for (severity, ends_session) in [("ERROR", false), ("FATAL", true), ("PANIC", true)] {
            let fields = format!("SFEHLER\0V{severity}\0C57P01\0Mterminating\0Ddetail\0Hhint\0Fsome.c\0\0");
            let whole = message(b'E', fields.as_bytes());
            let refusal = Received::new(&whole).refusal().expect("an error");
            assert_eq!((refusal.code.as_str(), refusal.message.as_str()), ("57P01", "terminating"));
            assert_eq!((refusal.detail.as_deref(), refusal.hint.as_deref()), (Some("detail"), Some("hint")));
            assert_eq!(refusal.ends_session, ends_session, "{severity}");
        }
    }

    #[test]
    fn asides_are_told_from_answers() {
        let notice = message(b'N', b"SNOTICE\0VNOTICE\0C00000\0Mhello\0\0");
        let setting = message(b'S', b"TimeZone\0UTC\0");
        for whole in [&notice, &setting, &message(b'A', b"\0\0\0\x01channel\0payload\0")] {
            assert!(Received::new(whole).is_aside());
        }
        assert!(!Received::new(&message(b'D', &[0, 0])).is_aside());
    }
}
