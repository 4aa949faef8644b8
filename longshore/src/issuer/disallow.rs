use std::io::{Write as _, stdout};

use clap::Args;

use super::change::change;
use crate::{
    connection::ConnectionArguments,
    failure::Failure,
    output::{Format, write_json},
};

#[derive(Args)]
pub struct DisallowArguments {
    /// The issuer's name
    issuer: String,
    /// The rule's
    rule: String,
}

impl DisallowArguments {
    /// A program gets the rule as it last was.
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let Self { issuer, rule } = self;
        let client = connection.client(None).await?;
        let mut removed = None;
        change(&client, &issuer, |trust| {
            let Some(place) = trust.rules.iter().position(|there| there.name == rule) else {
                return Err(Failure::Failed(format!(
                    "{issuer} has no rule {rule}; `longshore issuer show {issuer}` shows those there are"
                )));
            };
            removed = Some(trust.rules.remove(place));
            Ok(true)
        })
        .await?;
        let mut out = stdout();
        match connection.output {
            Format::Table => writeln!(out, "removed the rule {rule} of {issuer}, and its roles")?,
            Format::Json => write_json(&mut out, &removed)?,
        }
        Ok(())
    }
}
