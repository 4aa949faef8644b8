use std::io::{self, Write, stdout};

use clap::Args;
use longshore_client::CheckedToken;

use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Format, NOTHING, Table, write_json},
    secret_input::SecretInput,
};

/// A token with many groups is longer than any password.
const TOKEN: SecretInput = SecretInput { name: "token", flag: "--token-stdin", max_line_bytes: 16 << 10 };

#[derive(Args)]
pub struct CheckArguments {
    /// The issuer's name
    name: String,
    /// Read the token from stdin, one line of it, instead of asking for it
    #[arg(long)]
    token_stdin: bool,
}

impl CheckArguments {
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let Self { name, token_stdin } = self;
        let client = connection.client(None).await?;
        let token = if token_stdin { TOKEN.read() } else { TOKEN.ask(&format!("Token of {name}: ")) }?;
        let checked = client.check_issuer(&name, &token).await.map_err(|error| explained(&error))?;
        let mut out = stdout().lock();
        match connection.output {
            Format::Table => write_checked(&mut out, &checked)?,
            Format::Json => write_json(&mut out, &checked)?,
        }
        Ok(())
    }
}

fn write_checked(out: &mut impl Write, checked: &CheckedToken) -> io::Result<()> {
    let listed = |names: &[String]| if names.is_empty() { NOTHING.to_owned() } else { names.join(", ") };
    let facts = [
        ("subject", checked.subject.clone()),
        ("rules", listed(&checked.rules)),
        ("groups", listed(&checked.groups)),
        ("expires", checked.expires_at.to_string()),
    ];
    Table::headless().write(out, facts.map(|(fact, value)| [fact.to_owned(), value]).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_who_it_is() {
        let checked = CheckedToken {
            subject: "ci:\u{1b}me".to_owned(),
            rules: vec!["a".to_owned(), "b".to_owned()],
            groups: Vec::new(),
            expires_at: "2026-06-01T12:00:00Z".parse().expect("a time"),
        };
        let mut out = Vec::new();
        write_checked(&mut out, &checked).expect("memory takes it");
        let lines = ["subject  ci:\u{fffd}me", "rules    a, b", "groups   -", "expires  2026-06-01T12:00:00Z"];
        assert_eq!(String::from_utf8(out).expect("text"), lines.join("\n") + "\n");
    }
}
