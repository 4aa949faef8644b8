use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize as _;
use serde_json::{Map, Serializer, Value, json, ser::PrettyFormatter};

use super::{CredentialStoreError, server_name::server_name};
use crate::{Credentials, LoginSecret};

/// The longest configuration that is read; people have a few kilobytes.
const MAX_BYTES: u64 = 4 << 20;

/// Docker's `config.json`: what of it is about credentials, and everything else as it was. Holds secrets, so has no `Debug`.
pub(super) struct Document {
    path: PathBuf,
    fields: Map<String, Value>,
}

impl Document {
    /// Reads the file. One that is not there, or empty, has no fields.
    pub(super) fn read(path: &Path) -> Result<Self, CredentialStoreError> {
        // A link stays one: it is the file behind it that is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let content = match read_bounded(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(CredentialStoreError::Unreadable { path, source }),
        };
        if content.trim_ascii().is_empty() {
            return Ok(Self { path, fields: Map::new() });
        }
        match serde_json::from_slice(&content) {
            Ok(Value::Object(fields)) => Ok(Self { path, fields }),
            Ok(_) => Err(CredentialStoreError::Shape { path, field: "the whole".to_owned(), expected: "an object" }),
            Err(source) => Err(CredentialStoreError::NotJson { path, source }),
        }
    }

    /// Where it is, behind any link.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the helper that keeps this server's credentials. One that is empty for a server means the file itself.
    pub(super) fn helper(&self, server: &str) -> Result<Option<&str>, CredentialStoreError> {
        let own = self.object("credHelpers")?.and_then(|helpers| helpers.get(server));
        let (field, helper) = match own {
            Some(helper) => (format!("credHelpers.{server}"), helper),
            None => ("credsStore".to_owned(), self.fields.get("credsStore").unwrap_or(&Value::Null)),
        };
        match helper {
            Value::String(name) if !name.is_empty() => Ok(Some(name)),
            Value::String(_) | Value::Null => Ok(None),
            _ => Err(self.misshapen(field, "a text")),
        }
    }

    /// The credentials that the file itself has for a server.
    pub(super) fn credentials(&self, server: &str) -> Result<Option<Credentials>, CredentialStoreError> {
        let Some(auths) = self.object("auths")? else { return Ok(None) };
        let old = || auths.iter().find(|(key, _)| server_name(key) == server);
        let Some((key, entry)) = auths.get_key_value(server).or_else(old) else { return Ok(None) };
        let text = |name: &str| match entry.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(_) => Err(self.misshapen(format!("auths.{key}.{name}"), "a text")),
        };
        if let Some(token) = text("registrytoken")? {
            return Ok(Some(Credentials::Bearer(token)));
        }
        if let Some(token) = text("identitytoken")? {
            return Ok(Some(Credentials::Identity(token)));
        }
        let Some(auth) = text("auth")? else { return Ok(None) };
        let basic = decoded(&auth).ok_or_else(|| self.misshapen(format!("auths.{key}.auth"), "a name and a password in base64"));
        basic.map(Some)
    }

    /// Puts a login into the file itself, in place of what it has for this server. Beside a session there is the name alone.
    pub(super) fn set(&mut self, server: &str, username: &str, secret: &LoginSecret) -> Result<(), CredentialStoreError> {
        if username.contains(':') {
            return Err(CredentialStoreError::NameWithColon(username.to_owned()));
        }
        let auth = |password: &str| BASE64_STANDARD.encode(format!("{username}:{password}"));
        let entry = match secret {
            LoginSecret::Password(password) => json!({"auth": auth(password.reveal())}),
            LoginSecret::Session(token) => json!({"auth": auth(""), "identitytoken": token.reveal()}),
        };
        self.put(server, entry)
    }

    /// Notes that a helper has this server's credentials. `docker logout` goes by it.
    pub(super) fn set_elsewhere(&mut self, server: &str) -> Result<(), CredentialStoreError> {
        self.put(server, json!({}))
    }

    /// Takes out all that the file has for these servers; says whether there was anything.
    pub(super) fn remove(&mut self, servers: &[String]) -> Result<bool, CredentialStoreError> {
        if self.object("auths")?.is_none() {
            return Ok(false);
        }
        let Some(Value::Object(auths)) = self.fields.get_mut("auths") else { return Ok(false) };
        let count = auths.len();
        auths.retain(|key, _| !servers.iter().any(|server| server_name(key) == server));
        Ok(auths.len() < count)
    }

    /// Replaces the file as a whole, for its owner alone: whoever reads it sees the old one or the new one.
    pub(super) fn write(&self) -> Result<(), CredentialStoreError> {
        self.try_write().map_err(|source| CredentialStoreError::Unwritable { path: self.path.clone(), source })
    }

    fn try_write(&self) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut content = Vec::new();
        let mut serializer = Serializer::with_formatter(&mut content, PrettyFormatter::with_indent(b"\t"));
        self.fields.serialize(&mut serializer)?;
        content.push(b'\n');
        let owner_only = Permissions::from_mode(0o600);
        let mut file = tempfile::Builder::new().prefix(".config.json-").permissions(owner_only).tempfile_in(folder)?;
        file.write_all(&content)?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }

    fn put(&mut self, server: &str, entry: Value) -> Result<(), CredentialStoreError> {
        let is_there = self.object("auths")?.is_some();
        let auths = self.fields.entry("auths").or_insert_with(|| json!({}));
        if !is_there {
            *auths = json!({});
        }
        auths[server] = entry;
        Ok(())
    }

    fn object(&self, field: &str) -> Result<Option<&Map<String, Value>>, CredentialStoreError> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(self.misshapen(field.to_owned(), "an object")),
        }
    }

    fn misshapen(&self, field: String, expected: &'static str) -> CredentialStoreError {
        CredentialStoreError::Shape { path: self.path.clone(), field, expected }
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {MAX_BYTES} bytes")));
    }
    Ok(content)
}

/// `user:password` in base64; old dockers filled the password up with zero bytes.
fn decoded(auth: &str) -> Option<Credentials> {
    let text = String::from_utf8(BASE64_STANDARD.decode(auth).ok()?).ok()?;
    let (username, password) = text.split_once(':')?;
    let password = password.trim_matches('\0');
    Some(Credentials::Basic { username: username.to_owned(), password: password.to_owned() })
}
