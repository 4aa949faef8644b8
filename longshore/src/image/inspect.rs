use std::io::{self, Write, stdout};

use clap::Args;
use jiff::Timestamp;
use longshore_client::{BlobDetail, ImageDetail, ImageReference, ManifestDetail};
use longshore_oci::{Reference, Tag};

use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Age, ByteCount, Format, NOTHING, Table, write_json},
};

#[derive(Args)]
pub struct InspectArguments {
    /// The image: `alpine:3.20`, `alpine@sha256:…`, `localhost:5000/alpine`; without tag or digest, its `latest`
    image: String,
    /// Print the manifest itself, byte for byte as it was pushed
    #[arg(long)]
    manifest: bool,
}

impl InspectArguments {
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let image = connection.parse(&self.image)?;
        let client = connection.client(Some(&image)).await?;
        let reference = reference_or_latest(&image);
        let mut out = stdout().lock();
        if self.manifest {
            let manifest = client.manifest(&image.repository, &reference).await.map_err(|error| explained(&error))?;
            out.write_all(&manifest.content)?;
            return Ok(out.flush()?);
        }
        let detail = client.image(&image.repository, &reference).await.map_err(|error| explained(&error))?;
        match connection.output {
            Format::Table => write_detail(&mut out, &detail, Timestamp::now())?,
            Format::Json => write_json(&mut out, &detail)?,
        }
        Ok(())
    }
}

/// The tag or digest of a reference, or as docker has it the tag `latest`.
pub fn reference_or_latest(image: &ImageReference) -> Reference {
    let latest = || "latest".parse::<Tag>().expect("latest is a tag");
    image.reference().unwrap_or_else(|| Reference::Tag(latest()))
}

/// A count that a registry may not tell.
pub fn counted(count: Option<u64>) -> String {
    count.map_or_else(|| NOTHING.to_owned(), |count| count.to_string())
}

fn write_detail(out: &mut impl Write, detail: &ImageDetail, now: Timestamp) -> io::Result<()> {
    let tags = if detail.tags.is_empty() { NOTHING.to_owned() } else { detail.tags.join(", ") };
    let shared = ByteCount(detail.shared_bytes);
    let mut facts = vec![
        ["repository".to_owned(), detail.repository.clone()],
        ["digest".to_owned(), detail.digest.to_string()],
        ["media type".to_owned(), detail.media_type.clone()],
        ["tags".to_owned(), tags],
        ["size".to_owned(), format!("{}, {shared} of it shared with other images", ByteCount(detail.size_bytes))],
        ["pushed".to_owned(), format!("{}, {}", detail.pushed_at, Age::at(now, detail.pushed_at))],
    ];
    if let Some(artifact_type) = &detail.artifact_type {
        facts.insert(3, ["artifact type".to_owned(), artifact_type.clone()]);
    }
    Table::headless().write(out, facts)?;
    if !detail.manifests.is_empty() {
        writeln!(out)?;
        let mut table = Table::new(["PART", "PLATFORM", "DIGEST", "SIZE", "SHARED WITH", "MEDIA TYPE"]);
        table.write(out, detail.manifests.iter().flat_map(rows).collect())?;
    }
    Ok(())
}

/// A manifest, its configuration and its layers, a row each.
fn rows(manifest: &ManifestDetail) -> Vec<[String; 6]> {
    let platform = manifest.platform.clone().unwrap_or_else(|| NOTHING.to_owned());
    let blob = |kind: &str, blob: &BlobDetail| {
        [
            kind.to_owned(),
            platform.clone(),
            blob.digest.to_string(),
            ByteCount(blob.size_bytes).to_string(),
            counted(blob.shared_with),
            blob.media_type.clone(),
        ]
    };
    let itself = [
        "manifest".to_owned(),
        platform.clone(),
        manifest.digest.to_string(),
        ByteCount(manifest.size_bytes).to_string(),
        NOTHING.to_owned(),
        manifest.media_type.clone(),
    ];
    let config = manifest.config.iter().map(|config| blob("config", config));
    let layers = manifest.layers.iter().map(|layer| blob("layer", layer));
    std::iter::once(itself).chain(config).chain(layers).collect()
}
