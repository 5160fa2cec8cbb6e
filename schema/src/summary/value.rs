//! What stands in a cell of a table.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::result::{Activity, Delivery, Durability, LoadMode, Regime, RunStatus, Verdict, Waiting, word};

/// What stands in a cell of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing: it cannot be told here.
    Absent,
    /// A word or a text.
    Text(String),
    /// Yes or no.
    Flag(bool),
    /// Something counted.
    Count(u64),
    /// Something measured.
    Real(f64),
}

impl Value {
    /// The figure, where it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Count(count) => Some(*count as f64),
            Value::Real(real) => Some(*real),
            Value::Absent | Value::Text(_) | Value::Flag(_) => None,
        }
    }
}

macro_rules! values {
    ($($type:ty => |$value:ident| $made:expr),* $(,)?) => { $(
        impl From<&$type> for Value {
            fn from($value: &$type) -> Value {
                $made
            }
        }
    )* };
}

values! {
    String => |text| Value::Text(text.clone()),
    bool => |flag| Value::Flag(*flag),
    u32 => |count| Value::Count(u64::from(*count)),
    u64 => |count| Value::Count(*count),
    f64 => |real| Value::Real(*real),
    Option<u64> => |count| count.map_or(Value::Absent, Value::Count),
    Option<f64> => |real| real.map_or(Value::Absent, Value::Real),
    Option<bool> => |flag| flag.map_or(Value::Absent, Value::Flag),
    RunStatus => |it| Value::Text(word(it)),
    Verdict => |it| Value::Text(word(it)),
    Regime => |it| Value::Text(word(it)),
    LoadMode => |it| Value::Text(word(it)),
    Activity => |it| Value::Text(word(it)),
    Durability => |it| Value::Text(word(it)),
    Delivery => |it| Value::Text(word(it)),
    Waiting => |it| Value::Text(word(it)),
    OrMixed<Durability> => |it| Value::Text(it.to_string()),
    OrMixed<Delivery> => |it| Value::Text(it.to_string()),
}

/// Word for a property in which the runs of a cell differ.
const MIXED: &str = "mixed";

/// A property of a cell; in files the word of the property, or `mixed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OrMixed<T> {
    /// All runs have it.
    Same(T),
    /// The runs differ in it.
    Mixed,
}

impl<T: Serialize> fmt::Display for OrMixed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OrMixed::Same(property) => f.write_str(&word(property)),
            OrMixed::Mixed => f.write_str(MIXED),
        }
    }
}

impl<T: Serialize> Serialize for OrMixed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            OrMixed::Same(property) => property.serialize(serializer),
            OrMixed::Mixed => serializer.serialize_str(MIXED),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OrMixed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Word {
            Mixed,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either<T> {
            Same(T),
            Mixed(Word),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Same(property) => OrMixed::Same(property),
            Either::Mixed(Word::Mixed) => OrMixed::Mixed,
        })
    }
}
