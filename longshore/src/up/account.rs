//! The accounts of what runs beside a registry that asks who calls.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use longshore_service::{config::Secret, error_text::with_sources, private_files};

use crate::{daemon::StartedRegistry, failure::Failure};

/// A robot that may pull from every repository.
#[derive(Clone, Copy, Debug)]
pub struct UpAccount {
    /// What it is called.
    pub name: &'static str,
    /// The file of its secret, in the folder of `longshore up`.
    file: &'static str,
    /// What it does, and what that comes to without an account.
    without: &'static str,
}

/// The node's.
pub const NODE: UpAccount =
    UpAccount { name: "longshore-up-node", file: "node-account.secret", without: "the node pulls what anybody may" };
/// The orchestrator's, which asks what images are made of, and whether they may run.
pub const ORCHESTRATOR: UpAccount = UpAccount {
    name: "longshore-up-orchestrator",
    file: "orchestrator-account.secret",
    without: "the orchestrator knows of images what anybody may",
};

impl UpAccount {
    /// The secret that is shown: made at the first start, and kept in a file for this user alone.
    ///
    /// `None` where there can be none, which is told: somebody else has its name, there is no room for one more account, or whoever
    /// administers the registry has removed it, which holds until the file is removed as well.
    pub async fn secret(self, registry: &StartedRegistry, folder: &Path) -> Result<Option<Secret>, Failure> {
        let Self { name, file, without } = self;
        let path = folder.join(file);
        let failed = |error: io::Error| {
            Failure::because(&format!("the secret of the account {name}, {}, can't be read or kept", path.display()), &error)
        };
        if let Some(secret) = read(&path).map_err(failed)? {
            if !registry.has_account(name) {
                tell(&format!(
                    "the registry has no account {name} any more, so {without}; without {} it is made anew",
                    path.display()
                ));
                return Ok(None);
            }
            return Ok(Some(secret));
        }
        match registry.make_puller(name).await {
            Ok(secret) => {
                keep(&path, &secret).map_err(failed)?;
                Ok(Some(Secret::new(secret)))
            }
            Err(error) => {
                tell(&format!("{without}, for it can have no account {name}: {}", with_sources(&error)));
                Ok(None)
            }
        }
    }
}

/// A daemon whose stderr is closed has nobody to tell, and serves all the same.
fn tell(what: &str) {
    let _ = writeln!(io::stderr(), "longshore: {what}");
}

/// What is kept; nothing where nothing is.
fn read(path: &Path) -> io::Result<Option<Secret>> {
    match fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => Ok(Some(Secret::new(text.trim().to_owned()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the file, which is there as a whole or not at all.
fn keep(path: &Path, secret: &str) -> io::Result<()> {
    private_files::replace(path, format!("{secret}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_kept_for_this_user_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(NODE.file);
        assert!(read(&path).expect("none is no mistake").is_none());
        // What a crash left.
        let next = folder.path().join("node-account.secret.new");
        fs::write(&next, "half").expect("it is written");
        keep(&path, "lsr_secret").expect("it is kept");
        let mode = fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!((mode & 0o777, next.exists()), (0o600, false));
        assert_eq!(read(&path).expect("it is read").expect("it is there").reveal(), "lsr_secret");
        fs::write(&path, "\n").expect("it is written");
        assert!(read(&path).expect("it is read").is_none(), "an empty one is none");
        assert!(read(folder.path()).is_err());
    }
}
