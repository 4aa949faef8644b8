//! Tokens that let nodes join.

use std::io::Write as _;

use clap::{Args, Subcommand};
use longshore_fleet::api::{JoinTokenRequest, JoinTokenView};
use longshore_service::config::Duration as Period;

use crate::{
    exit_codes,
    failure::{Failure, tell},
    fleet::{
        connection::{FleetConnection, told},
        counted::counted,
        output::{FleetFormat, OutputArguments, print},
        shown::{Breadth, Listing},
    },
};

/// The most tokens that are listed.
const MOST_TOKENS: usize = 10_000;

#[derive(Subcommand)]
pub enum TokenVerb {
    /// Make a token that lets nodes join; it is printed this once
    #[command(after_help = exit_codes::FLEET)]
    Create(TokenCreateArguments),
    /// List the tokens that have not run out
    #[command(after_help = exit_codes::FLEET)]
    Ls(TokenListArguments),
    /// Have a token let nobody in any more; nodes that joined by it stay
    #[command(after_help = exit_codes::FLEET)]
    Rm(TokenRemoveArguments),
}

#[derive(Args)]
pub struct TokenCreateArguments {
    /// How long it is good; a day where nothing is said
    #[arg(long, value_name = "DURATION")]
    ttl: Option<Period>,
    /// How many nodes it lets in; one where nothing is said
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    uses: Option<u32>,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

#[derive(Args)]
pub struct TokenListArguments {
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

#[derive(Args)]
pub struct TokenRemoveArguments {
    /// Its hash, or as much of the beginning of it or of the token as is no other's
    #[arg(value_name = "TOKEN")]
    token: String,
    #[command(flatten)]
    connection: FleetConnection,
}

impl TokenVerb {
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run().await,
            Self::Ls(list) => list.run().await,
            Self::Rm(remove) => remove.run().await,
        }
    }
}

impl TokenCreateArguments {
    async fn run(self) -> Result<(), Failure> {
        let wish = JoinTokenRequest { lifetime_seconds: self.ttl.map(|ttl| ttl.get().as_secs()), uses: self.uses };
        let client = self.connection.client()?;
        let issued = client.create_join_token(&wish).await.map_err(|error| told(&error))?;
        if self.output.output.is_for_people() {
            let uses = issued.view.uses_left;
            let nodes = counted(uses, "node");
            tell(&format_args!("it lets {nodes} join until {}", issued.view.expires_at));
        }
        print(self.output.output, &issued, |out| writeln!(out, "{}", issued.token))
    }
}

impl TokenListArguments {
    async fn run(self) -> Result<(), Failure> {
        let client = self.connection.client()?;
        let tokens = client.join_tokens().all(MOST_TOKENS).await.map_err(|error| told(&error))?;
        let format = self.output.output;
        let breadth = Breadth { wide: format == FleetFormat::Wide, all_namespaces: false };
        print(format, &tokens, |out| Listing::new::<JoinTokenView>(breadth).write(out, &tokens))
    }
}

impl TokenRemoveArguments {
    async fn run(self) -> Result<(), Failure> {
        let client = self.connection.client()?;
        let tokens = client.join_tokens().all(MOST_TOKENS).await.map_err(|error| told(&error))?;
        let token = meant(&tokens, &self.token)?;
        client.remove_join_token(&token.hash).await.map_err(|error| told(&error))?;
        tell(&format_args!("{}… lets nobody in any more", token.hint));
        Ok(())
    }
}

/// The one token that is meant.
fn meant<'a>(tokens: &'a [JoinTokenView], text: &str) -> Result<&'a JoinTokenView, Failure> {
    let text = text.trim_end_matches('…');
    // Of a whole token only the beginning is known.
    let is_meant = |token: &&JoinTokenView| {
        token.hash.starts_with(text) || token.hint.starts_with(text) || (!token.hint.is_empty() && text.starts_with(&token.hint))
    };
    let found: Vec<_> = tokens.iter().filter(is_meant).collect();
    match found.as_slice() {
        _ if text.is_empty() => Err(Failure::Usage("which token?".to_owned())),
        [one] => Ok(one),
        [] => Err(Failure::NotFound("there is no such token; `longshore node token ls` lists those that there are".to_owned())),
        several => Err(Failure::Usage(format!("{} tokens begin so; name its hash", several.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_named_by_its_beginning_or_its_hash() {
        let token = |hash: &str, hint: &str| JoinTokenView {
            hash: hash.to_owned(),
            hint: hint.to_owned(),
            expires_at: "2026-06-01T12:00:00Z".parse().expect("a time"),
            uses_left: 1,
        };
        let tokens = [token("aa11", "lsj_ab"), token("aa22", "lsj_cd")];
        let hash = |text| meant(&tokens, text).map(|token| token.hash.as_str()).map_err(|failure| failure.code());
        assert_eq!(hash("aa11"), Ok("aa11"));
        assert_eq!(hash("lsj_cd…"), Ok("aa22"));
        assert_eq!(hash("lsj_cd-and-its-secret"), Ok("aa22"));
        assert_eq!((hash("aa"), hash("zz"), hash("")), (Err(2), Err(4), Err(2)));
    }
}
