//! Where docker keeps who somebody is at a registry, so that one login serves both.

mod document;
mod error;
mod helper;
mod server_name;

use std::ffi::OsString;
use std::{fmt, path::PathBuf, time::Duration};

use crate::{Credentials, LoginSecret, RegistryUrl};
use document::Document;
pub use error::CredentialStoreError;
use helper::Helper;
use server_name::server_names;

/// How long a helper may take, which can have to ask a person for the keyring's password.
const HELPER_TIME_LIMIT: Duration = Duration::from_mins(1);

/// Docker's credentials: in its `config.json`, or with the helper programs `docker-credential-NAME` that the file names.
///
/// A registry is looked for as docker names it, `host:port`, or the host alone at the scheme's own port; one on this machine by
/// the other names of loopback too. The file is small, and is read and written in place, so these calls block for that long.
#[derive(Clone, Debug)]
pub struct CredentialStore {
    file: PathBuf,
    search_path: OsString,
    helper_time_limit: Duration,
}

/// Where a login was put; displayed for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeptIn {
    /// In docker's `config.json`, which anybody can read who can read the person's files.
    File(PathBuf),
    /// With the helper of this name.
    Helper(String),
}

impl CredentialStore {
    /// The store in docker's configuration folder, with helpers from the folders of a `PATH`.
    pub fn new(folder: impl Into<PathBuf>, search_path: impl Into<OsString>) -> Self {
        let file = folder.into().join("config.json");
        Self { file, search_path: search_path.into(), helper_time_limit: HELPER_TIME_LIMIT }
    }

    /// The store where docker has it: in `DOCKER_CONFIG`, or else in `.docker` in `HOME`. `None` where neither is set.
    pub fn of_environment(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let folder = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = folder("DOCKER_CONFIG").or_else(|| Some(folder("HOME")?.join(".docker")))?;
        Some(Self::new(folder, variable("PATH").unwrap_or_default()))
    }

    /// The credentials for a registry: a helper's where one is set for it, else those in the file.
    pub async fn get(&self, registry: &RegistryUrl) -> Result<Option<Credentials>, CredentialStoreError> {
        let document = Document::read(&self.file)?;
        let servers = server_names(registry);
        for server in &servers {
            if let Some(helper) = self.helper(&document, server)?
                && let Some(credentials) = helper.get(server).await?
            {
                return Ok(Some(credentials));
            }
        }
        for server in &servers {
            if let Some(credentials) = document.credentials(server)? {
                return Ok(Some(credentials));
            }
        }
        Ok(None)
    }

    /// Keeps a login for a registry, in place of what was kept under the name that it is called by now.
    pub async fn store(
        &self,
        registry: &RegistryUrl,
        username: &str,
        secret: &LoginSecret,
    ) -> Result<KeptIn, CredentialStoreError> {
        let mut document = Document::read(&self.file)?;
        let server = registry.authority();
        let kept_in = if let Some(helper) = self.helper(&document, server)? {
            helper.store(server, username, secret).await?;
            // The helper may have kept a person waiting, and another program may have written meanwhile.
            document = Document::read(&self.file)?;
            document.set_elsewhere(server)?;
            KeptIn::Helper(helper.into_name())
        } else {
            document.set(server, username, secret)?;
            KeptIn::File(document.path().to_owned())
        };
        document.write()?;
        Ok(kept_in)
    }

    /// Gives up all that is kept for a registry; says whether there was anything.
    pub async fn erase(&self, registry: &RegistryUrl) -> Result<bool, CredentialStoreError> {
        let document = Document::read(&self.file)?;
        let servers = server_names(registry);
        let mut was_kept = false;
        for server in &servers {
            if let Some(helper) = self.helper(&document, server)?
                && helper.get(server).await?.is_some()
            {
                helper.erase(server).await?;
                was_kept = true;
            }
        }
        let mut document = Document::read(&self.file)?;
        if document.remove(&servers)? {
            document.write()?;
            was_kept = true;
        }
        Ok(was_kept)
    }

    fn helper(&self, document: &Document, server: &str) -> Result<Option<Helper>, CredentialStoreError> {
        let name = document.helper(server)?;
        name.map(|name| Helper::find(name, &self.search_path, self.helper_time_limit)).transpose()
    }
}

impl fmt::Display for KeptIn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "in {}, where it is not encrypted", path.display()),
            Self::Helper(name) => write!(formatter, "with docker-credential-{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;
    use crate::Secret;

    /// Keeps what it is told in files beside itself, as `secret.SERVER`.
    const KEEPING: &str = r#"
folder=$(dirname "$0")
input=$(cat)
case $1 in
store) server=$(printf %s "$input" | sed 's/.*"ServerURL":"\([^"]*\)".*/\1/'); printf %s "$input" > "$folder/secret.$server" ;;
get) cat "$folder/secret.$input" 2> /dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
erase) rm "$folder/secret.$input" ;;
esac"#;

    struct Place {
        folder: TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self { folder: TempDir::new().expect("a temporary folder") }
        }

        fn with(config: &Value) -> Self {
            let place = Self::new();
            fs::create_dir(place.folder.path().join("docker")).expect("a folder");
            fs::write(place.file(), config.to_string()).expect("a file");
            place
        }

        fn file(&self) -> PathBuf {
            self.folder.path().join("docker/config.json")
        }

        fn store(&self) -> CredentialStore {
            CredentialStore::new(self.folder.path().join("docker"), self.folder.path())
        }

        fn written(&self) -> Value {
            serde_json::from_slice(&fs::read(self.file()).expect("a file")).expect("JSON")
        }

        /// Written by another process: this one's other tests start programs, which would hold the file open and keep it from
        /// being run.
        fn helper(&self, name: &str, script: &str) {
            let mut shell = Command::new("sh");
            shell.args(["-c", "cat > \"$1\" && chmod 700 \"$1\"", "sh"]).arg(self.program(name)).stdin(Stdio::piped());
            let mut writing = shell.spawn().expect("a shell");
            let mut stdin = writing.stdin.take().expect("a pipe");
            write!(stdin, "#!/bin/sh\n{script}\n").expect("the shell reads");
            drop(stdin);
            assert!(writing.wait().expect("the shell ends").success());
        }

        fn program(&self, name: &str) -> PathBuf {
            self.folder.path().join(format!("docker-credential-{name}"))
        }

        async fn found(&self, registry: &str) -> Option<Credentials> {
            self.store().get(&url(registry)).await.expect("a look-up")
        }

        async fn refused(&self, registry: &str) -> String {
            self.store().get(&url(registry)).await.expect_err("no look-up").to_string()
        }
    }

    fn url(text: &str) -> RegistryUrl {
        RegistryUrl::parse(text, false).expect("a registry")
    }

    fn basic(username: &str, password: &str) -> Credentials {
        Credentials::Basic { username: username.to_owned(), password: password.to_owned() }
    }

    fn password(text: &str) -> LoginSecret {
        LoginSecret::Password(Secret::new(text))
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    }

    #[test]
    fn is_where_docker_has_it() {
        let store = |variables: &[(&str, &str)]| {
            let found = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
            CredentialStore::of_environment(found).map(|store| store.file.display().to_string())
        };
        assert_eq!(store(&[("HOME", "/h"), ("DOCKER_CONFIG", "/d")]).as_deref(), Some("/d/config.json"));
        assert_eq!(store(&[("HOME", "/h"), ("DOCKER_CONFIG", "")]).as_deref(), Some("/h/.docker/config.json"));
        assert_eq!(store(&[]), None);
    }

    #[tokio::test]
    async fn reads_what_docker_wrote() {
        let place = Place::with(&json!({"auths": {
            "registry.example.org": {"auth": "dTpwOnE="},
            "https://old.example.org/v1/": {"auth": "dTpwAAA="},
            "localhost:5000": {"auth": "bDpw"},
            "token.example.org": {"auth": "dTo=", "identitytoken": "i"},
            "bearer.example.org": {"registrytoken": "r"},
            "elsewhere.example.org": {},
        }}));
        assert_eq!(place.found("registry.example.org").await, Some(basic("u", "p:q")));
        assert_eq!(place.found("https://registry.example.org:443").await, Some(basic("u", "p:q")));
        assert_eq!(place.found("old.example.org").await, Some(basic("u", "p")));
        for loopback in ["localhost:5000", "127.0.0.1:5000", "[::1]:5000"] {
            assert_eq!(place.found(loopback).await, Some(basic("l", "p")), "{loopback}");
        }
        assert_eq!(place.found("token.example.org").await, Some(Credentials::Identity("i".to_owned())));
        assert_eq!(place.found("bearer.example.org").await, Some(Credentials::Bearer("r".to_owned())));
        for none in ["elsewhere.example.org", "localhost:5001", "registry.example.org:5000", "example.org"] {
            assert_eq!(place.found(none).await, None, "{none}");
        }
    }

    #[tokio::test]
    async fn keeps_and_gives_up_and_leaves_the_rest() {
        let rest = json!({"HttpHeaders": {"X": "y"}, "auths": {"other.example.org": {"auth": "bzpw", "email": "e"}}});
        let place = Place::with(&rest);
        let store = place.store();
        let kept_in = store.store(&url("localhost:5000"), "u", &password("pässword")).await.expect("kept");
        assert_eq!(kept_in, KeptIn::File(fs::canonicalize(place.file()).expect("a file")));
        assert_eq!(place.found("127.0.0.1:5000").await, Some(basic("u", "pässword")));
        assert_eq!(place.written()["auths"]["other.example.org"], rest["auths"]["other.example.org"]);
        assert_eq!(mode(&place.file()), 0o600);
        assert!(store.erase(&url("127.0.0.1:5000")).await.expect("given up"));
        assert_eq!(place.written(), rest);
        assert!(!store.erase(&url("127.0.0.1:5000")).await.expect("nothing to give up"));
        let error = store.store(&url("localhost:5000"), "a:b", &password("hush")).await.expect_err("a colon").to_string();
        assert!(error.contains("colon") && !error.contains("hush"), "{error}");
    }

    #[tokio::test]
    async fn keeps_a_session_as_docker_does() {
        let place = Place::with(&json!({"credHelpers": {"helped.example.org": "all"}}));
        place.helper("all", KEEPING);
        let session = LoginSecret::Session(Secret::new("hush"));
        for host in ["file.example.org", "helped.example.org"] {
            place.store().store(&url(host), "oidc", &session).await.expect("kept");
            assert_eq!(place.found(host).await, Some(Credentials::Identity("hush".to_owned())));
        }
        let auths = json!({"file.example.org": {"auth": "b2lkYzo=", "identitytoken": "hush"}, "helped.example.org": {}});
        assert_eq!(place.written()["auths"], auths);
        let helped = fs::read(place.folder.path().join("secret.helped.example.org")).expect("the helper keeps it");
        let helped: Value = serde_json::from_slice(&helped).expect("JSON");
        assert_eq!(helped, json!({"ServerURL": "helped.example.org", "Username": "<token>", "Secret": "hush"}));
        // A password that comes after it takes its place.
        place.store().store(&url("file.example.org"), "u", &password("p")).await.expect("kept");
        assert_eq!(place.found("file.example.org").await, Some(basic("u", "p")));
        assert!(place.store().erase(&url("helped.example.org")).await.expect("given up"));
        assert_eq!(place.found("helped.example.org").await, None);
    }

    #[tokio::test]
    async fn makes_what_is_not_there_for_the_owner_alone() {
        let place = Place::new();
        assert_eq!(place.found("localhost:5000").await, None);
        assert!(!place.store().erase(&url("localhost:5000")).await.expect("nothing"));
        assert!(!place.file().exists());
        place.store().store(&url("https://registry.example.org"), "u", &password("p")).await.expect("kept");
        assert_eq!(place.written(), json!({"auths": {"registry.example.org": {"auth": "dTpw"}}}));
        assert_eq!((mode(&place.file()), mode(place.file().parent().expect("a folder"))), (0o600, 0o700));
    }

    #[tokio::test]
    async fn writes_to_where_a_link_leads() {
        let place = Place::with(&json!({}));
        let target = place.folder.path().join("kept.json");
        fs::rename(place.file(), &target).expect("moved");
        std::os::unix::fs::symlink(&target, place.file()).expect("a link");
        place.store().store(&url("localhost:5000"), "u", &password("p")).await.expect("kept");
        assert!(fs::symlink_metadata(place.file()).expect("a link").is_symlink());
        assert_eq!(place.found("localhost:5000").await, Some(basic("u", "p")));
    }

    #[tokio::test]
    async fn says_what_is_broken_and_changes_nothing() {
        let place = Place::with(&json!({}));
        let hush = |auth: &str| format!(r#"{{"auths": {{"localhost:5000": {{"auth": {auth}}}}}}}"#);
        for (text, words) in [
            ("{\"auths\": {\"hush".to_owned(), "mend it"),
            ("[\"hush\"]".to_owned(), "the whole should be an object"),
            (r#"{"auths": "hush"}"#.to_owned(), "auths should be an object"),
            (r#"{"credsStore": ["hush"]}"#.to_owned(), "credsStore should be a text"),
            (hush(r#""hush!""#), "auths.localhost:5000.auth should be a name and a password in base64"),
            (hush(r#"["hush"]"#), "auths.localhost:5000.auth should be a text"),
        ] {
            fs::write(place.file(), &text).expect("a file");
            let error = place.refused("localhost:5000").await;
            assert!(error.contains(words) && error.contains("config.json") && !error.contains("hush"), "{error}");
            if !words.contains(".auth ") {
                place.store().store(&url("localhost:5000"), "u", &password("p")).await.expect_err("not kept");
            }
            assert_eq!(fs::read_to_string(place.file()).expect("a file"), text);
        }
    }

    #[tokio::test]
    async fn asks_the_helper_for_a_host_and_then_the_one_for_all() {
        let place = Place::with(&json!({
            "credsStore": "all", "credHelpers": {"own.example.org": "own", "file.example.org": ""},
            "auths": {"file.example.org": {"auth": "dTpw"}, "left.example.org": {"auth": "dTpw"}},
        }));
        place.helper("all", KEEPING);
        place.helper("own", r#"cat > /dev/null; echo '{"ServerURL":"own.example.org","Username":"<token>","Secret":"hush"}'"#);
        assert_eq!(place.found("own.example.org").await, Some(Credentials::Identity("hush".to_owned())));
        assert_eq!(place.found("file.example.org").await, Some(basic("u", "p")));
        assert_eq!(place.found("left.example.org").await, Some(basic("u", "p")));

        let store = place.store();
        let kept_in = store.store(&url("127.0.0.1:5000"), "u", &password("hush")).await.expect("kept");
        assert_eq!(kept_in, KeptIn::Helper("all".to_owned()));
        assert_eq!(place.written()["auths"]["127.0.0.1:5000"], json!({}));
        assert_eq!(place.found("localhost:5000").await, Some(basic("u", "hush")));
        assert!(store.erase(&url("localhost:5000")).await.expect("given up"));
        assert_eq!(place.found("127.0.0.1:5000").await, None);
        assert_eq!(place.written()["auths"].get("127.0.0.1:5000"), None);
    }

    #[tokio::test]
    async fn says_how_a_helper_fails_and_no_secret() {
        let place = Place::with(&json!({"credsStore": "x"}));
        assert!(place.refused("localhost:5000").await.contains("docker-credential-x, which"));
        place.helper("x", "cat > /dev/null; echo the keyring is locked; exit 3");
        assert_eq!(place.refused("localhost:5000").await, "docker-credential-x get failed: the keyring is locked");
        place.helper("x", r#"cat > /dev/null; echo '{"Secret":"hush"}'; exit 3"#);
        assert_eq!(place.refused("localhost:5000").await, "docker-credential-x get failed: exit status: 3");
        place.helper("x", r#"cat > /dev/null; echo '"hush"'"#);
        assert_eq!(place.refused("localhost:5000").await, "docker-credential-x get failed: its answer can't be read");
        place.helper("x", "cat; exit 1");
        let error = place.store().store(&url("localhost:5000"), "u", &password("hush")).await.expect_err("not kept").to_string();
        assert_eq!(error, "docker-credential-x store failed: exit status: 1");
        assert_eq!(place.written(), json!({"credsStore": "x"}));
    }

    #[tokio::test]
    async fn bounds_what_a_helper_says_and_how_long_it_takes() {
        let place = Place::with(&json!({"credsStore": "x"}));
        place.helper("x", "exec cat /dev/zero");
        let error = place.store().get(&url("localhost:5000")).await.expect_err("too much");
        assert!(matches!(&error, CredentialStoreError::HelperBroken { source, .. } if source.to_string().contains("more than")));
        place.helper("x", "exec sleep 60");
        let store = CredentialStore { helper_time_limit: Duration::from_millis(50), ..place.store() };
        let error = store.get(&url("localhost:5000")).await.expect_err("too long");
        assert!(matches!(&error, CredentialStoreError::HelperBroken { source, .. } if source.to_string().contains("within")));
    }

    #[tokio::test]
    async fn runs_no_helper_of_another_name() {
        for name in ["../x", "a/b", "a b", "é"] {
            let place = Place::with(&json!({"credsStore": name}));
            assert!(place.refused("localhost:5000").await.contains("is no name of a credential helper"), "{name}");
        }
        let place = Place::with(&json!({"credsStore": "x"}));
        place.helper("x", KEEPING);
        let store = CredentialStore::new(place.folder.path().join("docker"), ".:relative");
        assert!(matches!(store.get(&url("localhost:5000")).await, Err(CredentialStoreError::HelperMissing(_))));
    }
}
