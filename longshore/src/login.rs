//! `longshore login` and `longshore logout`: who somebody is at a registry, kept where docker keeps it.

use std::io::stdout;

use clap::Args;
use longshore_client::{ClientError, CredentialStore, CredentialStoreError, Credentials, LoginSecret, RegistryUrl};
use longshore_service::error_text::with_sources;
use serde::Serialize;

use crate::{
    connection::{ConnectionArguments, credential_store, explained},
    failure::Failure,
    fleet,
    output::{Format, write_json},
    password::PasswordArguments,
};

/// `longshore login`.
#[derive(Args)]
pub struct LoginArguments {
    /// The registry, as docker has it: `localhost:5000`; without one, that of --registry
    #[arg(value_name = "REGISTRY")]
    host: Option<String>,
    /// Remember that this orchestrator goes with the login: commands that name none ask it
    #[arg(long, value_name = "URL")]
    orchestrator: Option<String>,
    #[command(flatten)]
    password: PasswordArguments,
    #[command(flatten)]
    connection: ConnectionArguments,
}

/// `longshore logout`.
#[derive(Args)]
pub struct LogoutArguments {
    /// The registry, as docker has it: `localhost:5000`; without one, that of --registry
    #[arg(value_name = "REGISTRY")]
    host: Option<String>,
    #[command(flatten)]
    connection: ConnectionArguments,
}

/// A login as a program gets it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Login<'a> {
    registry: &'a str,
    username: &'a str,
    /// Whether a session's token is kept, and not the password.
    is_session: bool,
}

/// A logout as a program gets it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Logout<'a> {
    registry: &'a str,
    was_logged_in: bool,
}

impl LoginArguments {
    /// Keeps nothing that the registry does not take, and no password where the registry gives a session in its place.
    pub async fn run(self) -> Result<(), Failure> {
        let Self { host, orchestrator, password, connection } = self;
        let registry = connection.registry(host.as_deref())?;
        let orchestrator = orchestrator.map(|url| connection.orchestrator(url)).transpose()?;
        let name = registry.authority();
        let missing = || Failure::Usage(format!("who logs in? `longshore login {name} -u NAME`"));
        let username = connection.username.clone().ok_or_else(missing)?;
        let store = store()?;
        let password = password.ask(&format!("Password of {username} at {name}: "))?;
        let credentials = Credentials::Basic { username: username.clone(), password: password.reveal().to_owned() };
        let client = connection.client_as(registry.clone(), Some(credentials))?;
        let session = client.log_in().await.map_err(|error| not_taken(&error))?;
        let secret = session.map_or(LoginSecret::Password(password), LoginSecret::Session);
        let kept_in = store.store(&registry, &username, &secret).await.map_err(|error| not_usable(&error))?;
        if let Some(orchestrator) = &orchestrator {
            let kept = fleet::remember(orchestrator, name);
            kept.map_err(|error| Failure::Failed(format!("logged in, but {orchestrator} can't be remembered: {error}")))?;
        }
        let (is_session, what) = match secret {
            LoginSecret::Password(_) => (false, "the password"),
            LoginSecret::Session(_) => (true, "the token of a session"),
        };
        match connection.output {
            Format::Table => {
                eprintln!("longshore: logged in to {name} as {username}; {what} is kept {kept_in}");
                if let Some(url) = &orchestrator {
                    eprintln!("longshore: {url} is the orchestrator from now on");
                }
                other_name(&registry).iter().filter(|_| host.is_none()).for_each(|told| eprintln!("longshore: {told}"));
            }
            Format::Json => write_json(&mut stdout(), &Login { registry: name, username: &username, is_session })?,
        }
        Ok(())
    }
}

impl LogoutArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let registry = self.connection.registry(self.host.as_deref())?;
        let was_logged_in = store()?.erase(&registry).await.map_err(|error| not_usable(&error))?;
        let name = registry.authority();
        fleet::forget(name).map_err(|error| Failure::Failed(format!("its orchestrator can't be forgotten: {error}")))?;
        match self.connection.output {
            Format::Table if was_logged_in => eprintln!("longshore: logged out of {name}"),
            Format::Table => eprintln!("longshore: nobody was logged in to {name}"),
            Format::Json => write_json(&mut stdout(), &Logout { registry: name, was_logged_in })?,
        }
        Ok(())
    }
}

fn store() -> Result<CredentialStore, Failure> {
    let missing = || Failure::Usage("there is no folder to keep a login in; set HOME or DOCKER_CONFIG".to_owned());
    credential_store().ok_or_else(missing)
}

/// What there is to know of a login to this machine by its address: docker looks for the name that an image's name begins with.
fn other_name(registry: &RegistryUrl) -> Option<String> {
    let (name, port) = (registry.authority(), registry.as_url().port()?);
    let other = format!("localhost:{port}");
    let told = format!("docker finds it for images named {name}/...; for {other}/... run `longshore login {other}`");
    (registry.is_loopback() && name != other).then_some(told)
}

fn not_taken(error: &ClientError) -> Failure {
    match error.status() {
        Some(status) if status.as_u16() == 401 => Failure::Failed(format!("{error}; are the name and the password right?")),
        _ => explained(error),
    }
}

fn not_usable(error: &CredentialStoreError) -> Failure {
    Failure::Failed(with_sources(error))
}
