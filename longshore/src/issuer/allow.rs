use std::io::{Write as _, stdout};

use clap::Args;
use longshore_client::{ClaimRule, Grant, IssuerTrust, NewRole, RegistryClient, Role};
use serde::Serialize;

use super::{
    change::change,
    claims::{ClaimArguments, told},
};
use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Format, write_json},
    role::GrantArguments,
};

const PAGE_SIZE: u32 = 200;

#[derive(Args)]
pub struct AllowArguments {
    /// The issuer's name
    issuer: String,
    /// What the rule is called; roles name its callers `rule:ISSUER/RULE`
    rule: String,
    #[command(flatten)]
    claims: ClaimArguments,
    #[command(flatten)]
    grants: GrantArguments,
}

/// A rule and its roles as a program gets them.
#[derive(Serialize)]
struct Allowed<'a> {
    issuer: &'a str,
    rule: &'a ClaimRule,
    roles: &'a [Role],
}

impl AllowArguments {
    /// What is printed holds, whatever is refused after it; what is there already stays, and is printed too.
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let Self { issuer, rule, claims, grants } = self;
        let rule = ClaimRule { name: rule, claims: claims.claims()? };
        let client = connection.client(None).await?;
        change(&client, &issuer, |trust| with_rule(&issuer, trust, &rule)).await?;
        let subject = format!("rule:{issuer}/{}", rule.name);
        let mut roles = Vec::new();
        let outcome = grant(&client, &subject, grants.grants(), &mut roles).await;
        let mut out = stdout();
        if connection.output == Format::Json {
            write_json(&mut out, &Allowed { issuer: &issuer, rule: &rule, roles: &roles })?;
            return outcome;
        }
        writeln!(out, "rule {} of {issuer}: {}", rule.name, told(&rule.claims))?;
        for Role { id, grant, .. } in &roles {
            writeln!(out, "{id}: {subject} may {grant}")?;
        }
        if roles.is_empty() && outcome.is_ok() {
            eprintln!(
                "longshore: no role was asked for; `longshore role grant {subject} --push 'team/*'` would let it push there"
            );
        }
        outcome
    }
}

/// Adds the rule where it is not there. Whoever has a role by a rule should not have others in by it unawares, so one of the same
/// name with other claims is refused.
fn with_rule(issuer: &str, trust: &mut IssuerTrust, rule: &ClaimRule) -> Result<bool, Failure> {
    match trust.rule(&rule.name) {
        Some(there) if there == rule => Ok(false),
        Some(there) => Err(Failure::Usage(format!(
            "{issuer} has a rule {0} with other claims: {1}; take it away with `longshore issuer disallow {issuer} {0}`, or give this one \
             another name",
            rule.name,
            told(&there.claims)
        ))),
        None => {
            trust.rules.push(rule.clone());
            Ok(true)
        }
    }
}

/// Makes those roles that are not there yet, and stops at the first that is refused; `roles` are those that hold.
async fn grant(client: &RegistryClient, subject: &str, grants: Vec<Grant>, roles: &mut Vec<Role>) -> Result<(), Failure> {
    if grants.is_empty() {
        return Ok(());
    }
    let there = roles_of(client, subject).await?;
    for grant in grants {
        if let Some(role) = there.iter().find(|role| role.grant.holds(&grant)) {
            roles.push(role.clone());
            continue;
        }
        let role = client.grant_role(&NewRole { subject: subject.to_owned(), grant }).await;
        roles.push(role.map_err(|error| explained(&error))?);
    }
    Ok(())
}

async fn roles_of(client: &RegistryClient, subject: &str) -> Result<Vec<Role>, Failure> {
    let mut pages = client.roles(Some(subject), PAGE_SIZE);
    let mut roles = Vec::new();
    while let Some(page) = pages.next_page().await.map_err(|error| explained(&error))? {
        roles.extend(page);
    }
    Ok(roles)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(pattern: &str) -> ClaimRule {
        ClaimRule { name: "release".to_owned(), claims: [("ref".to_owned(), pattern.to_owned())].into() }
    }

    #[test]
    fn a_rule_is_added_once_and_never_changed() {
        let mut trust = IssuerTrust::discovered("https://a.example", Vec::new());
        assert!(with_rule("ci", &mut trust, &rule("main")).expect("it is new"));
        assert!(!with_rule("ci", &mut trust, &rule("main")).expect("it is there"));
        let error = with_rule("ci", &mut trust, &rule("*")).expect_err("other claims").to_string();
        assert!(error.starts_with("ci has a rule release with other claims: ref=main; "), "{error}");
        assert_eq!(trust.rules, [rule("main")]);
    }
}
