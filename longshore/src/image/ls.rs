use std::io::{BufWriter, Write as _, stdout};

use clap::Args;
use jiff::Timestamp;
use longshore_client::{ImageSummary, Pages};

use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Age, ByteCount, Format, JsonArray, NOTHING, ShortDigest, Table},
};

/// How many images to ask for at a time: enough to keep the way there short, few enough to show the first ones soon.
const PAGE_SIZE: u32 = 200;

/// How many platforms a row names before it only counts them.
const SHOWN_PLATFORMS: usize = 3;

#[derive(Args)]
pub struct LsArguments {
    /// Only this repository's images: `alpine`, `localhost:5000/alpine`
    repository: Option<String>,
    /// List no more than so many
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Show digests in full
    #[arg(long)]
    no_trunc: bool,
}

impl LsArguments {
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let image = self.repository.as_deref().map(|text| connection.parse(text)).transpose()?;
        if let Some(image) = image.as_ref().filter(|image| image.reference().is_some()) {
            return Err(Failure::Usage(format!(
                "image ls takes a repository, not {image}; `longshore image inspect {image}` shows one image, \
                 and --registry names a registry"
            )));
        }
        let client = connection.client(image.as_ref()).await?;
        let page_size = self.limit.map_or(PAGE_SIZE, |limit| limit.min(PAGE_SIZE));
        let images = client.images(image.as_ref().map(|image| &image.repository), page_size);
        match connection.output {
            Format::Table => {
                if self.write_table(images).await? == 0 {
                    let place = image.map(|image| format!("in {} ", image.repository)).unwrap_or_default();
                    eprintln!("longshore: no tagged images {place}at {}", client.registry());
                }
                Ok(())
            }
            Format::Json => self.write_json(images).await,
        }
    }

    /// Gives back how many images there were.
    async fn write_table(&self, mut images: Pages<'_, ImageSummary>) -> Result<usize, Failure> {
        let mut out = BufWriter::new(stdout());
        let mut table = Table::new(["REPOSITORY", "TAG", "DIGEST", "PLATFORMS", "SIZE", "SHARED", "PUSHED"]);
        let mut count = 0;
        while let Some(page) = self.next_page(&mut images, count).await? {
            let now = Timestamp::now();
            count += page.len();
            table.write(&mut out, page.into_iter().map(|image| self.row(image, now)).collect())?;
            out.flush()?;
        }
        Ok(count)
    }

    async fn write_json(&self, mut images: Pages<'_, ImageSummary>) -> Result<(), Failure> {
        let mut out = BufWriter::new(stdout());
        let mut array = JsonArray::default();
        let mut count = 0;
        while let Some(page) = self.next_page(&mut images, count).await? {
            count += page.len();
            array.write(&mut out, &page)?;
            out.flush()?;
        }
        array.finish(&mut out)?;
        Ok(out.flush()?)
    }

    /// The next page, cut to the limit; `None` when it is reached.
    async fn next_page(&self, images: &mut Pages<'_, ImageSummary>, count: usize) -> Result<Option<Vec<ImageSummary>>, Failure> {
        let room = self.limit.map(|limit| (limit as usize).saturating_sub(count));
        if room == Some(0) {
            return Ok(None);
        }
        let mut page = images.next_page().await.map_err(|error| explained(&error))?;
        if let (Some(page), Some(room)) = (page.as_mut(), room) {
            page.truncate(room);
        }
        Ok(page)
    }

    fn row(&self, image: ImageSummary, now: Timestamp) -> [String; 7] {
        let digest = ShortDigest { digest: &image.digest, is_whole: self.no_trunc };
        [
            image.repository,
            image.tag,
            digest.to_string(),
            shown_platforms(&image.platforms),
            ByteCount(image.size_bytes).to_string(),
            ByteCount(image.shared_bytes).to_string(),
            Age::at(now, image.pushed_at).to_string(),
        ]
    }
}

/// `linux/amd64,linux/arm64`; the first few and a count where there are many.
fn shown_platforms(platforms: &[String]) -> String {
    if platforms.is_empty() {
        return NOTHING.to_owned();
    }
    let shown = &platforms[..platforms.len().min(SHOWN_PLATFORMS)];
    let more = match platforms.len() - shown.len() {
        0 => String::new(),
        count => format!(",+{count}"),
    };
    shown.join(",") + &more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_a_few_platforms_and_counts_the_rest() {
        let platforms = ["linux/amd64", "linux/arm/v7", "linux/arm64", "linux/s390x"].map(str::to_owned);
        assert_eq!(shown_platforms(&[]), "-");
        assert_eq!(shown_platforms(&platforms[..1]), "linux/amd64");
        assert_eq!(shown_platforms(&platforms), "linux/amd64,linux/arm/v7,linux/arm64,+1");
    }
}
