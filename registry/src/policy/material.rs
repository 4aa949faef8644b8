use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;

use crate::signature::{InvalidSigner, Key, TrustStore, TrustedAuthority};

/// A key or a trusted root, by the name that requirements have for it; in place, or in a file beside the document.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Material {
    /// Its name.
    pub name: String,
    /// Its file.
    #[serde(default)]
    pub file: Option<String>,
    /// Its text.
    #[serde(default)]
    pub text: Option<String>,
    /// The TUF repository that keeps it current, where it is a trusted root.
    #[serde(default)]
    pub tuf: Option<String>,
}

/// A trust store: a material, and lists of what its authorities have revoked.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreMaterial {
    /// Its name.
    pub name: String,
    /// The file of its certificates.
    #[serde(default)]
    pub file: Option<String>,
    /// Its certificates.
    #[serde(default)]
    pub text: Option<String>,
    /// The files of the lists, PEM or DER; nobody is asked about what was revoked where there is neither this nor a text.
    #[serde(default)]
    pub crl_files: Option<Vec<String>>,
    /// The lists, PEM.
    #[serde(default)]
    pub crl_text: Option<String>,
}

/// The keys, trusted roots and trust stores of a document, by name.
pub struct Materials {
    pub(super) keys: BTreeMap<String, Arc<Key>>,
    pub(super) roots: BTreeMap<String, Arc<TrustedAuthority>>,
    pub(super) stores: BTreeMap<String, Arc<TrustStore>>,
}

impl Material {
    fn read<T>(
        &self,
        file: impl Fn(&str) -> Result<String, String>,
        parse: impl Fn(&str, &str) -> Result<T, InvalidSigner>,
    ) -> Result<T, String> {
        if self.tuf.is_some() {
            return Err(format!("{:?} can't come by tuf: only a trusted_root can", self.name));
        }
        let text = one_of(&self.name, self.file.as_ref(), self.text.as_ref(), file)?;
        parse(&self.name, &text).map_err(|error| error.to_string())
    }

    fn root(&self, file: impl Fn(&str) -> Result<String, String>) -> Result<TrustedAuthority, String> {
        match (&self.tuf, &self.file, &self.text) {
            (None, _, _) => self.read(file, TrustedAuthority::parse),
            (Some(repository), None, None) => Ok(TrustedAuthority::kept_by_tuf(&self.name, repository)),
            (Some(_), _, _) => Err(format!("{:?} comes by tuf, or has a file or a text, not both", self.name)),
        }
    }
}

impl StoreMaterial {
    fn read(&self, file: impl Fn(&str) -> Result<String, String>) -> Result<TrustStore, String> {
        let text = one_of(&self.name, self.file.as_ref(), self.text.as_ref(), &file)?;
        let store = TrustStore::parse(&self.name, &text).map_err(|error| error.to_string())?;
        let lists = match (&self.crl_files, &self.crl_text) {
            (None, None) => return Ok(store),
            (Some(names), None) => names.iter().map(|name| file(name)).collect::<Result<Vec<_>, _>>()?.join("\n"),
            (None, Some(text)) => text.clone(),
            (Some(_), Some(_)) => return Err(format!("{:?} needs either crl_files or a crl_text", self.name)),
        };
        store.with_revocation_lists(&lists).map_err(|error| error.to_string())
    }
}

impl Materials {
    /// Reads them; `file` finds what is in a file. What is wrong is added to the problems.
    pub fn read(
        keys: &[Material],
        roots: &[Material],
        stores: &[StoreMaterial],
        file: impl Fn(&str) -> Result<String, String>,
        problems: &mut Vec<String>,
    ) -> Self {
        let read_key = |material: &Material| (material.name.clone(), material.read(&file, Key::parse));
        let read_root = |material: &Material| (material.name.clone(), material.root(&file));
        let read_store = |material: &StoreMaterial| (material.name.clone(), material.read(&file));
        Self {
            keys: by_name(keys.iter().map(read_key), problems),
            roots: by_name(roots.iter().map(read_root), problems),
            stores: by_name(stores.iter().map(read_store), problems),
        }
    }
}

/// What is in a file, or in place.
fn one_of(
    name: &str,
    path: Option<&String>,
    text: Option<&String>,
    file: impl Fn(&str) -> Result<String, String>,
) -> Result<String, String> {
    match (path, text) {
        (Some(path), None) => file(path),
        (None, Some(text)) => Ok(text.clone()),
        _ => Err(format!("{name:?} needs either a file or a text")),
    }
}

fn by_name<T>(read: impl Iterator<Item = (String, Result<T, String>)>, problems: &mut Vec<String>) -> BTreeMap<String, Arc<T>> {
    let mut found = BTreeMap::new();
    for (name, one) in read {
        match one {
            Ok(one) => {
                if found.insert(name.clone(), Arc::new(one)).is_some() {
                    problems.push(format!("there is more than one {name:?}"));
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(members: &str) -> String {
        let store: StoreMaterial = toml::from_str(&format!("name = 'acme'\n{members}")).unwrap();
        store.read(|name| Err(format!("{name:?} was asked for"))).unwrap_err()
    }

    #[test]
    fn a_trust_store_s_lists_are_in_files_or_in_place() {
        let root = rcgen::generate_simple_self_signed(["root".to_owned()]).unwrap().cert.pem();
        let text = format!("text = \"\"\"{root}\"\"\"\n");
        assert_eq!(read("file = 'acme.pem'"), "\"acme.pem\" was asked for");
        assert!(read("crl_text = 'x'").contains("needs either a file or a text"));
        assert_eq!(read(&format!("{text}crl_files = ['acme.crl']")), "\"acme.crl\" was asked for");
        for none in ["crl_files = []", "crl_text = 'x'"] {
            assert!(read(&format!("{text}{none}")).contains("there is no list of revoked certificates"), "{none}");
        }
        let both = read(&format!("{text}crl_files = ['acme.crl']\ncrl_text = 'x'"));
        assert_eq!(both, "\"acme\" needs either crl_files or a crl_text");
    }
}
