use std::io::stdout;

use clap::Args;

use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    image::reference_or_latest,
    output::{Format, write_json},
    verdict,
};

#[derive(Args)]
pub struct ExplainArguments {
    /// The image: `alpine:3.20`, `alpine@sha256:…`; without tag or digest, its `latest`
    image: String,
    /// Who would pull it: an account, or `anonymous`; only an administrator may ask for others
    #[arg(long = "as", value_name = "SUBJECT")]
    subject: Option<String>,
}

impl ExplainArguments {
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let image = connection.parse(&self.image)?;
        let client = connection.client(Some(&image)).await?;
        let found = client.pull_verdict(&image.repository, &reference_or_latest(&image), self.subject.as_deref()).await;
        let found = found.map_err(|error| explained(&error))?;
        let mut out = stdout().lock();
        match connection.output {
            Format::Table => Ok(verdict::write(&mut out, &found)?),
            Format::Json => Ok(write_json(&mut out, &found)?),
        }
    }
}
