use std::io::{BufWriter, Write as _, stdout};

use clap::Args;
use jiff::Timestamp;
use longshore_client::AppliedPolicy;

use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Age, Format, JsonArray, NOTHING, Table},
};

const PAGE_SIZE: u32 = 100;

#[derive(Args)]
pub struct LsArguments {}

impl LsArguments {
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let client = connection.client(None).await?;
        let mut policies = client.policies(PAGE_SIZE);
        let mut out = BufWriter::new(stdout());
        let mut table = Table::new(["NAME", "REVISION", "POLICIES", "APPLIED", "BY"]);
        let mut array = JsonArray::default();
        while let Some(page) = policies.next_page().await.map_err(|error| explained(&error))? {
            let now = Timestamp::now();
            match connection.output {
                Format::Table => table.write(&mut out, page.into_iter().map(|policy| row(policy, now)).collect())?,
                Format::Json => array.write(&mut out, &page)?,
            }
            out.flush()?;
        }
        if connection.output == Format::Json {
            array.finish(&mut out)?;
        }
        Ok(out.flush()?)
    }
}

fn row(applied: AppliedPolicy, now: Timestamp) -> [String; 5] {
    let policies: Vec<String> = applied.policies.iter().map(|policy| format!("{} ({})", policy.name, policy.mode)).collect();
    let policies = match applied.problem {
        None => policies.join(", "),
        Some(problem) => format!("can't be read, so nothing goes in or out: {problem}"),
    };
    [
        applied.name,
        applied.revision.to_string(),
        policies,
        Age::at(now, applied.applied_at).to_string(),
        applied.applied_by.unwrap_or_else(|| NOTHING.to_owned()),
    ]
}
