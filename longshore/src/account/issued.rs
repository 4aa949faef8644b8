use std::io::{Write as _, stdout};

use longshore_client::IssuedAccount;

use crate::{
    failure::Failure,
    output::{Format, write_json},
};

/// Shows an account with the secret that is told this once. For people the words are on stderr and the secret is alone on
/// stdout, so that a shell can take it; for programs everything is on stdout.
pub fn show(format: Format, issued: &IssuedAccount, words: &str) -> Result<(), Failure> {
    let mut out = stdout();
    match (format, &issued.secret) {
        (Format::Json, _) => write_json(&mut out, issued)?,
        (Format::Table, Some(secret)) => {
            eprintln!("longshore: {words}");
            writeln!(out, "{}", secret.reveal())?;
        }
        (Format::Table, None) => eprintln!("longshore: {words}"),
    }
    Ok(())
}
