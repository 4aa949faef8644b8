//! One thing that is wrong with a configuration, and where it was written.

use std::fmt;

/// Where a value came from. The order is the order of reading: file by line, then environment, then flags.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A configuration file.
    File {
        /// The file as the operator named it.
        name: String,
        /// The line, from 1; 0 when the mistake is about the whole file.
        line: usize,
    },
    /// An environment variable, by its whole name.
    Environment(String),
    /// A flag, without its leading dashes.
    Flag(String),
    /// Nobody gave the value; the default stands.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line: 0 } => f.write_str(name),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Environment(variable) => write!(f, "environment {variable}"),
            Self::Flag(flag) => write!(f, "flag --{flag}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One mistake: its source, the key where that adds something, and a sentence that says what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Where the value was written.
    pub source: Source,
    /// The key's path, such as `storage.part_size`; empty when the mistake is about no one key.
    pub key: String,
    /// What is wrong, without the value of a secret.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::File { .. } if !self.key.is_empty() => {
                write!(f, "{}: {}: {}", self.source, self.key, self.message)
            }
            Source::Default => write!(f, "{}: {}", self.key, self.message),
            source => write!(f, "{source}: {}", self.message),
        }
    }
}

/// Every mistake found in a configuration, in the order of the sources; never empty when returned as an error.
///
/// Displays one mistake a line, without a trailing newline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// Collects mistakes, putting them in the order of their sources and dropping repetitions.
    pub fn new(mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort();
        mistakes.dedup();
        Self(mistakes)
    }

    /// The mistakes, in the order of their sources.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, mistake) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}
