use std::io::{Write as _, stdout};

use clap::Args;
use longshore_client::NewRole;

use super::GrantArguments;
use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Format, JsonArray},
};

#[derive(Args)]
pub struct GrantVerb {
    /// An account's name, or `anonymous` for everybody who does not say who asks; of an issuer's callers `rule:ISSUER/RULE` or
    /// `group:ISSUER/GROUP`
    subject: String,
    #[command(flatten)]
    grants: GrantArguments,
}

impl GrantVerb {
    /// Grants one pattern after the other, and stops at the first that is refused; what is printed holds.
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let Self { subject, grants } = self;
        let grants = grants.grants();
        if grants.is_empty() {
            return Err(Failure::Usage(format!(
                "what may {subject} do? Say it with --pull, --push, --delete, --sign or --admin and a pattern of repositories, or with \
                 --view, --rollback, --deploy or --namespace-admin and a pattern of namespaces"
            )));
        }
        let client = connection.client(None).await?;
        let mut out = stdout();
        let mut array = JsonArray::default();
        let mut outcome = Ok(());
        for grant in grants {
            match client.grant_role(&NewRole { subject: subject.clone(), grant }).await {
                Ok(role) if connection.output == Format::Json => array.write(&mut out, &[role])?,
                Ok(role) => writeln!(out, "{}: {} may {}", role.id, role.subject, role.grant)?,
                Err(error) => {
                    outcome = Err(explained(&error));
                    break;
                }
            }
        }
        if connection.output == Format::Json {
            array.finish(&mut out)?;
        }
        outcome
    }
}
