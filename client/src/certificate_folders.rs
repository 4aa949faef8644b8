use std::{ffi::OsString, fs, io, path::Path, path::PathBuf};

use crate::{ClientCertificateFiles, ClientError, RegistryUrl};

/// The most files that a registry's folder is read with; people have three.
const MAX_FILES: usize = 1000;

/// The folders in which docker and podman look for the certificates of a registry, each with a folder `HOST[:PORT]` for it
/// (containers-certs.d(5); Docker's "Verify repository client with certificates").
///
/// The first one is read that is there for the registry, as podman does. A folder that may not be read is there for somebody
/// else, such as a daemon, and is passed over; so are an authority, and a certificate and its key, of which a file may not be.
#[derive(Clone, Debug, Default)]
pub struct CertificateFolders(Vec<PathBuf>);

/// The files of a registry's folder; none where it has no folder.
#[derive(Debug, Default)]
pub(crate) struct HostCertificates {
    folder: PathBuf,
    files: Vec<PathBuf>,
}

impl CertificateFolders {
    /// These, the first of them before the others.
    pub fn new(folders: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(folders.into_iter().collect())
    }

    /// Those of whoever asks, podman's and a rootless docker's, and then those of the machine.
    pub fn of_environment(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let folder = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = folder("HOME").map(|home| home.join(".config"));
        let docker = folder("XDG_CONFIG_HOME").or_else(|| home.clone());
        let own = [home.map(|folder| folder.join("containers/certs.d")), docker.map(|folder| folder.join("docker/certs.d"))];
        let machine = ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(PathBuf::from);
        Self::new(own.into_iter().flatten().chain(machine))
    }

    /// What there is for a registry.
    pub(crate) fn of(&self, registry: &RegistryUrl) -> Result<HostCertificates, ClientError> {
        let names = registry.names_with(registry.host());
        let folders = self.0.iter().flat_map(|folder| names.iter().map(move |name| folder.join(name)));
        for folder in folders.filter(|folder| fs::metadata(folder).is_ok()) {
            match files_in(&folder) {
                Ok(files) => return Ok(HostCertificates { folder, files }),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                Err(source) => return Err(ClientError::CertificateFolder { path: folder, source }),
            }
        }
        Ok(HostCertificates::default())
    }
}

impl HostCertificates {
    /// The files of authorities to trust.
    pub(crate) fn authorities(&self) -> impl Iterator<Item = &Path> {
        self.ending_in("crt").filter(|file| !is_somebody_else_s(file))
    }

    /// The certificate that says who asks. One without its key is an error, and so is a key without its certificate.
    pub(crate) fn own(&self) -> Result<Option<ClientCertificateFiles>, ClientError> {
        let alone = |certificate: PathBuf, what: String| {
            let source = io::Error::new(io::ErrorKind::NotFound, what);
            ClientError::Certificate { path: certificate, source }
        };
        for key in self.ending_in("key") {
            let certificate = key.with_extension("cert");
            if !self.files.contains(&certificate) {
                return Err(alone(certificate, format!("it is not there, and its key {} is", name(key))));
            }
        }
        let mut own: Option<ClientCertificateFiles> = None;
        for certificate in self.ending_in("cert") {
            let key = certificate.with_extension("key");
            if !self.files.contains(&key) {
                let told = format!("its key {} is not beside it; an authority's certificate is named NAME.crt", name(&key));
                return Err(alone(certificate.to_owned(), told));
            }
            if is_somebody_else_s(certificate) || is_somebody_else_s(&key) {
                continue;
            }
            if let Some(first) = own {
                let names = [name(&first.certificate), name(certificate)];
                return Err(ClientError::SeveralCertificates { folder: self.folder.clone(), names });
            }
            own = Some(ClientCertificateFiles { certificate: certificate.to_owned(), key });
        }
        Ok(own)
    }

    fn ending_in(&self, extension: &'static str) -> impl Iterator<Item = &Path> {
        self.files.iter().map(PathBuf::as_path).filter(move |file| file.extension().is_some_and(|own| own == extension))
    }
}

/// Whether a file may not be read by whoever asks.
fn is_somebody_else_s(file: &Path) -> bool {
    fs::File::open(file).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().display().to_string()
}

/// In the order of their names.
fn files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.take(MAX_FILES + 1);
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    if files.len() > MAX_FILES {
        return Err(io::Error::other(format!("there are more than {MAX_FILES} files")));
    }
    files.sort_unstable();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn url(text: &str) -> RegistryUrl {
        RegistryUrl::parse(text, false).expect("a registry")
    }

    /// Two folders with these files, and where they are.
    fn folders(files: &[&str]) -> (CertificateFolders, TempDir) {
        let place = TempDir::new().expect("a temporary folder");
        for file in files {
            let file = place.path().join(file);
            fs::create_dir_all(file.parent().expect("a folder")).expect("the folder is ours");
            fs::write(file, "").expect("the folder is ours");
        }
        (CertificateFolders::new(["own", "machine"].map(|name| place.path().join(name))), place)
    }

    fn found(files: &[&str], registry: &str) -> Vec<String> {
        let (folders, place) = folders(files);
        let found = folders.of(&url(registry)).expect("readable");
        let inside = |path: &Path| path.strip_prefix(place.path()).expect("inside").display().to_string();
        found.authorities().map(inside).collect()
    }

    #[test]
    fn are_those_of_podman_and_docker() {
        let of = |variables: &[(&str, &str)]| {
            let value = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
            CertificateFolders::of_environment(value).0.iter().map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        let machine = ["/etc/containers/certs.d", "/etc/docker/certs.d"];
        assert_eq!(of(&[]), machine);
        assert_eq!(
            of(&[("HOME", "/h")]),
            [&["/h/.config/containers/certs.d", "/h/.config/docker/certs.d"][..], &machine].concat()
        );
        let elsewhere = of(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]);
        assert_eq!(elsewhere[..2], ["/h/.config/containers/certs.d", "/x/docker/certs.d"]);
    }

    #[test]
    fn the_first_that_is_there_for_the_registry_is_read() {
        let files =
            ["own/a.example:5000/b.crt", "own/a.example:5000/a.crt", "own/a.example:5000/other", "machine/a.example:5000/m.crt"];
        assert_eq!(found(&files, "a.example:5000"), ["own/a.example:5000/a.crt", "own/a.example:5000/b.crt"]);
        assert_eq!(found(&files[3..], "A.example:5000"), ["machine/a.example:5000/m.crt"]);
        assert!(found(&files, "a.example").is_empty() && found(&files, "a.example:5001").is_empty());
        for named in ["own/a.example/c.crt", "own/a.example:443/c.crt"] {
            assert_eq!(found(&[named], "https://a.example"), [named]);
        }
        assert_eq!(found(&["machine/[::1]:5000/c.crt"], "https://[::1]:5000"), ["machine/[::1]:5000/c.crt"]);
        // Where a home is no folder there is nothing in it either.
        let (_, place) = folders(&["own"]);
        let none = CertificateFolders::new([place.path().join("own/certs.d")]).of(&url("a.example")).expect("nothing to read");
        assert!(none.authorities().next().is_none());
    }

    #[test]
    fn what_is_no_folder_is_told_of() {
        let (folders, _place) = folders(&["machine/a.example"]);
        let error = folders.of(&url("a.example")).expect_err("a file");
        assert!(matches!(&error, ClientError::CertificateFolder { path, .. } if path.ends_with("machine/a.example")), "{error}");
    }

    #[test]
    fn a_certificate_and_its_key_go_together() {
        let own = |names: &[&str]| {
            let files: Vec<String> = names.iter().map(|name| format!("own/a.example/{name}")).collect();
            let (folders, _place) = folders(&files.iter().map(String::as_str).collect::<Vec<_>>());
            folders.of(&url("a.example")).expect("readable").own()
        };
        let told = |names: &[&str]| match own(names).expect_err("something is missing") {
            ClientError::Certificate { path, source } => format!("{}: {source}", name(&path)),
            other => other.to_string(),
        };
        assert_eq!(own(&["ca.crt"]).expect("nothing is missing"), None);
        let both = own(&["ca.crt", "client.cert", "client.key"]).expect("nothing is missing").expect("a certificate");
        assert!(both.certificate.ends_with("own/a.example/client.cert") && both.key.ends_with("own/a.example/client.key"));
        assert!(told(&["client.cert", "other.key"]).starts_with("other.cert: it is not there, and its key other.key is"));
        assert!(told(&["client.cert"]).starts_with("client.cert: its key client.key is not beside it"));
        assert!(told(&["a.cert", "a.key", "b.cert", "b.key"]).contains("a.cert and b.cert"));
    }

    #[test]
    fn a_folder_is_read_up_to_a_bound() {
        let files: Vec<String> = (0..=MAX_FILES).map(|number| format!("own/a.example/{number}")).collect();
        let (folders, _place) = folders(&files.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(matches!(folders.of(&url("a.example")), Err(ClientError::CertificateFolder { .. })));
    }
}
