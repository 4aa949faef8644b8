use std::io::{BufWriter, Write as _, stdout};

use clap::Args;

use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Format, JsonArray},
};

const PAGE_SIZE: u32 = 1000;

#[derive(Args)]
pub struct TagsArguments {
    /// The repository: `alpine`, `localhost:5000/alpine`
    repository: String,
}

impl TagsArguments {
    /// One tag a line, or a JSON array of them.
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let image = connection.parse(&self.repository)?;
        if image.reference().is_some() {
            return Err(Failure::Usage(format!("image tags takes a repository, not {image}")));
        }
        let client = connection.client(Some(&image)).await?;
        let mut tags = client.tags(&image.repository, PAGE_SIZE);
        let mut out = BufWriter::new(stdout());
        let mut array = JsonArray::default();
        while let Some(page) = tags.next_page().await.map_err(|error| explained(&error))? {
            match connection.output {
                Format::Table => page.iter().try_for_each(|tag| writeln!(out, "{tag}"))?,
                Format::Json => array.write(&mut out, &page)?,
            }
            out.flush()?;
        }
        if connection.output == Format::Json {
            array.finish(&mut out)?;
        }
        Ok(out.flush()?)
    }
}
