use std::path::PathBuf;

use clap::{
    Args,
    builder::{OsStringValueParser, TypedValueParser as _},
};
use longshore_client::{
    ClientError, ClientOptions, Credentials, Fault, FleetClient, FleetError, FleetOptions, KnownLogin, RegistryUrl, Terms,
};
use longshore_fleet::{
    Name,
    api::{Code, Problem},
};
use longshore_service::error_text::with_sources;

use super::{remembered, unless_empty::UnlessEmpty};
use crate::{
    connection::{credential_store, explained},
    failure::Failure,
};

/// The orchestrator that is asked where nobody says.
const USUAL: &str = "http://127.0.0.1:5300";

const WHERE: &str = "The orchestrator; without it, the one that `longshore login --orchestrator` remembers, or http://127.0.0.1:5300. Its \
    token, where no login is to be used, is in LONGSHORE_ORCHESTRATOR_TOKEN";

/// Which orchestrator to ask, and how to reach it.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Orchestrator and output")]
pub struct FleetConnection {
    #[arg(long, help = WHERE, value_name = "URL", env = "LONGSHORE_ORCHESTRATOR", hide_env_values = true)]
    orchestrator: Option<String>,
    /// Let plain HTTP leave this machine; a host without a scheme then means http
    #[arg(long)]
    plain_http: bool,
    /// A PEM file of certificate authorities to trust beside those of this machine
    #[arg(long, value_name = "FILE", env = "LONGSHORE_ORCHESTRATOR_CA_FILE", hide_env_values = true,
        value_parser = OsStringValueParser::new().map(PathBuf::from))]
    ca_file: Option<PathBuf>,
}

/// In which namespace.
#[derive(Args, Clone, Debug)]
pub struct NamespaceArguments {
    /// The namespace
    #[arg(short, long, value_name = "NAMESPACE", default_value = USUAL_NAMESPACE, env = "LONGSHORE_NAMESPACE", hide_env_values = true,
        value_parser = namespace)]
    pub namespace: Name,
}

/// The namespace where nobody says.
const USUAL_NAMESPACE: &str = "default";

impl Default for NamespaceArguments {
    fn default() -> Self {
        Self { namespace: usual_namespace() }
    }
}

fn usual_namespace() -> Name {
    USUAL_NAMESPACE.parse().unwrap_or_else(|_| unreachable!("it is a name"))
}

/// A namespace of an argument or of the environment, where nothing is as if it were not set.
fn namespace(text: &str) -> Result<Name, <Name as std::str::FromStr>::Err> {
    Ok(text.parse::<UnlessEmpty<Name>>()?.get().unwrap_or_else(usual_namespace))
}

/// When a change is made at all.
#[derive(Args, Clone, Copy, Debug)]
pub struct TermsArguments {
    /// Change nothing unless every pod of it has room now; fails with 6 where one has not
    #[arg(long)]
    if_fits: bool,
    /// Change nothing while a rollout goes on; fails with 5 then
    #[arg(long)]
    if_idle: bool,
}

impl TermsArguments {
    /// As they are sent.
    pub fn terms(self) -> Terms {
        Terms { if_idle: self.if_idle, if_fits: self.if_fits }
    }
}

impl FleetConnection {
    /// One that was told by another command's flags.
    pub fn to(orchestrator: Option<String>, plain_http: bool, ca_file: Option<PathBuf>) -> Self {
        Self { orchestrator, plain_http, ca_file }
    }

    fn orchestrator(&self) -> Option<&str> {
        self.orchestrator.as_deref().filter(|text| !text.is_empty())
    }

    fn ca_file(&self) -> Option<&PathBuf> {
        self.ca_file.as_ref().filter(|file| !file.as_os_str().is_empty())
    }

    /// The flags by which another command reaches the same one, each after a space.
    pub fn flags(&self) -> String {
        let at = self.orchestrator().map(|at| format!(" --orchestrator {at}")).unwrap_or_default();
        let plain_http = if self.plain_http { " --plain-http" } else { "" };
        let ca_file = self.ca_file().map(|file| format!(" --ca-file {}", file.display())).unwrap_or_default();
        format!("{at}{plain_http}{ca_file}")
    }

    /// Where it is.
    pub fn url(&self) -> Result<RegistryUrl, Failure> {
        let (text, place) = match (self.orchestrator(), remembered::orchestrator()) {
            (Some(text), _) => (text.to_owned(), "--orchestrator: "),
            (None, Some(text)) => (text, "what `longshore login` remembers: "),
            (None, None) => (USUAL.to_owned(), ""),
        };
        let told = |error: String| {
            error
                .replace("a registry's", "an orchestrator's")
                .replace("http://127.0.0.1:5000", USUAL)
                .replace("registry.example", "fleet.example")
        };
        RegistryUrl::parse(&text, self.plain_http).map_err(|error| Failure::Usage(format!("{place}{}", told(error.to_string()))))
    }

    /// A client for it.
    pub fn client(&self) -> Result<FleetClient, Failure> {
        let mut connection = ClientOptions::new(self.url()?);
        connection.credentials = variable("LONGSHORE_ORCHESTRATOR_TOKEN").map(Credentials::Bearer);
        connection.ca_file = self.ca_file().cloned();
        connection.allow_plain_http = self.plain_http;
        let options = FleetOptions { given: given(self.plain_http)?, kept: credential_store(), ..FleetOptions::new(connection) };
        FleetClient::new(options).map_err(|error| told(&error))
    }
}

/// A variable of the environment; none where nothing is in it.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The login that the environment has, as programs are given one, and the registry that it is for.
fn given(plain_http: bool) -> Result<Option<KnownLogin>, Failure> {
    let (Some(username), Some(password)) = (variable("LONGSHORE_REGISTRY_USERNAME"), variable("LONGSHORE_REGISTRY_PASSWORD"))
    else {
        return Ok(None);
    };
    let registry = variable("LONGSHORE_REGISTRY_URL").unwrap_or_else(|| "http://127.0.0.1:5000".to_owned());
    let registry = RegistryUrl::parse(&registry, plain_http);
    let registry = registry.map_err(|error| Failure::Usage(format!("LONGSHORE_REGISTRY_URL: {error}")))?;
    Ok(Some(KnownLogin { registry, credentials: Credentials::Basic { username, password } }))
}

/// What went wrong with an orchestrator, and what can be done about it.
pub fn told(error: &FleetError) -> Failure {
    match error {
        FleetError::Setup(error) => explained(error),
        FleetError::Unreachable { url, fault, .. } => Failure::Failed(format!("{error}; {}", remedy(url, fault))),
        FleetError::BrokenOff { .. } => Failure::Failed(format!("{error}; what was to come is missing, so ask again")),
        FleetError::Refused { problem, .. } => refused(error, problem),
        FleetError::Stranger { .. } => {
            Failure::Failed(format!("{error}; --orchestrator says where it is, and its port is 5300 unless it is told otherwise"))
        }
        FleetError::Login { registry, source } => match source.status() {
            Some(status) if matches!(status.as_u16(), 401 | 403) => {
                let name = registry.authority();
                Failure::Denied(format!("{}; log in with `longshore login {name} -u NAME`", with_sources(error)))
            }
            _ => Failure::Failed(format!("{error}: {}", login(source))),
        },
        FleetError::ForeignRealm { .. } => Failure::Denied(error.to_string()),
        FleetError::Malformed { .. } | FleetError::Kept { .. } => Failure::Failed(with_sources(error)),
    }
}

fn login(error: &ClientError) -> Failure {
    explained(error)
}

fn refused(error: &FleetError, problem: &Problem) -> Failure {
    let text = error.to_string();
    match problem.code {
        Code::NotFound | Code::ImageNotFound => Failure::NotFound(text),
        Code::WorkloadVersionConflict | Code::PreconditionRequired => {
            let now = problem.revision.map(|revision| format!("; it is at revision {revision} now")).unwrap_or_default();
            Failure::Conflict(format!("{text}{now}; look at it again, and repeat this if it is still what you want"))
        }
        Code::AlreadyExists | Code::RolloutInProgress | Code::InUse | Code::OperationIdReused => Failure::Conflict(text),
        Code::Invalid | Code::BadRequest | Code::TooLarge => Failure::Usage(text),
        Code::InsufficientCapacity | Code::QuotaExceeded => Failure::NoRoom(text),
        Code::ImageNotAllowed => Failure::Blocks(text),
        Code::Unauthorized => Failure::Denied(format!("{text}; say who asks with `longshore login REGISTRY -u NAME`")),
        Code::Forbidden => Failure::Denied(text),
        _ => Failure::Failed(text),
    }
}

/// What can be done where no orchestrator answers.
fn remedy(url: &RegistryUrl, fault: &Fault) -> String {
    let host = url.authority();
    match fault {
        Fault::ConnectionRefused if url.is_loopback() => {
            "is `longshore up` or `longshore orchestrator serve` running? --orchestrator says where it is".to_owned()
        }
        Fault::NotHttp => format!("try --orchestrator https://{host}"),
        Fault::NotTls => format!("try --orchestrator http://{host}"),
        Fault::UnknownAuthority => "--ca-file FILE trusts an authority of your own".to_owned(),
        Fault::Broken(_) if !url.is_https() => format!("where it speaks TLS, try --orchestrator https://{host}"),
        _ => "--orchestrator says where it is".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: Code, revision: Option<u64>) -> Failure {
        let url = RegistryUrl::parse(USUAL, false).expect("a URL");
        let problem = Problem { revision, ..Problem::new(code, "it is so") };
        told(&FleetError::Refused { url, problem: Box::new(problem), retry_after: None, request_id: None })
    }

    #[test]
    fn each_refusal_has_its_exit_code() {
        for (code, failure) in [
            (Code::NotFound, 4),
            (Code::ImageNotFound, 4),
            (Code::WorkloadVersionConflict, 5),
            (Code::AlreadyExists, 5),
            (Code::RolloutInProgress, 5),
            (Code::InsufficientCapacity, 6),
            (Code::QuotaExceeded, 6),
            (Code::Forbidden, 7),
            (Code::Unauthorized, 7),
            (Code::Invalid, 2),
            (Code::ImageNotAllowed, 3),
            (Code::ControlPlaneDegraded, 1),
            (Code::Unknown, 1),
        ] {
            assert_eq!(refusal(code, None).code(), failure, "{}", code.as_str());
        }
    }

    #[test]
    fn a_conflict_says_what_there_is_now() {
        let text = refusal(Code::WorkloadVersionConflict, Some(7)).to_string();
        assert!(text.starts_with("it is so (409_WORKLOAD_VERSION_CONFLICT); it is at revision 7 now; look"), "{text}");
    }

    #[test]
    fn another_command_reaches_the_same_one() {
        assert_eq!(FleetConnection::default().flags(), "");
        let other = FleetConnection::to(Some("o.example".to_owned()), true, Some("ca.pem".into()));
        assert_eq!(other.flags(), " --orchestrator o.example --plain-http --ca-file ca.pem");
        assert_eq!(other.url().expect("a URL").to_string(), "http://o.example");
        let empty = FleetConnection::to(Some(String::new()), false, Some(PathBuf::new()));
        assert_eq!(empty.flags(), "", "what is set to nothing is not set");
        assert!(empty.url().is_ok() && empty.client().is_ok());
        let wrong = FleetConnection::to(Some("a/b".to_owned()), false, None).url().expect_err("no URL").to_string();
        assert!(wrong.starts_with("--orchestrator: ") && wrong.contains("orchestrator's") && wrong.contains("5300"), "{wrong}");
    }
}
