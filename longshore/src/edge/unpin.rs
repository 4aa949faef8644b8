use std::io::{Write as _, stdout};

use clap::Args;

use super::{
    connection::{EdgeConnection, told},
    pin::OWNER,
    pinned::pinned,
};
use crate::{
    failure::Failure,
    output::{ByteCount, Format, JsonArray},
};

#[derive(Args)]
pub struct UnpinArguments {
    #[command(flatten)]
    connection: EdgeConnection,
    /// What to let go, as it was pinned
    #[arg(value_name = "IMAGE|DIGEST")]
    what: String,
    /// Whose pin it is
    #[arg(long, value_name = "NAME", default_value = OWNER)]
    owner: String,
}

impl UnpinArguments {
    /// Ends a pin; a program gets what it held.
    pub async fn run(self) -> Result<(), Failure> {
        let client = self.connection.client()?;
        let pins = client.unpin(&self.owner, &pinned(&self.what)).await.map_err(|error| told(&error))?;
        let mut out = stdout();
        match self.connection.output {
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
