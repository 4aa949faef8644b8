//! `longshore login` and `longshore logout`: who somebody is at a registry, kept where docker keeps it.

use std::io::stdout;

use clap::Args;
use longshore_client::{ClientError, CredentialStore, CredentialStoreError, Credentials};
use serde::Serialize;

use crate::{
    connection::{ConnectionArguments, credential_store, explained},
    failure::{Failure, with_sources},
    output::{Format, write_json},
    password::PasswordArguments,
};

/// `longshore login`.
#[derive(Args)]
pub struct LoginArguments {
    /// The registry, as docker has it: `localhost:5000`; without one, that of --registry
    #[arg(value_name = "REGISTRY")]
    host: Option<String>,
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
}

/// A logout as a program gets it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Logout<'a> {
    registry: &'a str,
    was_logged_in: bool,
}

impl LoginArguments {
    /// Keeps nothing that the registry does not take.
    pub async fn run(self) -> Result<(), Failure> {
        let Self { host, password, connection } = self;
        let registry = connection.registry(host.as_deref())?;
        let name = registry.authority();
        let missing = || Failure::Usage(format!("who logs in? `longshore login {name} -u NAME`"));
        let username = connection.username.clone().ok_or_else(missing)?;
        let store = store()?;
        let password = password.ask(&format!("Password of {username} at {name}: "))?;
        let credentials = Credentials::Basic { username: username.clone(), password: password.reveal().to_owned() };
        let client = connection.client_as(registry.clone(), Some(credentials))?;
        client.check_credentials().await.map_err(|error| not_taken(&error))?;
        let kept = store.store(&registry, &username, password.reveal()).await;
        let kept_in = kept.map_err(|error| not_usable(&error))?;
        match connection.output {
            Format::Table => eprintln!("longshore: logged in to {name} as {username}; the password is kept {kept_in}"),
            Format::Json => write_json(&mut stdout(), &Login { registry: name, username: &username })?,
        }
        Ok(())
    }
}

impl LogoutArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let registry = self.connection.registry(self.host.as_deref())?;
        let was_logged_in = store()?.erase(&registry).await.map_err(|error| not_usable(&error))?;
        let name = registry.authority();
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

fn not_taken(error: &ClientError) -> Failure {
    match error.status() {
        Some(status) if status.as_u16() == 401 => Failure::Failed(format!("{error}; are the name and the password right?")),
        _ => explained(error),
    }
}

fn not_usable(error: &CredentialStoreError) -> Failure {
    Failure::Failed(with_sources(error))
}
