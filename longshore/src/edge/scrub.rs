use std::{
    io::{Write as _, stdout},
    time::Duration,
};

use clap::Args;

use super::connection::{EdgeConnection, told};
use crate::{
    failure::Failure,
    output::{ByteCount, Format, write_json},
};

/// The time between two questions whether it is done; shorter at first, for an edge that keeps little.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1)];

#[derive(Args)]
pub struct ScrubArguments {
    #[command(flatten)]
    connection: EdgeConnection,
    /// Only begin, and do not wait for what is found
    #[arg(long)]
    no_wait: bool,
}

impl ScrubArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let client = self.connection.client()?;
        let mut scrub = client.start_scrub().await.map_err(|error| told(&error))?;
        let [.., longest] = PAUSES;
        let mut pauses = PAUSES.into_iter();
        while scrub.is_running && !self.no_wait {
            tokio::time::sleep(pauses.next().unwrap_or(longest)).await;
            scrub = client.scrub().await.map_err(|error| told(&error))?;
        }
        let mut out = stdout();
        match self.connection.output {
            Format::Json => write_json(&mut out, &scrub)?,
            Format::Table if scrub.is_running => writeln!(out, "what is kept is being read again")?,
            Format::Table => {
                let read = ByteCount(scrub.read_bytes);
                writeln!(out, "read {} pieces again, {read}: {} damaged, and dropped", scrub.pieces, scrub.damaged)?;
            }
        }
        Ok(())
    }
}
