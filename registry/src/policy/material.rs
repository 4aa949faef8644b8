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
        Self {
            keys: read_all(keys, &text, Key::parse, problems),
            roots: read_all(roots, &text, TrustedAuthority::parse, problems),
            stores: read_all(stores, &text, TrustStore::parse, problems),
        }
    }
}

fn read_all<T>(
    materials: &[Material],
    text: impl Fn(&Material) -> Result<String, String>,
    parse: impl Fn(&str, &str) -> Result<T, InvalidSigner>,
    problems: &mut Vec<String>,
) -> BTreeMap<String, Arc<T>> {
    let mut read = BTreeMap::new();
    for material in materials {
        let parsed = text(material).and_then(|text| parse(&material.name, &text).map_err(|error| error.to_string()));
        match parsed {
            Ok(parsed) => {
                if read.insert(material.name.clone(), Arc::new(parsed)).is_some() {
                    problems.push(format!("there is more than one {:?}", material.name));
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    read
}
