use std::io::{BufWriter, Write as _, stdout};

use jiff::Timestamp;
use longshore_client::{Account, AccountKind};

use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Age, Format, JsonArray, NOTHING, Table},
};

const PAGE_SIZE: u32 = 200;

/// Lists the accounts of a kind by name.
pub async fn ls(connection: &ConnectionArguments, kind: AccountKind) -> Result<(), Failure> {
    let client = connection.client(None).await?;
    let mut accounts = client.accounts(PAGE_SIZE);
    let mut out = BufWriter::new(stdout());
    let mut table = Table::new(["NAME", "STATE", "CREATED", "LAST USED", "EXPIRES", "CERTIFICATE"]);
    let mut array = JsonArray::default();
    while let Some(mut page) = accounts.next_page().await.map_err(|error| explained(&error))? {
        page.retain(|account| account.kind == kind);
        let now = Timestamp::now();
        match connection.output {
            Format::Table => table.write(&mut out, page.into_iter().map(|account| row(account, now)).collect())?,
            Format::Json => array.write(&mut out, &page)?,
        }
        out.flush()?;
    }
    if connection.output == Format::Json {
        array.finish(&mut out)?;
    }
    Ok(out.flush()?)
}

fn row(account: Account, now: Timestamp) -> [String; 6] {
    let nothing = || NOTHING.to_owned();
    let state = state(&account, now).to_owned();
    [
        account.name,
        state,
        Age::at(now, account.created_at).to_string(),
        account.last_used_at.map_or_else(nothing, |then| Age::at(now, then).to_string()),
        account.expires_at.map_or_else(nothing, |then| then.to_string()),
        account.certificate.unwrap_or_else(nothing),
    ]
}

fn state(account: &Account, now: Timestamp) -> &'static str {
    match account.expires_at {
        _ if account.is_disabled => "disabled",
        Some(end) if end <= now => "expired",
        _ => "active",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_whether_an_account_is_of_use() {
        let time = |text: &str| text.parse::<Timestamp>().expect("a time");
        let mut account = Account {
            name: "ci".to_owned(),
            kind: AccountKind::Robot,
            is_disabled: false,
            created_at: time("2026-05-01T00:00:00Z"),
            certificate: Some("dns:node1".to_owned()),
            expires_at: Some(time("2026-07-01T00:00:00Z")),
            last_used_at: None,
        };
        let june = time("2026-06-01T00:00:00Z");
        assert_eq!(row(account.clone(), june), ["ci", "active", "31 d ago", "-", "2026-07-01T00:00:00Z", "dns:node1"]);
        assert_eq!(state(&account, time("2026-07-01T00:00:00Z")), "expired");
        account.is_disabled = true;
        assert_eq!(state(&account, june), "disabled");
    }
}
