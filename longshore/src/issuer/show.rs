use std::io::{self, Write, stdout};

use jiff::Timestamp;
use longshore_client::{Issuer, IssuerTrust};

use super::claims::told;
use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Age, Format, NOTHING, Table, write_json},
};

/// Shows an issuer, with its rules.
pub async fn show(connection: &ConnectionArguments, name: &str) -> Result<(), Failure> {
    let client = connection.client(None).await?;
    let issuer = client.issuer(name).await.map_err(|error| explained(&error))?;
    let mut out = stdout().lock();
    match connection.output {
        Format::Table => write_detail(&mut out, &issuer, Timestamp::now())?,
        Format::Json => write_json(&mut out, &issuer)?,
    }
    Ok(())
}

fn write_detail(out: &mut impl Write, issuer: &Issuer, now: Timestamp) -> io::Result<()> {
    let trust = &issuer.trust;
    let nothing = || NOTHING.to_owned();
    let authorities = trust.ca_certificates.as_ref().map_or("those of the registry's machine", |_| "its own");
    let facts = [
        ("name", issuer.name.clone()),
        ("url", trust.url.clone()),
        ("audiences", trust.audiences.join(", ")),
        ("keys", keys(trust)),
        ("authorities", authorities.to_owned()),
        ("groups", trust.groups_claim.as_ref().map_or_else(nothing, |claim| format!("claim {claim}"))),
        ("session", trust.session_seconds.map_or_else(nothing, |seconds| format!("{seconds} s"))),
        ("added", format!("{}, {}", issuer.created_at, Age::at(now, issuer.created_at))),
        ("changed", format!("{}, {}", issuer.changed_at, Age::at(now, issuer.changed_at))),
    ];
    Table::headless().write(out, facts.map(|(fact, value)| [fact.to_owned(), value]).into())?;
    if !trust.rules.is_empty() {
        writeln!(out)?;
        let rules = trust.rules.iter().map(|rule| [rule.name.clone(), told(&rule.claims)]);
        Table::new(["RULE", "CLAIMS"]).write(out, rules.collect())?;
    }
    Ok(())
}

/// Where the issuer's keys are from.
fn keys(trust: &IssuerTrust) -> String {
    match (&trust.jwks, &trust.jwks_url) {
        (Some(_), _) => "given".to_owned(),
        (None, Some(url)) => format!("at {url}"),
        (None, None) => "where the issuer says".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use longshore_client::ClaimRule;

    use super::*;

    #[test]
    fn shows_facts_and_rules() {
        let claims = [("ref", "refs/heads/*"), ("repository", "acme/app")];
        let claims = claims.map(|(claim, pattern)| (claim.to_owned(), pattern.to_owned())).into();
        let mut trust = IssuerTrust::discovered("https://a.example", vec!["r".to_owned(), "s".to_owned()]);
        trust.session_seconds = Some(600);
        trust.rules = vec![ClaimRule { name: "release".to_owned(), claims }];
        let time: Timestamp = "2026-06-01T12:00:00Z".parse().expect("a time");
        let issuer = Issuer { name: "ci".to_owned(), trust, revision: 1, created_at: time, changed_at: time };
        let mut out = Vec::new();
        write_detail(&mut out, &issuer, time).expect("memory takes it");
        let lines = [
            "name         ci",
            "url          https://a.example",
            "audiences    r, s",
            "keys         where the issuer says",
            "authorities  those of the registry's machine",
            "groups       -",
            "session      600 s",
            "added        2026-06-01T12:00:00Z, 0 s ago",
            "changed      2026-06-01T12:00:00Z, 0 s ago",
            "",
            "RULE     CLAIMS",
            "release  ref=refs/heads/*, repository=acme/app",
        ];
        assert_eq!(String::from_utf8(out).expect("text"), lines.join("\n") + "\n");
    }
}
