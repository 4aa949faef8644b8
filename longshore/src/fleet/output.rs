//! How what the orchestrator says is shown.

use std::io::{self, BufWriter, Stdout, Write, stdout};

use clap::Args;
use serde::Serialize;

use super::yaml;
use crate::{
    failure::Failure,
    output::{JsonArray, write_json},
};

/// How to print: tables for people, JSON or YAML for programs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum FleetFormat {
    /// A table, or words.
    #[default]
    Table,
    /// A table with all columns.
    Wide,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// How to print.
#[derive(Args, Clone, Copy, Debug, Default)]
#[command(next_help_heading = "Orchestrator and output")]
pub struct OutputArguments {
    /// How to print: tables for people, wide for those with more columns, JSON or YAML for programs
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: FleetFormat,
}

impl FleetFormat {
    /// Whether people read it.
    pub fn is_for_people(self) -> bool {
        matches!(self, Self::Table | Self::Wide)
    }
}

/// Prints one value for programs, or a text for people.
pub fn print(format: FleetFormat, value: &impl Serialize, text: impl FnOnce(&mut Out) -> io::Result<()>) -> Result<(), Failure> {
    let mut out = BufWriter::new(stdout());
    match format {
        FleetFormat::Table | FleetFormat::Wide => text(&mut out)?,
        FleetFormat::Json => write_json(&mut out, value)?,
        FleetFormat::Yaml => out.write_all(yaml_of(value)?.as_bytes())?,
    }
    Ok(out.flush()?)
}

/// Where it goes.
pub type Out = BufWriter<Stdout>;

/// Values for programs, as they come: a JSON array, or a list of YAML.
pub enum Values {
    /// JSON.
    Json(JsonArray),
    /// YAML.
    Yaml {
        /// Whether there was one.
        has_items: bool,
    },
}

impl Values {
    /// For programs that want this; none for people.
    pub fn of(format: FleetFormat) -> Option<Self> {
        match format {
            FleetFormat::Table | FleetFormat::Wide => None,
            FleetFormat::Json => Some(Self::Json(JsonArray::default())),
            FleetFormat::Yaml => Some(Self::Yaml { has_items: false }),
        }
    }

    /// Writes the next ones.
    pub fn write<T: Serialize>(&mut self, out: &mut impl Write, values: &[T]) -> Result<(), Failure> {
        match self {
            Self::Json(array) => Ok(array.write(out, values)?),
            Self::Yaml { .. } if values.is_empty() => Ok(()),
            Self::Yaml { has_items } => {
                *has_items = true;
                Ok(out.write_all(yaml_of(&values)?.as_bytes())?)
            }
        }
    }

    /// Ends them.
    pub fn finish(self, out: &mut impl Write) -> Result<(), Failure> {
        match self {
            Self::Json(array) => Ok(array.finish(out)?),
            Self::Yaml { has_items: true } => Ok(()),
            Self::Yaml { has_items: false } => Ok(writeln!(out, "[]")?),
        }
    }
}

/// One value of a stream: a line of JSON, or a document of YAML.
pub fn write_next(out: &mut impl Write, format: FleetFormat, value: &impl Serialize) -> Result<(), Failure> {
    if format == FleetFormat::Yaml {
        return Ok(write!(out, "---\n{}", yaml_of(value)?)?);
    }
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}

fn yaml_of(value: &impl Serialize) -> Result<String, Failure> {
    yaml::write(value).map_err(|error| Failure::Failed(format!("it can't be written as YAML: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: FleetFormat, pages: &[&[u8]]) -> String {
        let mut out = Vec::new();
        let mut values = Values::of(format).expect("it is for programs");
        for page in pages {
            values.write(&mut out, page).expect("memory takes it");
        }
        values.finish(&mut out).expect("memory takes it");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn values_are_one_list_over_all_pages() {
        assert_eq!(written(FleetFormat::Json, &[&[1, 2], &[3]]), "[\n1,\n2,\n3\n]\n");
        assert_eq!(written(FleetFormat::Yaml, &[&[1, 2], &[], &[3]]), "- 1\n- 2\n- 3\n");
        assert_eq!(written(FleetFormat::Yaml, &[]), "[]\n");
        assert!(Values::of(FleetFormat::Wide).is_none());
    }
}
