use std::{
    collections::BTreeSet,
    io::{BufWriter, Write, stdout},
};

use clap::Args;
use longshore_client::{FleetClient, FleetPages, WatchFilter};
use longshore_fleet::{
    Name,
    api::{Change, Code, Event},
};
use serde::Serialize;

use super::{
    connection::{FleetConnection, told},
    kind::Kind,
    output::{FleetFormat, OutputArguments, write_next},
    shown::{Breadth, Listing, Named},
    unless_empty::UnlessEmpty,
};
use crate::failure::Failure;

/// `longshore watch`.
#[derive(Args)]
pub struct WatchArguments {
    /// What to watch: deployments, jobs, pods, nodes, namespaces, operations; everything where nothing is named
    #[arg(value_name = "KIND", value_delimiter = ',')]
    kinds: Vec<Kind>,
    /// The namespace; without it, all of them, and what is in none
    #[arg(short, long, value_name = "NAMESPACE", env = "LONGSHORE_NAMESPACE", hide_env_values = true)]
    namespace: Option<UnlessEmpty<Name>>,
    /// What came after this position, too, as far as it is kept
    #[arg(long, value_name = "POSITION")]
    since: Option<u64>,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

impl WatchArguments {
    /// Prints what happens, until somebody interrupts.
    pub async fn run(self) -> Result<(), Failure> {
        let mut kinds = BTreeSet::new();
        for kind in self.kinds {
            let unfit = || Failure::Usage("events are what is watched; name what they are of, or nothing".to_owned());
            kinds.insert(kind.of_event().ok_or_else(unfit)?);
        }
        let client = self.connection.client()?;
        let format = self.output.output;
        let namespace = self.namespace.and_then(UnlessEmpty::get);
        let breadth = Breadth { all_namespaces: namespace.is_none(), wide: format == FleetFormat::Wide };
        let filter = WatchFilter { kinds, namespace };
        print_events(&client, filter, |_| true, self.since, format, breadth).await
    }
}

/// Prints what happens to everything of a namespace, or to what this id names.
pub async fn events(
    client: &FleetClient,
    namespace: Option<Name>,
    id: Option<String>,
    since: Option<u64>,
    format: FleetFormat,
    breadth: Breadth,
) -> Result<(), Failure> {
    let filter = WatchFilter { kinds: BTreeSet::new(), namespace };
    print_events(client, filter, |event| id.as_ref().is_none_or(|id| event.id == *id), since, format, breadth).await
}

async fn print_events(
    client: &FleetClient,
    filter: WatchFilter,
    is_meant: impl Fn(&Event) -> bool,
    since: Option<u64>,
    format: FleetFormat,
    breadth: Breadth,
) -> Result<(), Failure> {
    let mut out = BufWriter::new(stdout());
    let mut listing = Listing::new::<Event>(breadth);
    if format.is_for_people() {
        // The head shows that there is somebody who listens.
        listing.write::<Event>(&mut out, &[])?;
        out.flush()?;
    }
    let mut watch = client.watch(filter, since);
    loop {
        let event = watch.next().await.map_err(|error| match error.code() {
            Some(Code::HistoryGone) => Failure::Failed(format!("{error}; leave --since out to watch from now on")),
            _ => told(&error),
        })?;
        if !is_meant(&event) {
            continue;
        }
        if format.is_for_people() {
            listing.write(&mut out, &[event])?;
        } else {
            write_next(&mut out, format, &event)?;
        }
        out.flush()?;
    }
}

/// Prints a list, and then each change of what is in it, until somebody interrupts. Where the history does not go back to what was seen
/// last, it is listed again.
pub async fn changing<T: Named>(
    client: &FleetClient,
    namespace: Option<&Name>,
    format: FleetFormat,
    breadth: Breadth,
    mut pages: FleetPages<'_, T>,
) -> Result<(), Failure> {
    // As wide as the longest of its words, since a table does not know what is yet to come.
    let mut printer = Printer { out: BufWriter::new(stdout()), listing: Listing::after::<T>(&["CHANGE "], breadth), format };
    let kinds: BTreeSet<_> = T::KIND.of_event().into_iter().collect();
    let namespace = namespace.filter(|_| T::KIND.is_in_namespaces());
    loop {
        let mut position = None;
        while let Some(page) = pages.next_page().await.map_err(|error| told(&error))? {
            // Of a list that was made in parts the first is the oldest; nothing is missed from there on.
            position = position.or(Some(page.position));
            page.items.iter().try_for_each(|item| printer.print("listed", item))?;
        }
        printer.out.flush()?;
        let mut watch = client.watch(WatchFilter { kinds: kinds.clone(), namespace: namespace.cloned() }, position);
        loop {
            match watch.next().await {
                Ok(event) => printer.print_event::<T>(event)?,
                Err(error) if error.code() == Some(Code::HistoryGone) => break,
                Err(error) => return Err(told(&error)),
            }
        }
        pages = pages.again();
    }
}

/// What has changed, for programs: all of it as it is then, or what it was where no more is told of what is gone.
#[derive(Serialize)]
struct Told<'a, T> {
    change: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'a T>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    gone: Option<Gone<'a>>,
}

/// By what something is known that is gone.
#[derive(Serialize)]
struct Gone<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a Name>,
    name: &'a str,
}

struct Printer<W> {
    out: W,
    listing: Listing,
    format: FleetFormat,
}

impl<W: Write> Printer<W> {
    fn print<T: Named>(&mut self, change: &str, item: &T) -> Result<(), Failure> {
        if self.format.is_for_people() {
            return Ok(self.listing.write_after(&mut self.out, vec![change.to_owned()], item)?);
        }
        write_next(&mut self.out, self.format, &Told { change, object: Some(item), gone: None })
    }

    fn print_event<T: Named>(&mut self, event: Event) -> Result<(), Failure> {
        let change = match event.change {
            Change::Added => "added",
            Change::Changed => "changed",
            Change::Deleted => "deleted",
            // It is as before.
            Change::Noted => return Ok(()),
        };
        let item: Option<T> = event.object.and_then(|object| serde_json::from_value(object).ok());
        match item {
            Some(item) => self.print(change, &item)?,
            // What is gone may be told of without what it was.
            None if self.format.is_for_people() => writeln!(self.out, "{change}  {}", crate::output::printable(&event.name))?,
            None => {
                let gone = Gone { id: &event.id, namespace: event.namespace.as_ref(), name: &event.name };
                write_next(&mut self.out, self.format, &Told::<T> { change, object: None, gone: Some(gone) })?;
            }
        }
        Ok(self.out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use longshore_fleet::api::PodView;
    use serde_json::{Value, json};

    use super::*;
    use crate::fleet::shown::samples;

    #[test]
    fn programs_are_told_what_has_become_of_each() {
        let listing = Listing::after::<PodView>(&["CHANGE "], Breadth::default());
        let mut printer = Printer { out: Vec::new(), listing, format: FleetFormat::Json };
        let pod: PodView = serde_json::from_value(samples::pod()).expect("a pod");
        printer.print("listed", &pod).expect("memory takes it");
        let event = |change: &str, object: Option<Value>| -> Event {
            let mut event = json!({"position": 7, "at": "2026-06-01T12:00:00Z", "kind": "pod", "change": change, "id": "pod_7",
                "namespace": "team", "name": "hello-7", "reason": "x"});
            if let Some(object) = object {
                event["object"] = object;
            }
            serde_json::from_value(event).expect("an event")
        };
        for event in [event("changed", Some(samples::pod())), event("noted", None), event("deleted", None)] {
            printer.print_event::<PodView>(event).expect("memory takes it");
        }
        let text = String::from_utf8(printer.out).expect("text");
        let told: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
        assert_eq!(told.len(), 3, "{text}");
        assert_eq!((&told[0]["change"], &told[0]["object"]["name"]), (&json!("listed"), &json!(pod.name)));
        assert_eq!((&told[1]["change"], &told[1]["object"]["name"]), (&json!("changed"), &json!(pod.name)));
        assert_eq!(told[2], json!({"change": "deleted", "id": "pod_7", "namespace": "team", "name": "hello-7"}));
    }
}
