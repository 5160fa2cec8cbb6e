//! A row of an answer, whichever client received it.

use postgres_protocol::types::{bool_from_sql, bytea_from_sql, int4_from_sql, int8_from_sql, text_from_sql};
use sqlx::error::BoxDynError;
use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row as _, Type};

use super::trouble::Trouble;
use super::wire::DataRow;

/// One row.
pub(super) enum Row<'r> {
    /// As our own client received it.
    Wire(DataRow<'r>),
    /// As the general driver received it.
    Sqlx(&'r PgRow),
}

impl<'r> Row<'r> {
    /// The value in the column at `index`, counted from 0.
    ///
    /// # Errors
    /// [`Trouble::Unreadable`] where there is no such column, or its value is no `T`.
    pub(super) fn get<T: Column<'r>>(&self, index: usize) -> Result<T, Trouble> {
        match self {
            Row::Wire(row) => row
                .column(index)
                .and_then(T::read)
                .map_err(|error| Trouble::Unreadable(format!("column {index}: {error}"))),
            Row::Sqlx(row) => Ok(row.try_get(index)?),
        }
    }
}

/// What a column may be read as.
pub(super) trait Column<'r>: Decode<'r, Postgres> + Type<Postgres> {
    /// Reads the binary form; `None` is null.
    ///
    /// # Errors
    /// When it is null and must not be, or is of another size than such values are.
    fn read(value: Option<&'r [u8]>) -> Result<Self, BoxDynError>;
}

macro_rules! columns {
    ($($type:ty: $read:expr;)*) => {
        $(
            impl<'r> Column<'r> for $type {
                fn read(value: Option<&'r [u8]>) -> Result<Self, BoxDynError> {
                    let value = value.ok_or("it is null")?;
                    $read(value)
                }
            }
        )*
    };
}

columns! {
    i32: int4_from_sql;
    i64: int8_from_sql;
    bool: bool_from_sql;
    String: |value| text_from_sql(value).map(str::to_owned);
    &'r [u8]: |value| Ok(bytea_from_sql(value));
}

impl<'r, T: Column<'r>> Column<'r> for Option<T> {
    fn read(value: Option<&'r [u8]>) -> Result<Self, BoxDynError> {
        value.map(|value| T::read(Some(value))).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_column_by_column() {
        let body = [0, 3, 0, 0, 0, 4, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2, b'a', b'b'];
        let row = Row::Wire(DataRow::new(&body));
        assert_eq!(row.get::<i32>(0).expect("a number"), 9);
        assert_eq!(row.get::<Option<i64>>(1).expect("a null"), None);
        assert_eq!(row.get::<&[u8]>(2).expect("bytes"), b"ab");
    }

    #[test]
    fn what_is_not_there_or_of_another_size_is_said() {
        let body = [0, 2, 0, 0, 0, 4, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff];
        let row = Row::Wire(DataRow::new(&body));
        let said = |error: Trouble| error.to_string();
        assert!(said(row.get::<i64>(0).expect_err("four bytes")).starts_with("column 0: "));
        assert_eq!(said(row.get::<i64>(1).expect_err("null")), "column 1: it is null");
        assert_eq!(said(row.get::<i64>(2).expect_err("beyond")), "column 2: the row has 2 columns");
        let cut = Row::Wire(DataRow::new(&body[..8]));
        assert_eq!(said(cut.get::<i32>(0).expect_err("cut off")), "column 0: the row ends within it");
    }
}
