//! `longshore image`: the images of a registry, for people and for programs.

mod inspect;
mod layers;
mod ls;
mod rm;
mod tags;
mod verify;

use clap::{Args, Subcommand};

pub use inspect::reference_or_latest;

use crate::{connection::ConnectionArguments, failure::Failure};

/// `longshore image`.
#[derive(Args)]
pub struct ImageArguments {
    #[command(subcommand)]
    verb: Verb,
    #[command(flatten)]
    connection: ConnectionArguments,
}

#[derive(Subcommand)]
enum Verb {
    /// List tagged images, with what they weigh and share
    Ls(ls::LsArguments),
    /// List a repository's tags
    Tags(tags::TagsArguments),
    /// Show one image: tags, manifests, configurations and layers
    Inspect(inspect::InspectArguments),
    /// List an image's layers, and how many others share each
    Layers(layers::LayersArguments),
    /// Say whether an image satisfies the registry's policies, and fail where it does not
    Verify(verify::VerifyArguments),
    /// Remove tags, or manifests with every tag at them
    Rm(rm::RmArguments),
}

impl ImageArguments {
    pub async fn run(self) -> Result<(), Failure> {
        let Self { verb, connection } = self;
        match verb {
            Verb::Ls(ls) => ls.run(&connection).await,
            Verb::Tags(tags) => tags.run(&connection).await,
            Verb::Inspect(inspect) => inspect.run(&connection).await,
            Verb::Layers(layers) => layers.run(&connection).await,
            Verb::Verify(verify) => verify.run(&connection).await,
            Verb::Rm(rm) => rm.run(&connection).await,
        }
    }
}
