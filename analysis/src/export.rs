//! Job files as Parquet, which DuckDB, pandas and R read typed.

use std::fs::File;
use std::sync::Arc;

use parquet::basic::{Encoding, Type};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use qbench_schema::record::JobRecord;
use qbench_schema::result::{RunIdentity, word};
use serde::Serialize;

use crate::load::Run;
use crate::metrics::{self, MetricsError};

/// A row per job: which run it was of, and its record. Instants are microseconds since the run began.
const SCHEMA: &str = "message job {
    required binary run_id (UTF8);
    required binary backend (UTF8);
    required binary scenario (UTF8);
    required binary variant (UTF8);
    required int32 block (INTEGER(32, false));
    required int64 job (INTEGER(64, false));
    required int32 worker (INTEGER(32, false));
    required int32 attempt (INTEGER(32, false));
    required int64 intended_us (INTEGER(64, false));
    required int64 released_us (INTEGER(64, false));
    required int64 sent_us (INTEGER(64, false));
    required int64 enqueued_us (INTEGER(64, false));
    required int64 claimed_us (INTEGER(64, false));
    required int64 started_us (INTEGER(64, false));
    required int64 finished_us (INTEGER(64, false));
    required int64 acked_us (INTEGER(64, false));
    required binary phase (UTF8);
    required binary outcome (UTF8);
}";

/// Records that are held at a time: a row group.
const GROUP: usize = 1 << 17;

/// Why a job file could not be exported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    /// It cannot be read, or is damaged.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The rows cannot be written.
    #[error(transparent)]
    Parquet(#[from] ParquetError),
}

/// Writes the job file of `run` to `output`. True when its last line is incomplete; it is left out.
///
/// # Errors
/// [`ExportError`].
pub(crate) fn export(run: &Run, output: File) -> Result<bool, ExportError> {
    let reader = metrics::open(&run.files.metrics()).map_err(MetricsError::Io)?;
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    // The wide numbers grow from row to row, and their differences are small.
    let growing = schema.get_fields().iter().filter(|field| field.get_physical_type() == Type::INT64);
    let properties = growing.fold(WriterProperties::builder(), |properties, field| {
        let path = || ColumnPath::from(field.name());
        properties
            .set_column_dictionary_enabled(path(), false)
            .set_column_encoding(path(), Encoding::DELTA_BINARY_PACKED)
    });
    let properties = Arc::new(properties.build());
    let mut writer = SerializedFileWriter::new(output, schema, properties)?;
    let mut records = Vec::with_capacity(GROUP);
    let mut write = |records: &[JobRecord]| -> Result<(), ExportError> {
        let mut group = writer.next_row_group()?;
        write_group(&mut group, &run.result.identity, records)?;
        group.close()?;
        Ok(())
    };
    let cut_off = metrics::for_each(reader, |_, record| -> Result<(), ExportError> {
        records.push(record);
        if records.len() == GROUP {
            write(&records)?;
            records.clear();
        }
        Ok(())
    })?;
    if !records.is_empty() {
        write(&records)?;
    }
    writer.close()?;
    Ok(cut_off)
}

/// The columns of some records, in the order of [`SCHEMA`].
fn write_group(
    group: &mut SerializedRowGroupWriter<'_, File>,
    identity: &RunIdentity,
    records: &[JobRecord],
) -> Result<(), ParquetError> {
    let variant = identity.variant.as_ref().map_or("", |variant| variant.name.as_str());
    for text in [identity.run_id.as_str(), &identity.backend, &identity.scenario, variant] {
        column::<ByteArrayType>(group, &vec![ByteArray::from(text); records.len()])?;
    }
    let small = |value: u32| value.cast_signed();
    column::<Int32Type>(group, &vec![small(identity.block); records.len()])?;
    let large = |of: fn(&JobRecord) -> u64| records.iter().map(|record| of(record).cast_signed()).collect::<Vec<i64>>();
    column::<Int64Type>(group, &large(|record| record.job))?;
    for of in [|record: &JobRecord| record.worker, |record: &JobRecord| record.attempt] {
        column::<Int32Type>(group, &records.iter().map(|record| small(of(record))).collect::<Vec<_>>())?;
    }
    let instants: [fn(&JobRecord) -> u64; 8] = [
        |record| record.intended_us,
        |record| record.released_us,
        |record| record.sent_us,
        |record| record.enqueued_us,
        |record| record.claimed_us,
        |record| record.started_us,
        |record| record.finished_us,
        |record| record.acked_us,
    ];
    for instant in instants {
        column::<Int64Type>(group, &large(instant))?;
    }
    column::<ByteArrayType>(group, &words(records.iter().map(|record| record.phase)))?;
    column::<ByteArrayType>(group, &words(records.iter().map(|record| record.outcome)))
}

/// Values as files spell them; each distinct one is spelled once.
fn words<T: Copy + PartialEq + Serialize>(values: impl Iterator<Item = T>) -> Vec<ByteArray> {
    let mut spelled: Vec<(T, ByteArray)> = Vec::new();
    let spell = |value: T| match spelled.iter().find(|(known, _)| *known == value) {
        Some((_, spelling)) => spelling.clone(),
        None => {
            let spelling = ByteArray::from(word(value).into_bytes());
            spelled.push((value, spelling.clone()));
            spelling
        }
    };
    values.map(spell).collect()
}

fn column<T: DataType>(group: &mut SerializedRowGroupWriter<'_, File>, values: &[T::T]) -> Result<(), ParquetError> {
    let missing = || ParquetError::General("the schema has fewer columns than a record".to_owned());
    let mut writer = group.next_column()?.ok_or_else(missing)?;
    writer.typed::<T>().write_batch(values, None, None)?;
    writer.close()
}
