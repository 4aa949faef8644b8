use std::collections::{BTreeMap, btree_map::Entry};

use clap::Args;

use crate::failure::Failure;

/// What a token's claims must be.
#[derive(Args)]
pub struct ClaimArguments {
    /// What a claim of the token must be, `*` for any characters: `ref=refs/heads/*`; a claim inside another is named by a JSON
    /// pointer: `/kubernetes.io/namespace=prod`. All that are given must fit
    #[arg(long = "claim", required = true, value_name = "CLAIM=PATTERN", value_parser = parse)]
    claims: Vec<(String, String)>,
}

impl ClaimArguments {
    /// A pattern for each claim.
    pub fn claims(&self) -> Result<BTreeMap<String, String>, Failure> {
        let mut claims = BTreeMap::new();
        for (claim, pattern) in &self.claims {
            match claims.entry(claim.clone()) {
                Entry::Vacant(entry) => entry.insert(pattern.clone()),
                Entry::Occupied(_) => {
                    return Err(Failure::Usage(format!("--claim {claim} is there twice; a rule has one pattern for a claim")));
                }
            };
        }
        Ok(claims)
    }
}

/// Claims as they are given: `ref=refs/heads/*, repository=acme/app`.
pub fn told(claims: &BTreeMap<String, String>) -> String {
    let claims: Vec<String> = claims.iter().map(|(claim, pattern)| format!("{claim}={pattern}")).collect();
    claims.join(", ")
}

/// The first `=` ends the claim's name.
fn parse(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((claim, pattern)) if !claim.is_empty() => Ok((claim.to_owned(), pattern.to_owned())),
        _ => Err("a claim and its pattern are written CLAIM=PATTERN"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(texts: &[&str]) -> Result<BTreeMap<String, String>, Failure> {
        ClaimArguments { claims: texts.iter().map(|text| parse(text).expect("a claim")).collect() }.claims()
    }

    #[test]
    fn has_one_pattern_for_each() {
        let read = claims(&["repository=acme/app", "/a/b=x=y", "ref="]).expect("three claims");
        assert_eq!(told(&read), "/a/b=x=y, ref=, repository=acme/app");
        assert!(matches!(claims(&["ref=a", "ref=b"]), Err(Failure::Usage(_))));
        assert!(parse("ref").is_err() && parse("=x").is_err());
    }
}
