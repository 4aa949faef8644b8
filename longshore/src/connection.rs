use std::path::PathBuf;

use clap::Args;
use longshore_client::{
    CertificateFolders, ClientCertificateFiles, ClientError, ClientOptions, CredentialStore, Credentials, Fault, ImageReference,
    RegistryClient, RegistryUrl,
};
use longshore_service::error_text::with_sources;

use crate::{failure::Failure, fleet::FleetConnection, output::Format};

const WHO_ASKS: &str = "Who asks, with the password in LONGSHORE_REGISTRY_PASSWORD, unless a token is in \
    LONGSHORE_REGISTRY_TOKEN; without either, who is logged in";

/// Which registry to ask, how to reach it, and how to show what it says.
#[derive(Args)]
#[command(next_help_heading = "Registry and output")]
pub struct ConnectionArguments {
    /// The registry; a host written in front of a repository takes its place
    #[arg(long, global = true, value_name = "URL", default_value = "http://127.0.0.1:5000")]
    #[arg(env = "LONGSHORE_REGISTRY_URL", hide_env_values = true)]
    registry: String,
    /// Let plain HTTP leave this machine; a host without a scheme then means http
    #[arg(long, global = true)]
    plain_http: bool,
    /// A PEM file of certificate authorities to trust beside those of this machine and of docker's certs.d
    #[arg(long, global = true, value_name = "FILE", env = "LONGSHORE_REGISTRY_CA_FILE", hide_env_values = true)]
    ca_file: Option<PathBuf>,
    /// A PEM file of a certificate that says who asks, for want of a login; without it, the one in docker's certs.d
    #[arg(long, global = true, value_name = "FILE", env = "LONGSHORE_REGISTRY_CLIENT_CERTIFICATE", hide_env_values = true)]
    client_certificate: Option<PathBuf>,
    /// A PEM file of the certificate's key
    #[arg(long, global = true, value_name = "FILE", env = "LONGSHORE_REGISTRY_CLIENT_KEY", hide_env_values = true)]
    client_key: Option<PathBuf>,
    #[arg(short, long, global = true, value_name = "NAME", help = WHO_ASKS)]
    #[arg(env = "LONGSHORE_REGISTRY_USERNAME", hide_env_values = true)]
    pub username: Option<String>,
    /// How to print: a table for people, JSON for programs
    #[arg(long, global = true, value_name = "FORMAT", default_value = "table")]
    pub output: Format,
}

impl ConnectionArguments {
    /// Reads a reference as these arguments have it.
    pub fn parse(&self, text: &str) -> Result<ImageReference, Failure> {
        ImageReference::parse(text, self.plain_http).map_err(|error| Failure::Usage(format!("{text:?}: {error}")))
    }

    /// The registry of this host or URL, or else that of the arguments.
    pub fn registry(&self, host: Option<&str>) -> Result<RegistryUrl, Failure> {
        let (text, place) = host.map_or((self.registry.as_str(), "--registry: "), |host| (host, ""));
        RegistryUrl::parse(text, self.plain_http).map_err(|error| Failure::Usage(format!("{place}{error}")))
    }

    /// An orchestrator's URL, whole, as these arguments have URLs.
    pub fn orchestrator(&self, text: String) -> Result<String, Failure> {
        FleetConnection::to(Some(text), self.plain_http, None).url().map(|url| url.to_string())
    }

    /// The registry named in front of an image, or else that of the arguments.
    pub fn registry_of(&self, image: &ImageReference) -> Result<RegistryUrl, Failure> {
        image.registry.clone().map_or_else(|| self.registry(None), Ok)
    }

    /// A client for the registry named in front of an image, or else for the one of the arguments.
    ///
    /// Credentials that the arguments have are for the latter, and go to no other that a reference happens to name. Those that
    /// docker keeps are for the registry that they were given to, whichever names it, and count before a certificate.
    pub async fn client(&self, image: Option<&ImageReference>) -> Result<RegistryClient, Failure> {
        let own = self.registry(None)?;
        let registry = image.and_then(|image| image.registry.clone()).unwrap_or_else(|| own.clone());
        let given = if registry == own { self.credentials()? } else { None };
        let credentials = match given {
            Some(credentials) => Some(credentials),
            None => kept(&registry).await,
        };
        self.client_as(registry, credentials)
    }

    /// A client for a registry, with these credentials and no others.
    pub fn client_as(&self, registry: RegistryUrl, credentials: Option<Credentials>) -> Result<RegistryClient, Failure> {
        let certificate = if registry == self.registry(None)? { self.certificate()? } else { None };
        let mut options = ClientOptions::new(registry);
        options.certificate = certificate;
        options.certificate_folders = CertificateFolders::of_environment(|name| std::env::var_os(name));
        options.credentials = credentials;
        options.ca_file.clone_from(&self.ca_file);
        options.allow_plain_http = self.plain_http;
        RegistryClient::new(options).map_err(|error| explained(&error))
    }

    /// The certificate that the arguments have, which is for the registry that they have.
    fn certificate(&self) -> Result<Option<ClientCertificateFiles>, Failure> {
        match (&self.client_certificate, &self.client_key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => {
                Ok(Some(ClientCertificateFiles { certificate: certificate.clone(), key: key.clone() }))
            }
            _ => Err(Failure::Usage("--client-certificate and --client-key go together".to_owned())),
        }
    }

    fn credentials(&self) -> Result<Option<Credentials>, Failure> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if let Some(token) = variable("LONGSHORE_REGISTRY_TOKEN") {
            return Ok(Some(Credentials::Bearer(token)));
        }
        let Some(username) = self.username.clone() else { return Ok(None) };
        let password = variable("LONGSHORE_REGISTRY_PASSWORD").ok_or_else(|| {
            Failure::Usage(format!(
                "the password of {username} is missing; put it into LONGSHORE_REGISTRY_PASSWORD, or log in once with `longshore \
                 login` and leave the name out"
            ))
        })?;
        Ok(Some(Credentials::Basic { username, password }))
    }
}

/// Where docker keeps credentials on this machine.
pub fn credential_store() -> Option<CredentialStore> {
    CredentialStore::of_environment(|name| std::env::var_os(name))
}

/// What docker keeps for a registry. Many registries ask nobody who they are, so a store that can't be used is told of, and is
/// no reason to stop.
async fn kept(registry: &RegistryUrl) -> Option<Credentials> {
    let found = credential_store()?.get(registry).await;
    found.unwrap_or_else(|error| {
        eprintln!("longshore: going on without credentials: {}", with_sources(&error));
        None
    })
}

/// What went wrong with a registry, and what can be done about it.
pub fn explained(error: &ClientError) -> Failure {
    match error {
        ClientError::PlainHttp(_) => Failure::Usage(format!("{error}; add --plain-http if it may be")),
        ClientError::Authorities { .. } | ClientError::Certificate { .. } | ClientError::CertificateFolder { .. } => {
            Failure::Usage(with_sources(error))
        }
        ClientError::SeveralCertificates { .. } => {
            Failure::Usage(format!("{error}; say which with --client-certificate and --client-key"))
        }
        ClientError::Setup(_) => Failure::Failed(with_sources(error)),
        ClientError::Unreachable { registry, fault, .. } => Failure::Failed(format!("{error}{}", remedy(registry, fault))),
        ClientError::Refused { registry, status, .. } if status.as_u16() == 401 => {
            Failure::Failed(format!("{error}; say who asks with `longshore login {} -u NAME`", registry.authority()))
        }
        ClientError::Refused { status, errors, .. } if status.as_u16() == 404 && errors.is_empty() => {
            Failure::Failed(format!("{error}; is it a registry of longshore's?"))
        }
        _ => Failure::Failed(error.to_string()),
    }
}

fn remedy(registry: &RegistryUrl, fault: &Fault) -> String {
    let other_scheme = |scheme: &str| format!("; try {scheme}://{}", registry.authority());
    match fault {
        Fault::ConnectionRefused if registry.is_loopback() => "; is `longshore up` running?".to_owned(),
        Fault::ConnectionRefused | Fault::UnknownHost => "; are the host and the port right?".to_owned(),
        Fault::UnknownAuthority => {
            format!("; --ca-file FILE trusts an authority of your own, as {}/ca.crt does", folder(registry))
        }
        Fault::NoCertificate => format!("; {}", certificate_shown_by(registry)),
        // Its reason may be lost with the connection.
        Fault::Broken(_) if registry.is_https() => {
            let shown_by = certificate_shown_by(registry);
            format!("; where it serves nobody without a client certificate, {shown_by}")
        }
        Fault::NotTls => other_scheme("http"),
        Fault::NotHttp => other_scheme("https"),
        Fault::TimedOut | Fault::Certificate(_) | Fault::CertificateRefused(_) | Fault::Broken(_) => String::new(),
    }
}

fn certificate_shown_by(registry: &RegistryUrl) -> String {
    let folder = folder(registry);
    format!("--client-certificate FILE and --client-key FILE show one, as {folder}/client.cert and client.key do")
}

/// Where docker's daemon has the certificates of a registry.
fn folder(registry: &RegistryUrl) -> String {
    format!("/etc/docker/certs.d/{}", registry.authority())
}
