//! A document with what is in the files that it names, so that it can be sent to where these are not.

use std::{ops::Range, path::Path};

use toml::{
    Spanned, Value,
    de::{DeArray, DeTable, DeValue},
};

use super::file::{PolicyError, revocation_lists, text};

/// What a document is made of that is no key, certificate or the like.
const POLICY: &str = "policy";
/// What says where such a thing is.
const FILE: &str = "file";
/// What says what it is.
const TEXT: &str = "text";
/// The same for lists of what was revoked, of which there may be several.
const LISTS: &str = "crl_files";
const LISTS_TEXT: &str = "crl_text";

/// Why a document can't be sent.
#[derive(Debug, thiserror::Error)]
pub enum InlineError {
    /// It, or a file that it names, can't be read.
    #[error(transparent)]
    File(#[from] PolicyError),
    /// It is no TOML.
    #[error("{0}")]
    Shape(#[from] toml::de::Error),
    /// Something that must stay where it is.
    #[error("{0} holds a private key, which is for nobody to see: a policy needs the public one")]
    PrivateKey(String),
}

/// The text of the document in a file, in which whatever is named by a file stands in place. What else is in it stays as it is, comments
/// too.
pub fn inline(path: &Path) -> Result<String, InlineError> {
    let mut document = text(path)?;
    if is_private(&document) {
        return Err(InlineError::PrivateKey(path.display().to_string()));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut changes: Vec<(Range<usize>, String)> = Vec::new();
    for Named { word, value, files, is_text } in files(DeTable::parse(&document)?.get_ref()) {
        let mut contents = Vec::new();
        for file in files {
            let path = folder.join(file);
            let content = if is_text { text(&path)? } else { revocation_lists(&path)? };
            if is_private(&content) {
                return Err(InlineError::PrivateKey(path.display().to_string()));
            }
            contents.push(content);
        }
        changes.push((word, if is_text { TEXT } else { LISTS_TEXT }.to_owned()));
        changes.push((value, Value::String(contents.join("\n")).to_string()));
    }
    changes.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    for (range, text) in changes {
        document.replace_range(range, &text);
    }
    Ok(document)
}

/// Whether a text holds a private key in PEM.
pub fn is_private(text: &str) -> bool {
    text.contains("PRIVATE KEY")
}

/// A `file = "…"` in a document, or `crl_files = ["…"]`.
struct Named<'a> {
    /// Where the word stands.
    word: Range<usize>,
    /// Where what follows it does.
    value: Range<usize>,
    /// What that says.
    files: Vec<&'a str>,
    /// Whether it is the first of the two.
    is_text: bool,
}

/// Each of them in what policies name.
fn files<'a>(document: &'a DeTable<'_>) -> Vec<Named<'a>> {
    let lists = document.iter().filter(|(name, _)| name.get_ref() != POLICY);
    let things = lists.filter_map(|(_, list)| list.get_ref().as_array()).flat_map(|list: &DeArray<'_>| list.iter());
    let members = things.filter_map(|thing| thing.get_ref().as_table()).flat_map(|thing: &DeTable<'_>| thing.iter());
    let named = |(name, value): (&Spanned<_>, &'a Spanned<DeValue<'_>>)| {
        let is_text = name.get_ref() == FILE;
        let files = match value.get_ref() {
            DeValue::Array(names) if !is_text => names.iter().map(|name| name.get_ref().as_str()).collect::<Option<_>>()?,
            one => vec![one.as_str()?],
        };
        Some(Named { word: name.span(), value: value.span(), files, is_text })
    };
    members.filter(|(name, _)| [FILE, LISTS].contains(&name.get_ref().as_ref())).filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_stand_in_place_and_all_else_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a.pub"), "-----BEGIN PUBLIC KEY-----\na'''\"\"\"\\\n-----END PUBLIC KEY-----\n").unwrap();
        fs::write(at("root.json"), "{\"x\": \"\\u00e9 é\"}").unwrap();
        let document = "# of the team\nother = [{ name = 'r', file = 'root.json' }]\n\n[[key]]   # ours\nname = 'a.pub'\n\
                        \"file\"   = \"a.pub\" # here\n[[key]]\nname = 'b'\ntext = 'b'\n[[policy]]\nname = 'p'\nfile = 'stays'\n";
        fs::write(at("p.toml"), document).unwrap();
        let inlined = inline(&at("p.toml")).unwrap();
        for kept in ["# of the team\n", "[[key]]   # ours\n", " # here\n", "name = 'p'\nfile = 'stays'\n"] {
            assert!(inlined.contains(kept), "{inlined}");
        }
        let read: toml::Table = toml::from_str(&inlined).unwrap();
        assert_eq!(read["key"][0]["text"].as_str(), Some(fs::read_to_string(at("a.pub")).unwrap().as_str()));
        assert_eq!(read["other"][0]["text"].as_str(), Some(fs::read_to_string(at("root.json")).unwrap().as_str()));
        assert_eq!((read["key"][1]["text"].as_str(), read["key"][0].get("file")), (Some("b"), None));
    }

    #[test]
    fn lists_of_revoked_certificates_become_one_text() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let text = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
        fs::write(at("a.pem"), text).unwrap();
        fs::write(at("b.der"), [0x30, 0x82, 0xff, 0]).unwrap();
        let document = "[[trust_store]]\nname = 'a'\ntext = 'c'\ncrl_files = ['a.pem', # one\n 'b.der'] # two\n";
        fs::write(at("p.toml"), document).unwrap();
        let inlined = inline(&at("p.toml")).unwrap();
        assert!(inlined.contains("# two") && !inlined.contains("crl_files"), "{inlined}");
        let read: toml::Table = toml::from_str(&inlined).unwrap();
        let lists = format!("{text}\n-----BEGIN X509 CRL-----\nMIL/AA==\n-----END X509 CRL-----\n");
        assert_eq!(read["trust_store"][0]["crl_text"].as_str(), Some(lists.as_str()));
    }

    #[test]
    fn no_private_key_leaves_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        let (document, key) = (folder.path().join("p.toml"), folder.path().join("cosign.key"));
        fs::write(&document, "[[key]]\nname = 'k'\nfile = 'cosign.key'\n").unwrap();
        assert!(matches!(inline(&document), Err(InlineError::File(_))), "it is not there");
        fs::write(&key, "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n").unwrap();
        assert!(matches!(inline(&document), Err(InlineError::PrivateKey(file)) if file.ends_with("cosign.key")));
        fs::write(&document, "[[key]]\nname = 'k'\ntext = '-----BEGIN PRIVATE KEY-----'\n").unwrap();
        assert!(matches!(inline(&document), Err(InlineError::PrivateKey(file)) if file.ends_with("p.toml")));
    }
}
