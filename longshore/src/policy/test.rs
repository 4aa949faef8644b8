use std::io::stdout;

use clap::Args;
use longshore_client::TestedPlace;
use longshore_oci::Reference;

use super::{candidate::CandidateArguments, tested::Tested};
use crate::{
    connection::ConnectionArguments,
    failure::Failure,
    image::reference_or_latest,
    output::{Format, write_json},
};

#[derive(Args)]
pub struct TestArguments {
    #[command(flatten)]
    candidate: CandidateArguments,
    /// The images: `alpine:3.20`, `alpine@sha256:…`; without any, all tagged ones of which something is asked, now or then
    images: Vec<String>,
    /// Try it out in place of the file that the registry is configured with, instead of an applied document
    #[arg(long, conflicts_with = "name")]
    in_place_of_file: bool,
    /// Show only images to which something else happens than now
    #[arg(long, conflicts_with = "images")]
    changes: bool,
}

impl TestArguments {
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let place = if self.in_place_of_file { TestedPlace::File } else { TestedPlace::Applied(self.candidate.name()?) };
        let document = self.candidate.document()?;
        let images: Vec<_> = self.images.iter().map(|image| connection.parse(image)).collect::<Result<_, _>>()?;
        let registries: Vec<_> = images.iter().map(|image| connection.registry_of(image)).collect::<Result<_, _>>()?;
        if registries.windows(2).any(|two| two[0] != two[1]) {
            return Err(Failure::Usage("the images are of several registries; ask one after the other".to_owned()));
        }
        let client = connection.client(images.first()).await?;
        let names: Vec<String> = images
            .iter()
            .map(|image| match reference_or_latest(image) {
                Reference::Tag(tag) => format!("{}:{tag}", image.repository),
                Reference::Digest(digest) => format!("{}@{digest}", image.repository),
            })
            .collect();
        let tested = if names.is_empty() {
            Tested::on_all(&client, &document, &place, self.changes).await?
        } else {
            Tested::on(&client, &document, &place, &names).await?
        };
        let mut out = stdout().lock();
        match connection.output {
            Format::Table => tested.write(&mut out)?,
            Format::Json => write_json(&mut out, &tested.images)?,
        }
        tested.require_nothing_blocked()
    }
}
