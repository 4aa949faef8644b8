//! `GET /v2/_longshore/audit`: who did what, a page of lines, the oldest first.

use jiff::Timestamp;
use longshore_oci::{AuditLine, Query};
use serde::Serialize;

use super::{Call, Outcome, page, page::Page, reply};
use crate::{error::Error, registry::Registry, state::AuditFilter};

/// How many lines are looked at in one query.
const STRETCH: u64 = 10_000;
/// How many queries one request may take. A page may have nothing on it though others follow.
const STRETCHES: usize = 10;
/// The longest actor or action that is asked for, in bytes: an issuer's name, a colon, and the name that it has for a caller.
const MOST_BYTES: usize = 128 + 1 + 1024;

#[derive(Serialize)]
struct Answer {
    lines: Vec<AuditLine>,
}

pub async fn audit<B>(registry: &Registry, call: &Call<B>) -> Outcome {
    if registry.audit.is_none() {
        return Err(Error::AuditOff);
    }
    let query = call.query();
    let page = Page::of(registry, query)?;
    let wish = Wish::of(query)?;
    let head = registry.state.audit_head().await?;
    let mut looked = match page.after.as_str() {
        "" => start(registry, &wish, head.seq).await?.max(head.first_seq).saturating_sub(1),
        after => after.parse().map_err(|_| Error::Page(format!("the parameter last is a line's number, not {after:?}")))?,
    };
    let (mut lines, most) = (Vec::new(), usize::try_from(page.length).unwrap_or(usize::MAX));
    for _ in 0..STRETCHES {
        if lines.len() >= most || looked >= head.seq {
            break;
        }
        let limit = u32::try_from(most - lines.len()).unwrap_or(u32::MAX);
        let upto = looked.saturating_add(STRETCH).min(head.seq);
        let found = registry.state.audit_lines(wish.filter(looked, upto, limit)).await?;
        let is_cut = found.len() == limit as usize;
        looked = found.last().filter(|_| is_cut).map_or(upto, |(seq, _)| *seq);
        lines.extend(found.into_iter().map(|(_, line)| line));
    }
    let mut response = reply::json(&Answer { lines });
    if looked < head.seq && most > 0 {
        page::link(&mut response, "/v2/_longshore/audit", &wish.query(), page.length, &looked.to_string());
    }
    Ok(response)
}

/// The first line that can be of what is asked for; the one after the last where none can.
async fn start(registry: &Registry, wish: &Wish, last: u64) -> Result<u64, Error> {
    let Some(since) = wish.since else { return Ok(0) };
    Ok(registry.state.first_audited_since(since).await?.unwrap_or(last + 1))
}

/// Which lines are asked for.
struct Wish {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    actor: Option<String>,
    action: Option<String>,
}

impl Wish {
    fn of(query: Query<'_>) -> Result<Self, Error> {
        Ok(Self {
            since: time(query, "since")?,
            until: time(query, "until")?,
            actor: text(query, "actor")?,
            action: text(query, "action")?,
        })
    }

    fn filter(&self, after: u64, upto: u64, limit: u32) -> AuditFilter {
        let Self { since, until, actor, action } = self;
        AuditFilter { after, upto, since: *since, until: *until, actor: actor.clone(), action: action.clone(), limit }
    }

    /// As it stands in the link to the next page.
    fn query(&self) -> String {
        let (since, until) = (self.since.map(|time| time.to_string()), self.until.map(|time| time.to_string()));
        let members = [("since", &since), ("until", &until), ("actor", &self.actor), ("action", &self.action)];
        let member = |(name, value): (&str, &Option<String>)| Some(format!("{name}={}&", page::encode(value.as_ref()?)));
        members.into_iter().filter_map(member).collect()
    }
}

fn text(query: Query<'_>, name: &str) -> Result<Option<String>, Error> {
    match query.get(name).filter(|value| !value.is_empty()) {
        Some(value) if value.len() > MOST_BYTES || value.contains(char::is_control) => {
            Err(Error::AuditQuery(format!("the parameter {name} has up to {MOST_BYTES} visible bytes")))
        }
        value => Ok(value.map(std::borrow::Cow::into_owned)),
    }
}

fn time(query: Query<'_>, name: &str) -> Result<Option<Timestamp>, Error> {
    let Some(value) = query.get(name).filter(|value| !value.is_empty()) else { return Ok(None) };
    let refused = |_| Error::AuditQuery(format!("the parameter {name} is a time such as 2026-01-31T12:00:00Z, not {value:?}"));
    value.parse().map(Some).map_err(refused)
}
