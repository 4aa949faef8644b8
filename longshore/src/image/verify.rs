use std::io::stdout;

use clap::Args;

use super::inspect::reference_or_latest;
use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Format, write_json},
    verdict,
};

#[derive(Args)]
pub struct VerifyArguments {
    /// The image: `alpine:3.20`, `alpine@sha256:…`; without tag or digest, its `latest`
    image: String,
}

impl VerifyArguments {
    /// Fails where a policy is not satisfied, even if the caller may pull the image all the same.
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let image = connection.parse(&self.image)?;
        let client = connection.client(Some(&image)).await?;
        let found = client.pull_verdict(&image.repository, &reference_or_latest(&image), None).await;
        let found = found.map_err(|error| explained(&error))?;
        let mut out = stdout().lock();
        match connection.output {
            Format::Table => verdict::write(&mut out, &found)?,
            Format::Json => write_json(&mut out, &found)?,
        }
        if found.policies.iter().all(|policy| policy.is_satisfied) {
            Ok(())
        } else {
            Err(Failure::Failed(format!("{image} does not satisfy every policy")))
        }
    }
}
