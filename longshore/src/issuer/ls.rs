use std::io::{BufWriter, Write as _, stdout};

use jiff::Timestamp;
use longshore_client::Issuer;

use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Age, Format, JsonArray, NOTHING, Table},
};

const PAGE_SIZE: u32 = 200;

/// Lists the issuers by name.
pub async fn ls(connection: &ConnectionArguments) -> Result<(), Failure> {
    let client = connection.client(None).await?;
    let mut issuers = client.issuers(PAGE_SIZE);
    let mut out = BufWriter::new(stdout());
    let mut table = Table::new(["NAME", "URL", "AUDIENCES", "RULES", "CHANGED"]);
    let mut array = JsonArray::default();
    while let Some(page) = issuers.next_page().await.map_err(|error| explained(&error))? {
        let now = Timestamp::now();
        match connection.output {
            Format::Table => table.write(&mut out, page.into_iter().map(|issuer| row(issuer, now)).collect())?,
            Format::Json => array.write(&mut out, &page)?,
        }
        out.flush()?;
    }
    if connection.output == Format::Json {
        array.finish(&mut out)?;
    }
    Ok(out.flush()?)
}

fn row(issuer: Issuer, now: Timestamp) -> [String; 5] {
    let rules: Vec<String> = issuer.trust.rules.into_iter().map(|rule| rule.name).collect();
    let rules = if rules.is_empty() { NOTHING.to_owned() } else { rules.join(",") };
    let changed = Age::at(now, issuer.changed_at).to_string();
    [issuer.name, issuer.trust.url, issuer.trust.audiences.join(","), rules, changed]
}
