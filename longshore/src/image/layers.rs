use std::io::stdout;

use clap::Args;
use longshore_client::{BlobDetail, ImageDetail, ManifestDetail};
use serde::Serialize;

use super::inspect::{counted, reference_or_latest};
use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{ByteCount, Format, JsonArray, NOTHING, ShortDigest, Table},
};

#[derive(Args)]
pub struct LayersArguments {
    /// The image: `alpine:3.20`, `alpine@sha256:…`, `localhost:5000/alpine`; without tag or digest, its `latest`
    image: String,
    /// Show digests in full
    #[arg(long)]
    no_trunc: bool,
}

/// A layer as a program gets it.
#[derive(Serialize)]
struct Layer<'a> {
    manifest: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<&'a str>,
    #[serde(flatten)]
    blob: &'a BlobDetail,
}

impl<'a> Layer<'a> {
    fn of(manifest: &'a ManifestDetail, blob: &'a BlobDetail) -> Self {
        Self { manifest: manifest.digest.as_str(), platform: manifest.platform.as_deref(), blob }
    }
}

impl LayersArguments {
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let image = connection.parse(&self.image)?;
        let client = connection.client(Some(&image)).await?;
        let detail = client.image(&image.repository, &reference_or_latest(&image)).await.map_err(|error| explained(&error))?;
        match connection.output {
            Format::Table => self.write_table(&detail),
            Format::Json => write_json(&detail),
        }
    }

    fn write_table(&self, detail: &ImageDetail) -> Result<(), Failure> {
        let row = |(manifest, layer): (&ManifestDetail, &BlobDetail)| {
            let digest = ShortDigest { digest: &layer.digest, is_whole: self.no_trunc };
            [
                manifest.platform.clone().unwrap_or_else(|| NOTHING.to_owned()),
                digest.to_string(),
                ByteCount(layer.size_bytes).to_string(),
                counted(layer.shared_with),
                layer.media_type.clone(),
            ]
        };
        let mut table = Table::new(["PLATFORM", "DIGEST", "SIZE", "SHARED WITH", "MEDIA TYPE"]);
        Ok(table.write(&mut stdout().lock(), layers(detail).map(row).collect())?)
    }
}

fn write_json(detail: &ImageDetail) -> Result<(), Failure> {
    let described = |(manifest, blob)| Layer::of(manifest, blob);
    let mut out = stdout().lock();
    let mut array = JsonArray::default();
    array.write(&mut out, &layers(detail).map(described).collect::<Vec<_>>())?;
    Ok(array.finish(&mut out)?)
}

/// The layers of an image's manifests, each manifest's lowest first.
fn layers(detail: &ImageDetail) -> impl Iterator<Item = (&ManifestDetail, &BlobDetail)> {
    detail.manifests.iter().flat_map(|manifest| manifest.layers.iter().map(move |layer| (manifest, layer)))
}
