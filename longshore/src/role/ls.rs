use std::io::{BufWriter, Write as _, stdout};

use clap::Args;
use jiff::Timestamp;
use longshore_client::{Grant, Role};

use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Age, Format, JsonArray, Table},
};

const PAGE_SIZE: u32 = 200;

#[derive(Args)]
pub struct LsArguments {
    /// Only what this account may do, or `anonymous`, `rule:ISSUER/RULE` or `group:ISSUER/GROUP`
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
}

impl LsArguments {
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let client = connection.client(None).await?;
        let mut roles = client.roles(self.subject.as_deref(), PAGE_SIZE);
        let mut out = BufWriter::new(stdout());
        let mut table = Table::new(["ID", "SUBJECT", "ACTIONS", "ON", "PATTERN", "GRANTED"]);
        let mut array = JsonArray::default();
        while let Some(page) = roles.next_page().await.map_err(|error| explained(&error))? {
            let now = Timestamp::now();
            match connection.output {
                Format::Table => table.write(&mut out, page.into_iter().map(|role| row(role, now)).collect())?,
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

fn row(role: Role, now: Timestamp) -> [String; 6] {
    let actions = role.grant.actions().join(",");
    let (on, pattern) = match role.grant {
        Grant::Repositories { repositories, .. } => ("repositories", repositories),
        Grant::Namespaces { namespaces, .. } => ("namespaces", namespaces),
    };
    [role.id, role.subject, actions, on.to_owned(), pattern, Age::at(now, role.created_at).to_string()]
}
