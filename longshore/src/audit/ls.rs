use std::{
    collections::VecDeque,
    io::{BufWriter, Write, stdout},
};

use clap::Args;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use longshore_client::{AuditEntry, AuditFilter};
use longshore_oci::{AuditLine, Digest};

use super::{PAGE_SIZE, moment::Moment};
use crate::{
    connection::{ConnectionArguments, explained},
    failure::Failure,
    output::{Format, NOTHING, ShortDigest, Table},
};

/// Which lines to show.
#[derive(Args, Debug, Default, Eq, PartialEq)]
pub struct ListArguments {
    /// From then on: a time, a day, or how long ago: `2026-01-31T12:00:00Z`, `2026-01-31`, `1h`
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Until then
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// What this account did; `anonymous` is who said not who they are, `(registry)` what the registry did by itself
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// These actions: `login.failed`, or all of `login`
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// The newest so many of them
    #[arg(short = 'n', value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: Option<u32>,
}

impl ListArguments {
    /// Prints lines, the oldest first.
    pub async fn run(self, connection: &ConnectionArguments) -> Result<(), Failure> {
        let client = connection.client(None).await?;
        let now = Timestamp::now();
        let time = |moment: Option<Moment>| moment.map(|moment| moment.time(now));
        let (since, until) = (time(self.since), time(self.until));
        let filter = AuditFilter { after: None, since, until, actor: self.actor, action: self.action };
        let mut pages = client.audit(&filter, PAGE_SIZE);
        let mut printer = Printer::new(connection.output);
        let newest = self.count.map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        let mut kept: VecDeque<AuditLine> = VecDeque::new();
        while let Some(page) = pages.next_page().await.map_err(|error| explained(&error))? {
            let Some(newest) = newest else {
                printer.print(&page)?;
                continue;
            };
            kept.extend(page);
            kept.drain(..kept.len().saturating_sub(newest));
        }
        printer.print(kept.make_contiguous())
    }
}

/// Prints page after page.
struct Printer {
    format: Format,
    out: BufWriter<std::io::Stdout>,
    table: Table<7>,
}

impl Printer {
    fn new(format: Format) -> Self {
        let table = Table::new(["TIME", "ACTOR", "FROM", "ACTION", "ON", "RESULT", "REQUEST"]);
        Self { format, out: BufWriter::new(stdout()), table }
    }

    fn print(&mut self, lines: &[AuditLine]) -> Result<(), Failure> {
        match self.format {
            Format::Table => self.table.write(&mut self.out, lines.iter().map(row).collect::<Result<_, _>>()?)?,
            Format::Json => {
                for line in lines {
                    writeln!(self.out, "{}", exported(line)?)?;
                }
            }
        }
        Ok(self.out.flush()?)
    }
}

/// A line with its hash as the last member: what is before that, and a brace, is the text that was hashed.
fn exported(line: &AuditLine) -> Result<String, Failure> {
    let members = line.line.strip_suffix('}').ok_or_else(|| unreadable(line))?;
    Ok(format!("{members},\"hash\":{}}}", serde_json::Value::from(line.hash.as_str())))
}

fn row(line: &AuditLine) -> Result<[String; 7], Failure> {
    let entry: AuditEntry = serde_json::from_str(&line.line).map_err(|_| unreadable(line))?;
    let on = on(&entry);
    let AuditEntry { at, actor, address, action, result, request_id, .. } = entry;
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.to_owned());
    let at = at.round(TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Trunc)).unwrap_or(at).to_string();
    Ok([at, actor, or_nothing(address), action, on, result, or_nothing(request_id)])
}

fn unreadable(line: &AuditLine) -> Failure {
    Failure::Failed(format!("a line can't be read, so somebody has changed it; see `longshore audit verify`: {}", line.line))
}

/// What was done something to: an image, or what the detail names.
fn on(entry: &AuditEntry) -> String {
    let Some(mut on) = entry.repository.clone() else {
        let named = ["account", "role", "issuer", "document"].iter().find_map(|name| entry.detail[name].as_str());
        return named.unwrap_or(NOTHING).to_owned();
    };
    if let Some(tag) = &entry.tag {
        on = format!("{on}:{tag}");
    }
    if let Some(digest) = entry.digest.as_ref().and_then(|digest| digest.parse::<Digest>().ok()) {
        on = format!("{on}@{}", ShortDigest { digest: &digest, is_whole: false });
    }
    on
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> AuditLine {
        AuditLine { line: text.to_owned(), hash: "beef".to_owned() }
    }

    #[test]
    fn says_who_did_what_to_what() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let of_tag = line(&format!(
            r#"{{"seq":1,"at":"2026-06-01T12:00:00.75Z","actor":"ci","address":"::1","action":"tag.set","repository":"a/b","digest":"{digest}","tag":"v1","result":"done","requestId":"r-1"}}"#
        ));
        let shown = ["2026-06-01T12:00:00Z", "ci", "::1", "tag.set", "a/b:v1@sha256:abab…", "done", "r-1"];
        assert_eq!(row(&of_tag).ok(), Some(shown.map(str::to_owned)));
        let of_account = line(
            r#"{"seq":2,"at":"2026-06-01T12:00:01Z","actor":"(registry)","action":"account.created","result":"done","detail":{"account":"admin"}}"#,
        );
        let shown = ["2026-06-01T12:00:01Z", "(registry)", "-", "account.created", "admin", "done", "-"];
        assert_eq!(row(&of_account).ok(), Some(shown.map(str::to_owned)));
        assert!(row(&line("{}")).is_err() && exported(&line("")).is_err());
    }

    #[test]
    fn is_exported_with_its_hash() {
        assert_eq!(exported(&line(r#"{"seq":1}"#)).ok().as_deref(), Some(r#"{"seq":1,"hash":"beef"}"#));
    }
}
