use clap::Args;
use longshore_fleet::api::AdviceView;

use super::{
    connection::{FleetConnection, told},
    output::{FleetFormat, OutputArguments, print},
    shown::{Breadth, Listing},
};
use crate::failure::Failure;

/// How many moves are listed at most.
const MOST_MOVES: usize = 100_000;

/// `longshore advice`.
#[derive(Args)]
pub struct AdviceArguments {
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

impl AdviceArguments {
    /// Prints which pods would better be elsewhere, node by node. Nothing moves by that.
    pub async fn run(self) -> Result<(), Failure> {
        let client = self.connection.client()?;
        let moves = client.advice().all(MOST_MOVES).await.map_err(|error| told(&error))?;
        let format = self.output.output;
        let breadth = Breadth { wide: format == FleetFormat::Wide, all_namespaces: true };
        print(format, &moves, |out| Listing::new::<AdviceView>(breadth).write(out, &moves))
    }
}
