//! Arguments of statements, which both clients write straight from where the values are.
//!
//! A statement's arguments are a tuple, in the order of its `$1`, `$2`, …. Values travel in the binary format, whose layouts are
//! those of the types' `recv` functions in the server.

use bytes::BytesMut;
use postgres_protocol::types::{
    ArrayDimension, array_to_sql, bytea_to_sql, float8_to_sql, int2_to_sql, int4_to_sql, int8_to_sql, text_to_sql,
};
use postgres_protocol::{IsNull, Oid};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgBindIterExt, PgHasArrayType};
use sqlx::{Arguments as _, Encode, Postgres, Type};

/// One value.
pub(super) trait Parameter {
    /// Its type on the server (`pg_type.oid`).
    const TYPE: Oid;

    /// Appends its binary form.
    ///
    /// # Errors
    /// When it is larger than a message may be.
    fn write(&self, to: &mut BytesMut) -> Result<IsNull, BoxDynError>;

    /// Adds it to the arguments of the general driver, as that encodes it.
    ///
    /// # Errors
    /// As [`Parameter::write`].
    fn add(&self, to: &mut PgArguments) -> Result<(), BoxDynError>;
}

/// A value that may stand in an array.
pub(super) trait Element: Parameter + for<'q> Encode<'q, Postgres> + Type<Postgres> + PgHasArrayType {
    /// The type of such arrays (`pg_type.oid`).
    const ARRAY: Oid;
}

/// Types that are written by a function of the protocol's crate, with their numbers and those of their arrays.
macro_rules! elements {
    ($($type:ty: $oid:literal, $array:literal, $write:ident;)*) => {
        $(
            impl Parameter for $type {
                const TYPE: Oid = $oid;

                fn write(&self, to: &mut BytesMut) -> Result<IsNull, BoxDynError> {
                    $write(*self, to);
                    Ok(IsNull::No)
                }

                fn add(&self, to: &mut PgArguments) -> Result<(), BoxDynError> {
                    to.add(*self)
                }
            }

            impl Element for $type {
                const ARRAY: Oid = $array;
            }
        )*
    };
}

elements! {
    &[u8]: 17, 1001, bytea_to_sql;
    i64: 20, 1016, int8_to_sql;
    i16: 21, 1005, int2_to_sql;
    i32: 23, 1007, int4_to_sql;
    &str: 25, 1009, text_to_sql;
    f64: 701, 1022, float8_to_sql;
}

impl<T: Element + Copy> Parameter for Option<T> {
    const TYPE: Oid = T::TYPE;

    fn write(&self, to: &mut BytesMut) -> Result<IsNull, BoxDynError> {
        match self {
            Some(value) => value.write(to),
            None => Ok(IsNull::Yes),
        }
    }

    fn add(&self, to: &mut PgArguments) -> Result<(), BoxDynError> {
        to.add(*self)
    }
}

/// An array of whatever the iterator yields. It is gone through once for its length and once for its values.
pub(super) struct Array<I>(pub(super) I);

impl<I> Parameter for Array<I>
where
    I: Iterator<Item: Element> + Clone,
{
    const TYPE: Oid = <I::Item as Element>::ARRAY;

    fn write(&self, to: &mut BytesMut) -> Result<IsNull, BoxDynError> {
        let whole = ArrayDimension { len: i32::try_from(self.0.clone().count())?, lower_bound: 1 };
        array_to_sql([whole], <I::Item as Parameter>::TYPE, self.0.clone(), |value, to| value.write(to), to)?;
        Ok(IsNull::No)
    }

    fn add(&self, to: &mut PgArguments) -> Result<(), BoxDynError> {
        to.add(self.0.clone().bind_iter())
    }
}

/// All values of one statement: a tuple of [`Parameter`]s.
pub(super) trait Arguments {
    /// Their types, in order.
    const TYPES: &'static [Oid];

    /// Appends the binary form of the value at `index`.
    ///
    /// # Errors
    /// As [`Parameter::write`].
    fn write(&self, index: usize, to: &mut BytesMut) -> Result<IsNull, BoxDynError>;

    /// The same for the general driver.
    ///
    /// # Errors
    /// As [`Parameter::write`].
    fn for_sqlx(&self) -> Result<PgArguments, BoxDynError>;
}

macro_rules! tuples {
    ($(($($parameter:ident $index:tt),*))*) => {
        $(
            impl<$($parameter: Parameter),*> Arguments for ($($parameter,)*) {
                const TYPES: &'static [Oid] = &[$($parameter::TYPE),*];

                fn write(&self, index: usize, _to: &mut BytesMut) -> Result<IsNull, BoxDynError> {
                    match index {
                        $($index => self.$index.write(_to),)*
                        _ => Err(format!("there is no argument ${}", index + 1).into()),
                    }
                }

                fn for_sqlx(&self) -> Result<PgArguments, BoxDynError> {
                    #[allow(unused_mut, reason = "a tuple of nothing adds nothing")]
                    let mut arguments = PgArguments::default();
                    $(self.$index.add(&mut arguments)?;)*
                    Ok(arguments)
                }
            }
        )*
    };
}

tuples! {
    ()
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(parameter: &impl Parameter) -> (Vec<u8>, bool) {
        let mut to = BytesMut::new();
        let is_null = matches!(parameter.write(&mut to).expect("writes"), IsNull::Yes);
        (to.to_vec(), is_null)
    }

    #[test]
    fn values_are_written_in_the_server_s_binary_format() {
        assert_eq!(written(&-2_i32), (vec![0xff, 0xff, 0xff, 0xfe], false));
        assert_eq!(written(&"ab"), (b"ab".to_vec(), false));
        assert_eq!(written(&None::<f64>), (Vec::new(), true));
        let two = Array([7_i16, 8].into_iter());
        let expected =
            [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 21, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 7, 0, 0, 0, 2, 0, 8];
        assert_eq!(written(&two), (expected.to_vec(), false));
    }

    #[test]
    fn both_clients_are_told_the_same_types() {
        fn of<A: Arguments>(arguments: &A) -> (&'static [Oid], usize) {
            (A::TYPES, arguments.for_sqlx().expect("encodes").len())
        }
        let ids = [1_i64];
        assert_eq!(of(&()), (&[][..], 0));
        assert_eq!(of(&(Array(ids.iter().copied()), "text", Some(1.5))), (&[1016, 25, 701][..], 3));
    }
}
