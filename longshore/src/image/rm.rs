use std::io::{Write, stdout};

use clap::Args;
use longshore_client::{ClientError, ImageReference};
use longshore_oci::{Digest, Reference};
use serde::Serialize;

use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Format, JsonArray},
};

#[derive(Args)]
pub struct RmArguments {
    /// What to remove: `alpine:3.20` is the tag alone, `alpine@sha256:…` the manifest and every tag at it
    #[arg(required = true)]
    images: Vec<String>,
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
}

/// What was removed, or would be.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Removal {
    repository: String,
    /// Absent where a manifest was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    /// The manifest: what the tag was at, or what was removed.
    digest: Digest,
    /// The tags that went with the manifest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    is_dry_run: bool,
}

impl RmArguments {
    /// Removes one after the other. One that can't be removed is told of, and the rest are removed all the same.
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let images = self.images.iter().map(|text| parse(connection, text)).collect::<Result<Vec<_>, _>>()?;
        let mut out = stdout();
        let mut array = JsonArray::default();
        let mut failed_count = 0;
        for (image, reference) in &images {
            match self.remove(connection, image, reference).await {
                Ok(removal) if connection.output == Format::Json => array.write(&mut out, &[removal])?,
                Ok(removal) => writeln!(out, "{removal}")?,
                Err(failure) if images.len() == 1 || matches!(failure, Failure::Usage(_)) => return Err(failure),
                Err(failure) => {
                    eprintln!("longshore: {image}: {failure}");
                    failed_count += 1;
                }
            }
        }
        if connection.output == Format::Json {
            array.finish(&mut out)?;
        }
        if failed_count > 0 {
            return Err(Failure::Failed(format!("{failed_count} of {} could not be removed", images.len())));
        }
        Ok(())
    }

    async fn remove(
        &self,
        connection: &ConnectionArguments,
        image: &ImageReference,
        reference: &Reference,
    ) -> Result<Removal, Failure> {
        let failed = |error: ClientError| explained(&error);
        let client = connection.client(Some(image)).await?;
        // Looked at first: what the tag was at, and which tags the manifest takes along, is gone afterwards.
        let detail = client.image(&image.repository, reference).await.map_err(failed)?;
        if !self.dry_run {
            client.delete_manifest(&image.repository, reference).await.map_err(failed)?;
        }
        let (tag, tags) = match reference {
            Reference::Tag(tag) => (Some(tag.to_string()), Vec::new()),
            Reference::Digest(_) => (None, detail.tags),
        };
        Ok(Removal { repository: detail.repository, tag, digest: detail.digest, tags, is_dry_run: self.dry_run })
    }
}

/// Exactly one of tag and digest has to be written: a guess is no good ground for removing something.
fn parse(connection: &ConnectionArguments, text: &str) -> Result<(ImageReference, Reference), Failure> {
    let image = connection.parse(text)?;
    match (&image.tag, &image.digest) {
        (Some(tag), None) => Ok((image.clone(), Reference::Tag(tag.clone()))),
        (None, Some(digest)) => Ok((image.clone(), Reference::Digest(digest.clone()))),
        (None, None) => {
            Err(Failure::Usage(format!("{text} names neither tag nor digest; {text}:latest would remove the tag latest")))
        }
        (Some(_), Some(_)) => Err(Failure::Usage(format!("{text} names both tag and digest; which is to be removed?"))),
    }
}

impl std::fmt::Display for Removal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { repository, digest, .. } = self;
        let removed = if self.is_dry_run { "would remove" } else { "removed" };
        if let Some(tag) = &self.tag {
            return write!(formatter, "{removed} tag {repository}:{tag}, at {digest}");
        }
        write!(formatter, "{removed} {repository}@{digest}")?;
        if self.tags.is_empty() { Ok(()) } else { write!(formatter, " and its tags {}", self.tags.join(", ")) }
    }
}
