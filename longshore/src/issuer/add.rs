use std::{
    fs,
    io::stdout,
    path::{Path, PathBuf},
};

use clap::Args;
use longshore_client::IssuerTrust;
use longshore_service::config::Duration;
use serde_json::Value;

use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Format, write_json},
};

#[derive(Args)]
pub struct AddArguments {
    /// What roles will name the issuer by: `github`
    name: String,
    /// The issuer's URL, to the letter what its tokens say in `iss`
    #[arg(long)]
    url: String,
    /// Whom its tokens are to be for: what they say in `aud`; one of these
    #[arg(long = "audience", required = true, value_name = "AUDIENCE")]
    audiences: Vec<String>,
    /// Where its keys are, if not where its discovery document says
    #[arg(long, value_name = "URL", conflicts_with = "jwks")]
    jwks_url: Option<String>,
    /// A file of its keys, a JSON Web Key Set, of an issuer that the registry can't reach
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// A PEM file of the authorities that vouch for its server, in place of those of the registry's machine
    #[arg(long, value_name = "FILE")]
    issuer_ca_file: Option<PathBuf>,
    /// The claim that has its callers' groups, `groups` without it
    #[arg(long, value_name = "CLAIM")]
    groups_claim: Option<String>,
    /// How long a login lasts though its token ends: `30m`; an hour without it
    #[arg(long, value_name = "DURATION")]
    session: Option<Duration>,
}

impl AddArguments {
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let (name, trust) = (self.name.clone(), self.trust()?);
        let client = connection.client(None).await?;
        let issuer = client.create_issuer(&name, &trust).await.map_err(|error| explained(&error))?;
        match connection.output {
            Format::Table => {
                let next = format!("longshore issuer allow {name} RULE --claim CLAIM=PATTERN --push 'team/*'");
                eprintln!("longshore: the tokens of {} are taken, and nobody has a role by them yet\n  {next}", trust.url);
            }
            Format::Json => write_json(&mut stdout(), &issuer)?,
        }
        Ok(())
    }

    /// What is asked for, with what its files hold.
    fn trust(self) -> Result<IssuerTrust, Failure> {
        let mut trust = IssuerTrust::discovered(self.url, self.audiences);
        trust.jwks_url = self.jwks_url;
        trust.groups_claim = self.groups_claim;
        trust.session_seconds = self.session.map(seconds).transpose()?;
        trust.ca_certificates = self.issuer_ca_file.map(|file| read(&file)).transpose()?;
        if let Some(file) = self.jwks {
            let keys: Value = serde_json::from_str(&read(&file)?)
                .map_err(|error| Failure::Usage(format!("{} is no JSON Web Key Set: {error}", file.display())))?;
            trust.jwks = Some(keys);
        }
        Ok(trust)
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    fs::read_to_string(file).map_err(|error| Failure::Usage(format!("{} can't be read: {error}", file.display())))
}

/// A session is so many whole seconds.
fn seconds(session: Duration) -> Result<u64, Failure> {
    let milliseconds = session.as_milliseconds();
    if milliseconds.is_multiple_of(1000) {
        Ok(milliseconds / 1000)
    } else {
        Err(Failure::Usage(format!("--session: {session} is not a number of whole seconds")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_in_seconds() {
        let of = |text: &str| seconds(text.parse().expect("a duration"));
        assert_eq!(of("1h").expect("seconds"), 3600);
        assert!(matches!(of("1500ms"), Err(Failure::Usage(_))));
    }
}
