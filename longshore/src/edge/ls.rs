use std::{
    collections::BTreeMap,
    io::{BufWriter, Write as _, stdout},
};

use clap::Args;
use jiff::Timestamp;
use longshore_client::{EdgeBlob, EdgeClient, EdgePin};

use super::{
    connection::{EdgeConnection, told},
    time_left::TimeLeft,
};
use crate::{
    failure::Failure,
    output::{Age, ByteCount, Format, JsonArray, NOTHING, Table},
};

const PAGE_SIZE: u32 = 1000;

#[derive(Args)]
pub struct LsArguments {
    #[command(flatten)]
    connection: EdgeConnection,
    /// What is pinned, by whom, and why
    #[arg(long)]
    pins: bool,
}

impl LsArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let client = self.connection.client()?;
        if self.pins { list_pins(&client, self.connection.output).await } else { list(&client, self.connection.output).await }
    }
}

async fn list(client: &EdgeClient, output: Format) -> Result<(), Failure> {
    let mut blobs = client.blobs(PAGE_SIZE);
    let mut out = BufWriter::new(stdout());
    let mut table = Table::new(["DIGEST", "SIZE", "HERE", "USED", "PINNED BY"]);
    let mut array = JsonArray::default();
    while let Some(page) = blobs.next_page().await.map_err(|error| told(&error))? {
        let now = Timestamp::now();
        match output {
            Format::Table => table.write(&mut out, page.iter().map(|blob| row(blob, now)).collect())?,
            Format::Json => array.write(&mut out, &page)?,
        }
        out.flush()?;
    }
    if output == Format::Json {
        array.finish(&mut out)?;
    }
    Ok(out.flush()?)
}

/// The digest is whole: it is what evict and pin take.
fn row(blob: &EdgeBlob, now: Timestamp) -> [String; 5] {
    let here = here(Some(blob.present_bytes), blob.size_bytes);
    let pinned_by = if blob.pinned_by.is_empty() { NOTHING.to_owned() } else { blob.pinned_by.join(", ") };
    [blob.digest.to_string(), ByteCount(blob.size_bytes).to_string(), here, Age::at(now, blob.used_at).to_string(), pinned_by]
}

fn here(present_bytes: Option<u64>, size_bytes: u64) -> String {
    match present_bytes {
        None => NOTHING.to_owned(),
        Some(present_bytes) if present_bytes >= size_bytes => "all".to_owned(),
        Some(present_bytes) => ByteCount(present_bytes).to_string(),
    }
}

async fn list_pins(client: &EdgeClient, output: Format) -> Result<(), Failure> {
    let pins = client.pins().await.map_err(|error| told(&error))?;
    let mut out = BufWriter::new(stdout());
    match output {
        Format::Table => {
            let mut table = Table::new(["OWNER", "PINNED", "PARTS", "SIZE", "HERE", "ENDS", "REASON"]);
            table.write(&mut out, pin_rows(&pins, Timestamp::now()))?;
        }
        Format::Json => {
            let mut array = JsonArray::default();
            array.write(&mut out, &pins)?;
            array.finish(&mut out)?;
        }
    }
    Ok(out.flush()?)
}

/// A row an image, or a blob that was pinned by itself.
fn pin_rows(pins: &[EdgePin], now: Timestamp) -> Vec<[String; 7]> {
    let mut rows: BTreeMap<(&str, &str), Vec<&EdgePin>> = BTreeMap::new();
    for pin in pins {
        let what = pin.image.as_deref().unwrap_or(pin.digest.as_str());
        rows.entry((&pin.owner, what)).or_default().push(pin);
    }
    let row = |((owner, what), parts): ((&str, &str), Vec<&EdgePin>)| {
        let size_bytes = parts.iter().map(|pin| pin.size_bytes).sum();
        let here = here(parts.iter().map(|pin| pin.present_bytes).sum(), size_bytes);
        let ends = parts.iter().filter_map(|pin| pin.expires_at).min();
        let ends = ends.map_or_else(|| "never".to_owned(), |end| TimeLeft::at(now, end).to_string());
        let reason = parts.first().map(|pin| pin.reason.clone()).filter(|reason| !reason.is_empty());
        let reason = reason.unwrap_or_else(|| NOTHING.to_owned());
        [owner.to_owned(), what.to_owned(), parts.len().to_string(), ByteCount(size_bytes).to_string(), here, ends, reason]
    };
    rows.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use longshore_oci::{Algorithm, Digest};

    use super::*;

    #[test]
    fn a_blob_is_there_in_part_or_whole() {
        let now: Timestamp = "2026-06-01T12:00:00Z".parse().expect("a time");
        let digest = Digest::of(Algorithm::Sha256, b"");
        let mut blob =
            EdgeBlob { digest: digest.clone(), size_bytes: 3 << 20, present_bytes: 1 << 20, used_at: now, pinned_by: Vec::new() };
        assert_eq!(row(&blob, now), [digest.as_str(), "3.0 MiB", "1.0 MiB", "0 s ago", "-"]);
        (blob.present_bytes, blob.pinned_by) = (3 << 20, vec!["prewarm".to_owned(), "ops".to_owned()]);
        assert_eq!(row(&blob, now)[2..], ["all", "0 s ago", "prewarm, ops"]);
    }

    #[test]
    fn the_parts_of_an_image_are_one_row() {
        let now: Timestamp = "2026-06-01T12:00:00Z".parse().expect("a time");
        let pin = |image: Option<&str>, content: &str| EdgePin {
            owner: "prewarm".to_owned(),
            reason: "May".to_owned(),
            image: image.map(str::to_owned),
            digest: Digest::of(Algorithm::Sha256, content.as_bytes()),
            size_bytes: 512,
            present_bytes: Some(if image.is_some() { 512 } else { 100 }),
            created_at: now,
            expires_at: image.map(|_| "2026-06-08T11:00:00Z".parse().expect("a time")),
        };
        let rows = pin_rows(&[pin(Some("alpine:3"), "a"), pin(None, "a"), pin(Some("alpine:3"), "b")], now);
        assert_eq!(rows[0], ["prewarm", "alpine:3", "2", "1.0 KiB", "all", "6 d left", "May"]);
        assert_eq!((rows.len(), &rows[1][3..6]), (2, &["512 B", "100 B", "never"].map(str::to_owned)[..]));
        let untold = EdgePin { present_bytes: None, ..pin(None, "a") };
        assert_eq!(pin_rows(&[untold], now)[0][3..6], ["512 B", "-", "never"]);
    }
}
