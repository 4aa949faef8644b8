use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;

use crate::signature::{InvalidSigner, Key, TrustStore, TrustedAuthority};

/// A key, a trusted root or a trust store, by the name that requirements have for it; in place, or in a file beside the document.
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

/// The keys, trusted roots and trust stores of a document, by name.
pub struct Materials {
    pub(super) keys: BTreeMap<String, Arc<Key>>,
    pub(super) roots: BTreeMap<String, Arc<TrustedAuthority>>,
    pub(super) stores: BTreeMap<String, Arc<TrustStore>>,
}

impl Materials {
    /// Reads them; `text` finds what is in a file. What is wrong is added to the problems.
    pub fn read(
        keys: &[Material],
        roots: &[Material],
        stores: &[Material],
        text: impl Fn(&Material) -> Result<String, String>,
        problems: &mut Vec<String>,
    ) -> Self {
        let root = |material: &Material| match (&material.tuf, &material.file, &material.text) {
            (None, _, _) => parsed(material, &text, TrustedAuthority::parse),
            (Some(repository), None, None) => Ok(TrustedAuthority::kept_by_tuf(&material.name, repository)),
            (Some(_), _, _) => Err(format!("{:?} comes by tuf, or has a file or a text, not both", material.name)),
        };
        Self {
            keys: read_all(keys, |material| parsed(material, &text, Key::parse), problems),
            roots: read_all(roots, root, problems),
            stores: read_all(stores, |material| parsed(material, &text, TrustStore::parse), problems),
        }
    }
}

fn parsed<T>(
    material: &Material,
    text: impl Fn(&Material) -> Result<String, String>,
    parse: impl Fn(&str, &str) -> Result<T, InvalidSigner>,
) -> Result<T, String> {
    text(material).and_then(|text| parse(&material.name, &text).map_err(|error| error.to_string()))
}

fn read_all<T>(
    materials: &[Material],
    read: impl Fn(&Material) -> Result<T, String>,
    problems: &mut Vec<String>,
) -> BTreeMap<String, Arc<T>> {
    let mut all = BTreeMap::new();
    for material in materials {
        match read(material) {
            Ok(one) => {
                if all.insert(material.name.clone(), Arc::new(one)).is_some() {
                    problems.push(format!("there is more than one {:?}", material.name));
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    all
}
