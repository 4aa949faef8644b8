//! A value that must not reach a log.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::setting::quote;
use super::{Given, Setting};

/// The largest secret read from a file, in bytes. A key or a connection string is far smaller.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// What is shown in place of a secret.
pub const REDACTED: &str = "<redacted>";

/// A secret given in place, or by its twin `<key>_file`. `Debug` and `Display` show only whether there is one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret {
    value: String,
    file: Option<PathBuf>,
}

/// The file of a secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The file cannot be opened or read.
    #[error("{path} cannot be read: {source}", path = path.display())]
    Unreadable {
        /// The file, as configured.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is a folder, a device or a pipe, which could block or never end.
    #[error("{path} is not a regular file", path = .0.display())]
    NotAFile(PathBuf),
    /// It is not UTF-8, or larger than 64 KiB.
    #[error("{path} is not text of at most 64 KiB", path = .0.display())]
    NotText(PathBuf),
}

impl Secret {
    /// A secret with this value.
    pub fn new(value: impl Into<String>) -> Self {
        Self { value: value.into(), file: None }
    }

    /// The value itself, empty when there is none. To be handed to what needs it, never to a log.
    pub fn reveal(&self) -> &str {
        &self.value
    }

    /// Whether there is a secret: a value that is not empty, or a file that gives it.
    pub fn is_set(&self) -> bool {
        !self.value.is_empty() || self.file.is_some()
    }

    /// The file that the secret is read from, if that is how it was given.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    pub(super) fn set_file(&mut self, file: &str) {
        self.file = (!file.is_empty()).then(|| PathBuf::from(file));
    }

    /// Whether both the value and the file were given.
    pub(super) fn is_given_twice(&self) -> bool {
        !self.value.is_empty() && self.file.is_some()
    }

    /// Reads the file, if there is one, and takes its content without the newlines at its end.
    pub(super) fn read_file(&mut self) -> Result<(), SecretFileError> {
        let Some(path) = self.file.clone() else {
            return Ok(());
        };
        let unreadable = |source| SecretFileError::Unreadable { path: path.clone(), source };
        if !std::fs::metadata(&path).map_err(unreadable)?.is_file() {
            return Err(SecretFileError::NotAFile(path));
        }
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&path).map_err(unreadable)?;
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        match String::from_utf8(bytes) {
            Ok(text) if text.len() as u64 <= MAX_FILE_BYTES => {
                text.trim_end_matches(['\n', '\r']).clone_into(&mut self.value);
                Ok(())
            }
            _ => Err(SecretFileError::NotText(path)),
        }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_set() { REDACTED } else { "" })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({self})")
    }
}

impl Setting for Secret {
    fn set(&mut self, given: &Given) -> Result<(), String> {
        let text = given.as_text().ok_or_else(|| format!("expected a string, found {}", given.kind()))?;
        text.clone_into(&mut self.value);
        Ok(())
    }

    fn render(&self) -> String {
        quote(&self.value)
    }

    fn secret(&self) -> Option<&Secret> {
        Some(self)
    }

    fn secret_mut(&mut self) -> Option<&mut Secret> {
        Some(self)
    }
}
