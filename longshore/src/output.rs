//! How what a command found is shown: tables for people, JSON for programs.

mod age;
mod json_array;
mod json_value;
mod sheet;
mod short_digest;
mod table;

pub use age::Age;
pub use json_array::JsonArray;
pub use json_value::write_json;
pub use longshore_service::byte_count::ByteCount;
pub use sheet::Sheet;
pub use short_digest::ShortDigest;
pub use table::{Table, printable, printable_lines};

/// How to print: a table for people, JSON for programs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Format {
    Table,
    Json,
}

/// What stands where there is nothing to say.
pub const NOTHING: &str = "-";
