use std::io::{self, Write};

use serde::Serialize;

/// Writes one value as JSON, with a line of its own for each field.
pub fn write_json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}
