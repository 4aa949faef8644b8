use std::io::{Write as _, stdout};

use clap::Args;

use super::{connection::Connection, pin::OWNER, pinned::pinned};
use crate::{
    failure::Failure,
    output::{ByteCount, Format, JsonArray},
};

#[derive(Args)]
pub struct UnpinArguments<C: Connection> {
    #[command(flatten)]
    connection: C,
    /// What to let go, as it was pinned
    #[arg(value_name = "IMAGE|DIGEST")]
    what: String,
    /// Whose pin it is
    #[arg(long, value_name = "NAME", default_value = OWNER)]
    owner: String,
}

impl<C: Connection> UnpinArguments<C> {
    /// Ends a pin; a program gets what it held.
    pub async fn run(self) -> Result<(), Failure> {
        let connection = self.connection.edge();
        let what = pinned(&self.what)?;
        let client = connection.client()?;
        let pins = client.unpin(&self.owner, &what).await.map_err(|error| connection.told(&error))?;
        let mut out = stdout();
        match connection.output {
            Format::Table => {
                let size = ByteCount(pins.iter().map(|pin| pin.size_bytes).sum());
                writeln!(out, "unpinned {}, {} parts of {size}", self.what, pins.len())?;
            }
            Format::Json => {
                let mut array = JsonArray::default();
                array.write(&mut out, &pins)?;
                array.finish(&mut out)?;
            }
        }
        Ok(())
    }
}
