//! Values of any type as text.

use std::sync::Arc;

use coral_proto::colony::v1::{SqlRow, SqlValue};
use duckdb::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use duckdb::arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use duckdb::arrow::error::ArrowError;
use duckdb::arrow::util::display::{ArrayFormatter, FormatOptions};

use super::SqlError;

/// What stands behind a value that was cut.
const CUT: &str = "…";

/// The rows of a batch; a value is at most about so many bytes long.
pub(super) fn rows(batch: &RecordBatch, bytes_max: usize) -> Result<Vec<SqlRow>, SqlError> {
    let failed = |error: ArrowError| SqlError::Refused {
        why: error.to_string(),
    };
    let columns: Vec<ArrayRef> = batch.columns().iter().map(in_utc).collect();
    let options = FormatOptions::default().with_display_error(true);
    let formatters = columns
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    // A column of nothing but NULL has no marks of it.
    let is_there = |row: usize, place: usize| {
        let column = &columns[place];
        *column.data_type() != DataType::Null && column.is_valid(row)
    };
    let value = |row: usize, place: usize| SqlValue {
        text: is_there(row, place).then(|| {
            let text = formatters[place].value(row).to_string();
            cut(text, bytes_max)
        }),
    };
    let row = |row| SqlRow {
        values: (0..columns.len()).map(|place| value(row, place)).collect(),
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

/// Times are in UTC; the formatter knows time zones by their offset alone.
fn in_utc(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            let times = column.as_primitive::<TimestampMicrosecondType>();
            Arc::new(times.clone().with_timezone("+00:00"))
        }
        _ => Arc::clone(column),
    }
}

fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push_str(CUT);
    }
    text
}

/// What SQL calls a type.
pub(super) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "NULL",
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INTEGER",
        DataType::Int64 => "BIGINT",
        DataType::UInt8 => "UTINYINT",
        DataType::UInt16 => "USMALLINT",
        DataType::UInt32 => "UINTEGER",
        DataType::UInt64 => "UBIGINT",
        DataType::Float32 => "FLOAT",
        DataType::Float64 => "DOUBLE",
        DataType::Decimal128(38, 0) => "HUGEINT",
        DataType::Decimal128(width, scale) => return format!("DECIMAL({width},{scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BLOB",
        DataType::Date32 | DataType::Date64 => "DATE",
        DataType::Time32(_) | DataType::Time64(_) => "TIME",
        DataType::Timestamp(_, None) => "TIMESTAMP",
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP WITH TIME ZONE",
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL",
        DataType::List(item) | DataType::LargeList(item) => {
            return format!("{}[]", type_name(item.data_type()));
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => {
                let parts: Vec<_> = fields.iter().map(|it| type_name(it.data_type())).collect();
                return format!("MAP({})", parts.join(", "));
            }
            _ => "MAP",
        },
        DataType::Struct(_) => "STRUCT",
        DataType::Dictionary(..) => "ENUM",
        other => return other.to_string(),
    }
    .to_owned()
}
