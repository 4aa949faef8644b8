use std::io::{Write as _, stdout};

use clap::Args;
use longshore_oci::Digest;

use super::connection::{EdgeConnection, told};
use crate::{
    failure::Failure,
    output::{Format, JsonArray},
};

#[derive(Args)]
pub struct EvictArguments {
    #[command(flatten)]
    connection: EdgeConnection,
    /// What to throw away, as `longshore edge ls` has it
    #[arg(required = true, value_name = "DIGEST")]
    digests: Vec<Digest>,
}

impl EvictArguments {
    /// Throws away one after the other. One that can't be is told of, and the rest are all the same.
    pub async fn run(self) -> Result<(), Failure> {
        let client = self.connection.client()?;
        let mut out = stdout();
        let mut array = JsonArray::default();
        let mut failed_count = 0;
        for digest in &self.digests {
            match (client.evict(digest).await, self.connection.output) {
                (Ok(()), Format::Table) => writeln!(out, "evicted {digest}")?,
                (Ok(()), Format::Json) => array.write(&mut out, std::slice::from_ref(digest))?,
                (Err(error), _) if self.digests.len() == 1 => return Err(told(&error)),
                (Err(error), _) => {
                    eprintln!("longshore: {}", told(&error));
                    failed_count += 1;
                }
            }
        }
        if self.connection.output == Format::Json {
            array.finish(&mut out)?;
        }
        if failed_count > 0 {
            return Err(Failure::Failed(format!("{failed_count} of {} could not be evicted", self.digests.len())));
        }
        Ok(())
    }
}
