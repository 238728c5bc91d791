//! The process of one query: it opens a copy of the history, gives everything up, and reads.

use std::io::{Read, Write};
use std::path::Path;

use coral_proto::colony::v1::{QuerySqlRequest, QuerySqlResponse, SqlColumn};
use duckdb::{AccessMode, Config, Connection, Statement};
use prost::Message;

use super::{SqlError, confine, statement, text};

/// A longer request is none, in bytes.
const REQUEST_BYTES_MAX: u64 = 1 << 20;
/// A message is sent when it has become as long, in bytes, about.
const MESSAGE_BYTES: usize = 256 << 10;
/// A longer value is cut, in bytes: a message has at most 1 MiB.
const VALUE_BYTES_MAX: usize = 64 << 10;

/// Times in the tables have no time zone, and so the present has none.
const PRESENT: &str = "CREATE TEMP MACRO now() AS system.main.now()::TIMESTAMP; \
                       CREATE TEMP MACRO get_current_timestamp() AS system.main.now()::TIMESTAMP; \
                       CREATE TEMP MACRO current_date() AS system.main.now()::TIMESTAMP::DATE; \
                       CREATE TEMP MACRO today() AS system.main.now()::TIMESTAMP::DATE";

/// What DuckDB gives up, as far as it knows how to.
const GIVE_UP: &str = "SET temp_directory = ''; \
                       SET enable_external_access = false; \
                       SET lock_configuration = true";

/// Runs the query that `input` holds, a `QuerySqlRequest`, on that copy of the history, and writes
/// its rows: messages of `QuerySqlResponse`, each behind its length. The whole process is confined
/// by this, for good.
///
/// # Errors
/// If the query is refused or fails; if nobody reads its rows.
pub fn run_worker(copy: &Path, input: impl Read, output: impl Write) -> Result<(), SqlError> {
    confine::confine().map_err(SqlError::Process)?;
    let mut bytes = Vec::new();
    let read = input.take(REQUEST_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(SqlError::Process)?;
    let request = QuerySqlRequest::decode(bytes.as_slice()).map_err(|error| SqlError::Refused {
        why: error.to_string(),
    })?;
    statement::check(&request.sql)?;
    let connection = open(copy).map_err(|error| SqlError::of_database(&error))?;
    let statement = connection.prepare(&request.sql);
    let mut statement = statement.map_err(|error| SqlError::of_database(&error))?;
    let rows = Rows {
        output,
        message: QuerySqlResponse::default(),
        bytes: 0,
        left: request.rows_max,
    };
    rows.write_all(&mut statement)
}

fn open(copy: &Path) -> Result<Connection, duckdb::Error> {
    let config = Config::default()
        .access_mode(AccessMode::ReadOnly)?
        .enable_autoload_extension(false)?
        .max_memory("512MiB")?
        .threads(1)?;
    let connection = Connection::open_with_flags(copy, config)?;
    connection.execute_batch(PRESENT)?;
    connection.execute_batch(GIVE_UP)?;
    Ok(connection)
}

/// Rows on their way out.
struct Rows<W> {
    output: W,
    message: QuerySqlResponse,
    /// What the message takes, about.
    bytes: usize,
    /// Rows that may follow.
    left: u32,
}

impl<W: Write> Rows<W> {
    fn write_all(mut self, statement: &mut Statement<'_>) -> Result<(), SqlError> {
        let database = |error| SqlError::of_database(&error);
        let mut batches = statement.stream_arrow([]).map_err(database)?;
        let schema = batches.get_schema();
        let columns = schema.fields().iter().map(|field| SqlColumn {
            name: field.name().clone(),
            type_name: text::type_name(field.data_type()),
        });
        self.message.columns = columns.collect();
        self.send()?;
        'all: for batch in &mut batches {
            let batch = batch.map_err(database)?;
            for row in text::rows(&batch, VALUE_BYTES_MAX)? {
                if self.left == 0 {
                    self.message.is_cut = true;
                    break 'all;
                }
                self.left -= 1;
                self.bytes += row.encoded_len();
                self.message.rows.push(row);
                if self.bytes >= MESSAGE_BYTES {
                    self.send()?;
                }
            }
        }
        if self.message != QuerySqlResponse::default() {
            self.send()?;
        }
        // An empty message says that the result is whole.
        self.send()?;
        self.output.flush().map_err(SqlError::Process)
    }

    fn send(&mut self) -> Result<(), SqlError> {
        self.bytes = 0;
        let message = std::mem::take(&mut self.message).encode_length_delimited_to_vec();
        let written = self.output.write_all(&message);
        written.map_err(SqlError::Process)
    }
}
