use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::pki_types::pem::{self, PemObject};

use super::TlsError;

/// Files, and what they are read for.
pub(super) trait Source: Clone {
    /// What is made of them.
    type Made;
    /// What that is called in logs.
    const NAME: &'static str;

    /// The files, always in the same order.
    fn files(&self) -> Vec<&Path>;

    /// Makes something of what the files hold, in their order.
    fn make(&self, contents: &[Vec<u8>]) -> Result<Self::Made, TlsError>;
}

/// What was made of files, with what they held, so that a change is seen however they were replaced.
pub(super) struct Part<S: Source> {
    source: S,
    contents: Vec<Vec<u8>>,
    pub made: Arc<S::Made>,
}

/// What the last look found broken.
#[derive(Eq, PartialEq)]
pub(super) enum Broken {
    Unreadable,
    Contents(Vec<Vec<u8>>),
}

impl<S: Source> Part<S> {
    pub fn read(source: S) -> Result<Self, TlsError> {
        let contents = read_all(&source)?;
        Self::of(source, contents)
    }

    fn of(source: S, contents: Vec<Vec<u8>>) -> Result<Self, TlsError> {
        let made = Arc::new(source.make(&contents)?);
        Ok(Self { source, contents, made })
    }

    /// What the files hold now, where that is something else and can be used. What can't is logged once, and kept in `broken` so as
    /// not to log it again.
    pub fn renewed(&self, broken: &mut Option<Broken>) -> Option<Self> {
        let last = broken.take();
        let (found, error) = match read_all(&self.source) {
            Ok(contents) if contents == self.contents => return None,
            Ok(contents) if last.as_ref().is_some_and(|last| last.is(&contents)) => {
                *broken = last;
                return None;
            }
            Ok(contents) => match Self::of(self.source.clone(), contents.clone()) {
                Ok(renewed) => return Some(renewed),
                Err(error) => (Broken::Contents(contents), error),
            },
            Err(error) => (Broken::Unreadable, error),
        };
        if last.as_ref() != Some(&found) {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "the new {} cannot be used; what was there before stays in force", S::NAME);
        }
        *broken = Some(found);
        None
    }

    /// Says that it is in force.
    pub fn announce(&self) {
        let files: Vec<String> = self.source.files().into_iter().map(|file| file.display().to_string()).collect();
        tracing::info!(files = files.join(", "), "a new {} is in force", S::NAME);
    }
}

impl<S: Source> Clone for Part<S> {
    fn clone(&self) -> Self {
        Self { source: self.source.clone(), contents: self.contents.clone(), made: Arc::clone(&self.made) }
    }
}

impl Broken {
    fn is(&self, contents: &[Vec<u8>]) -> bool {
        matches!(self, Self::Contents(broken) if broken == contents)
    }
}

fn read_all(source: &impl Source) -> Result<Vec<Vec<u8>>, TlsError> {
    let read = |path: &Path| std::fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source });
    source.files().into_iter().map(read).collect()
}

/// Everything of one kind that a file holds in PEM form, at least one.
pub(super) fn from_pem<T: PemObject>(path: &Path, content: &[u8], expected: &'static str) -> Result<Vec<T>, TlsError> {
    let not_pem = |source| TlsError::NotPem { path: PathBuf::from(path), expected, source };
    let found: Vec<T> = T::pem_slice_iter(content).collect::<Result<_, _>>().map_err(not_pem)?;
    if found.is_empty() { Err(not_pem(pem::Error::NoItemsFound)) } else { Ok(found) }
}
