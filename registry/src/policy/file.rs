//! The configured document: its file, the files that it names, and the watch on them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio_util::sync::CancellationToken;

use super::{Document, InvalidDocument, PERIOD, Policies, document::NamedFile};

/// The largest file, in bytes.
const MOST_BYTES: u64 = 1 << 20;

/// Why a document is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file can't be read.
    #[error("{} can't be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// What is in it is no document.
    #[error("{}: {source}", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: InvalidDocument,
    },
}

impl Document {
    /// Reads the document in a file.
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        Self::compile(path, &Source::read(path)?)
    }

    fn compile(path: &Path, source: &Source) -> Result<Self, PolicyError> {
        let file = |name: &str| source.files.get(name).cloned().ok_or_else(|| format!("{name:?} was not read"));
        Self::parse_with(&source.text, file).map_err(|source| PolicyError::Document { path: path.to_owned(), source })
    }
}

/// A document's text, and those of the files that it names, as they are found from its folder.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Source {
    text: String,
    files: BTreeMap<String, String>,
}

impl Source {
    fn read(path: &Path) -> Result<Self, PolicyError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let text = text(path)?;
        let files = Document::files(&text).into_iter().map(|file| match file {
            NamedFile::Text(name) => self::text(&folder.join(&name)).map(|text| (name, text)),
            NamedFile::RevocationLists(name) => revocation_lists(&folder.join(&name)).map(|text| (name, text)),
        });
        Ok(Self { files: files.collect::<Result<_, PolicyError>>()?, text })
    }
}

/// The text of a file that is no larger than documents are.
pub fn text(path: &Path) -> Result<String, PolicyError> {
    let failed = |source| PolicyError::File { path: path.to_owned(), source };
    String::from_utf8(bytes(path)?).map_err(|_| failed(std::io::Error::other("it is no text")))
}

/// The lists of revoked certificates in a file of that size, in PEM. Authorities publish a list of theirs in DER, which is no text.
pub fn revocation_lists(path: &Path) -> Result<String, PolicyError> {
    match String::from_utf8(bytes(path)?) {
        Ok(text) => Ok(text),
        Err(der) => {
            let content = STANDARD.encode(der.as_bytes());
            let lines = content.as_bytes().chunks(64).map(String::from_utf8_lossy);
            Ok(format!("-----BEGIN X509 CRL-----\n{}\n-----END X509 CRL-----\n", lines.collect::<Vec<_>>().join("\n")))
        }
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, PolicyError> {
    use std::io::Read as _;
    let mut content = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut content));
    let failed = |source| PolicyError::File { path: path.to_owned(), source };
    read.map_err(failed)?;
    if content.len() as u64 > MOST_BYTES {
        return Err(failed(std::io::Error::other(format!("it has more than {MOST_BYTES} bytes"))));
    }
    Ok(content)
}

/// The task that takes over what changes in the document's file, and in those that it names. What can't be read there is told once, and changes nothing. What is
/// there must be found twice, a period apart: a file that is being written is not taken for what it will be.
pub struct Watch {
    policies: Arc<Policies>,
    path: PathBuf,
    found: Result<Source, String>,
    taken: Option<Result<Source, String>>,
}

impl Watch {
    /// A watch on the file that these policies are from.
    pub fn new(policies: Arc<Policies>, path: PathBuf) -> Self {
        Self { policies, path, found: Ok(Source::default()), taken: None }
    }

    /// Watches until told to stop.
    pub async fn run(mut self, shutdown: CancellationToken) {
        loop {
            let path = self.path.clone();
            let Ok(found) = tokio::task::spawn_blocking(move || Source::read(&path)).await else { return };
            let found = found.map_err(|error| told(&error));
            if found == self.found && self.taken.as_ref() != Some(&found) {
                self.take(&found);
                self.taken = Some(found);
            } else {
                self.found = found;
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    }

    fn take(&self, found: &Result<Source, String>) {
        let compiled = found.clone().and_then(|source| Document::compile(&self.path, &source).map_err(|error| told(&error)));
        match compiled.and_then(|document| self.check_repositories(document)) {
            Ok(document) => {
                tracing::info!(policies = document.policies.len(), "the policies in the file are in force");
                self.policies.take_file(document);
            }
            Err(reason) => tracing::error!(reason, "the policies stay as they were"),
        }
    }

    /// A document, where all TUF repositories that it names are known: one that names another would close what it covers.
    fn check_repositories(&self, document: Document) -> Result<Document, String> {
        let unknown = self.policies.parts().unknown_repositories(&document);
        if unknown.is_empty() { Ok(document) } else { Err(format!("{}: {}", self.path.display(), unknown.join("; "))) }
    }
}

/// An error, with the system's answer where there is one.
pub fn told(error: &PolicyError) -> String {
    match std::error::Error::source(error) {
        Some(source) if matches!(error, PolicyError::File { .. }) => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use prometheus::IntCounter;

    use super::{super::Parts, *};
    use crate::tuf::Roots;

    #[test]
    fn a_document_that_names_a_repository_nobody_knows_is_not_taken() {
        let counter = || IntCounter::new("c", "c").unwrap();
        let roots = Roots::of([("corp".to_owned(), Err("not yet".to_owned()))]);
        let policies = Arc::new(Policies::new(Parts { roots, ..Parts::default() }, counter(), counter()));
        let watch = Watch::new(policies.clone(), PathBuf::from("policy.toml"));
        for (name, repository, expected) in [("a", "corp", "a"), ("b", "elsewhere", "a"), ("c", "corp", "c")] {
            let text = format!(
                "[[trusted_root]]\nname = 'r'\ntuf = '{repository}'\n[[policy]]\nname = '{name}'\nrepositories = ['**']\n\
                 [[policy.pull.require]]\nsignature = {{ identity = '*', issuer = '*', trusted_root = 'r' }}\n"
            );
            watch.take(&Ok(Source { text, files: BTreeMap::new() }));
            let current = policies.current();
            assert_eq!(current.policies.iter().map(|policy| policy.name.as_str()).collect::<Vec<_>>(), [expected]);
        }
    }
}
