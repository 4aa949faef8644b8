use std::{fmt, path::PathBuf, time::Duration};

use clap::Args;
use longshore_client::{ClientError, ClientOptions, Credentials, EdgeClient, Fault, Refusal, RegistryClient, RegistryUrl};
use longshore_service::error_text::with_sources;

use crate::{connection::explained, failure::Failure, output::Format};

/// How long it is waited for an answer that takes no work, and that no upstream is asked for.
const QUICK: Duration = Duration::from_secs(10);
/// How long for the next word of what runs: longer than the 15 s after which an edge says that it is still at it.
const FOLLOWING: Duration = Duration::from_secs(20);

/// The edge that is asked where nobody says.
const USUAL: &str = "http://127.0.0.1:5100";
/// The node that is.
pub const USUAL_NODE: &str = "http://127.0.0.1:5200";

const WHERE: &str = "The edge: where it serves, or its admin listener. Its token, where it has one, is in LONGSHORE_EDGE_TOKEN";

/// What is asked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Cache {
    /// An edge.
    #[default]
    Edge,
    /// A node, which is one, too.
    Node,
}

impl Cache {
    /// What it is, in a word.
    fn kind(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Node => "node",
        }
    }

    /// One of them.
    fn one(self) -> &'static str {
        match self {
            Self::Edge => "an edge",
            Self::Node => "a node",
        }
    }

    /// What is said of a registry's URL, said of one of these.
    fn told_url(self, text: &str) -> String {
        let (of, usual) = match self {
            Self::Edge => ("an edge's", USUAL),
            Self::Node => ("a node's", USUAL_NODE),
        };
        text.replace("a registry's", of).replace("http://127.0.0.1:5000", usual)
    }
}

impl fmt::Display for Cache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Edge => "the edge",
            Self::Node => "the node",
        })
    }
}

/// The flags by which a command is told whom to ask.
pub trait Connection: Args {
    /// The edge that is meant, or the node as the edge that it is.
    fn edge(self) -> EdgeConnection;
}

impl Connection for EdgeConnection {
    fn edge(self) -> EdgeConnection {
        self
    }
}

/// Which edge to ask, how to reach it, and how to show what it says.
#[derive(Args)]
#[command(next_help_heading = "Edge and output")]
pub struct EdgeConnection {
    #[arg(long, help = WHERE, value_name = "URL", default_value = USUAL, env = "LONGSHORE_EDGE_URL", hide_env_values = true)]
    at: String,
    /// Let plain HTTP leave this machine; a host without a scheme then means http
    #[arg(long)]
    plain_http: bool,
    /// A PEM file of certificate authorities to trust beside those of this machine
    #[arg(long, value_name = "FILE", env = "LONGSHORE_EDGE_CA_FILE", hide_env_values = true)]
    ca_file: Option<PathBuf>,
    /// How to print: a table for people, JSON for programs
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub output: Format,
    #[arg(skip)]
    cache: Cache,
}

impl EdgeConnection {
    /// One that was told by another command's flags.
    pub fn to(cache: Cache, at: String, plain_http: bool, ca_file: Option<PathBuf>, output: Format) -> Self {
        Self { at, plain_http, ca_file, output, cache }
    }

    /// The flags by which another command reaches the same edge, each after a space.
    pub fn flags(&self) -> String {
        let at = if self.at == USUAL { String::new() } else { format!(" --at {}", self.at) };
        let plain_http = if self.plain_http { " --plain-http" } else { "" };
        let ca_file = self.ca_file.as_ref().map(|file| format!(" --ca-file {}", file.display())).unwrap_or_default();
        format!("{at}{plain_http}{ca_file}")
    }

    /// What of it holds for whom else may be asked: how to print, whether plain HTTP may be, whom to trust.
    pub fn for_another(self) -> (Format, bool, Option<PathBuf>) {
        (self.output, self.plain_http, self.ca_file)
    }

    /// What it is.
    pub fn cache(&self) -> Cache {
        self.cache
    }

    /// What went wrong, and what can be done about it.
    pub fn told(&self, error: &ClientError) -> Failure {
        told_of(self.cache, error)
    }

    /// A client for what is answered at once, if at all.
    pub fn quick_client(&self) -> Result<EdgeClient, Failure> {
        self.client_within(Some(QUICK)).map(EdgeClient::new)
    }

    /// A client for work that tells how far it is.
    pub fn following_client(&self) -> Result<RegistryClient, Failure> {
        self.client_within(Some(FOLLOWING))
    }

    /// A client for the edge's own API.
    pub fn client(&self) -> Result<EdgeClient, Failure> {
        self.client_within(None).map(EdgeClient::new)
    }

    fn client_within(&self, patience: Option<Duration>) -> Result<RegistryClient, Failure> {
        let url = RegistryUrl::parse(&self.at, self.plain_http);
        let url = url.map_err(|error| Failure::Usage(format!("--at: {}", self.cache.told_url(&error.to_string()))))?;
        let mut options = ClientOptions::new(url);
        let token = std::env::var("LONGSHORE_EDGE_TOKEN").ok().filter(|token| !token.is_empty());
        options.credentials = token.map(Credentials::Bearer);
        options.ca_file.clone_from(&self.ca_file);
        options.allow_plain_http = self.plain_http;
        options.read_timeout = patience.unwrap_or(options.read_timeout);
        RegistryClient::new(options).map_err(|error| self.told(&error))
    }
}

/// What went wrong with an edge, and what can be done about it.
pub fn told(error: &ClientError) -> Failure {
    told_of(Cache::Edge, error)
}

fn told_of(cache: Cache, error: &ClientError) -> Failure {
    let kind = cache.kind();
    match error {
        ClientError::Unreachable { registry, fault, .. } => {
            Failure::Failed(format!("no {kind} answers at {registry}: {fault}; {}", remedy(registry, fault)))
        }
        ClientError::Refused { status, .. } if status.as_u16() == 401 => {
            Failure::Failed(format!("{error}; put the token into LONGSHORE_EDGE_TOKEN"))
        }
        ClientError::Refused { status, errors, .. } if status.as_u16() == 404 && errors.is_empty() => {
            Failure::Failed(format!("{error}; is it {} of longshore's?", cache.one()))
        }
        // A registry has no such path, and an edge has them all.
        ClientError::Refused { registry, status, errors, .. } if status.as_u16() == 404 && errors.iter().all(is_unsupported) => {
            Failure::Failed(format!("what answers at {registry} is no {kind}: {error}; --at says where {cache} is"))
        }
        // What speaks TLS says so to plain HTTP in words for people, if at all.
        ClientError::Refused { registry, status, errors, .. }
            if status.as_u16() == 400 && errors.is_empty() && !registry.is_https() =>
        {
            Failure::Failed(format!("{error}; where it speaks TLS, try --at https://{}", registry.authority()))
        }
        ClientError::Refused { .. } | ClientError::Malformed { .. } => Failure::Failed(with_sources(error)),
        _ => explained(error),
    }
}

fn is_unsupported(said: &Refusal) -> bool {
    said.code == "UNSUPPORTED"
}

/// What can be done where no edge answers.
fn remedy(registry: &RegistryUrl, fault: &Fault) -> String {
    let host = registry.authority();
    match fault {
        Fault::NotHttp => format!("try --at https://{host}"),
        Fault::NotTls => format!("try --at http://{host}"),
        Fault::UnknownAuthority => "--ca-file FILE trusts an authority of your own".to_owned(),
        Fault::TimedOut => "is it stopped, or too busy? --at says where it is".to_owned(),
        // The alert of one that speaks TLS may be lost with the connection.
        Fault::Broken(_) if !registry.is_https() => format!("where it speaks TLS, try --at https://{host}"),
        _ => "--at says where it is".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_to_try_where_no_edge_answers() {
        let at = |text: &str| RegistryUrl::parse(text, true).expect("a URL");
        let (plain, secure) = (at("http://127.0.0.1:5100"), at("https://127.0.0.1:5100"));
        assert_eq!(remedy(&plain, &Fault::NotHttp), "try --at https://127.0.0.1:5100");
        assert_eq!(remedy(&secure, &Fault::NotTls), "try --at http://127.0.0.1:5100");
        assert!(remedy(&plain, &Fault::Broken("cut".to_owned())).contains("https://127.0.0.1:5100"));
        assert_eq!(remedy(&secure, &Fault::Broken("cut".to_owned())), "--at says where it is");
    }

    #[test]
    fn a_registry_is_told_from_an_edge() {
        let refused = |status: u16, code: &str| ClientError::Refused {
            registry: RegistryUrl::parse("http://127.0.0.1:5000", false).expect("a URL"),
            status: status.try_into().expect("a status"),
            errors: vec![Refusal { code: code.to_owned(), message: "no".to_owned(), detail: serde_json::Value::Null }],
            request_id: None,
            retry_after: None,
            challenge: None,
        };
        assert!(told(&refused(404, "UNSUPPORTED")).to_string().contains("http://127.0.0.1:5000 is no edge"));
        assert_eq!(told(&refused(404, "BLOB_UNKNOWN")).to_string(), "no (BLOB_UNKNOWN)");
        let of_a_node = told_of(Cache::Node, &refused(404, "UNSUPPORTED")).to_string();
        assert!(of_a_node.contains("is no node") && of_a_node.contains("where the node is"), "{of_a_node}");
    }

    #[test]
    fn where_it_is_is_said_as_of_what_is_asked() {
        for (cache, kind, usual, other) in [(Cache::Edge, "an edge's", "5100", "node"), (Cache::Node, "a node's", "5200", "edge")]
        {
            let at = EdgeConnection::to(cache, "foo:bar".to_owned(), false, None, Format::Table);
            let Err(failure) = at.client() else { panic!("it is no URL") };
            let text = failure.to_string();
            assert!(matches!(failure, Failure::Usage(_)), "{text}");
            assert!(text.contains(kind) && text.contains(usual) && !text.contains(other) && !text.contains("5000,"), "{text}");
        }
    }

    #[test]
    fn another_command_reaches_the_same_edge() {
        let usual =
            EdgeConnection { at: USUAL.to_owned(), plain_http: false, ca_file: None, output: Format::Table, cache: Cache::Edge };
        assert_eq!(usual.flags(), "");
        let other = EdgeConnection { at: "edge.example".to_owned(), plain_http: true, ca_file: Some("ca.pem".into()), ..usual };
        assert_eq!(other.flags(), " --at edge.example --plain-http --ca-file ca.pem");
    }
}
