//! What there is in a fleet, as rows of tables.

mod advice;
mod audit;
mod deployment;
mod event;
mod fetch;
mod holder;
mod job;
mod join_token;
mod namespace;
mod node;
mod operation;
mod pod;
mod revision;

use std::io::{self, Write};

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

pub use event::whole_second;
pub use fetch::write_fetches;
pub use namespace::allows;
pub use node::{labels, state, taints};
pub use operation::{nodes_done, state as operation_state};
pub use pod::{phase, seconds};

use super::kind::Kind;
use crate::output::{Age, NOTHING, Sheet};

/// What has columns.
pub trait Shown: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its columns.
    const COLUMNS: &'static [Column<Self>];
}

/// What has a kind, and can be watched.
pub trait Named: Shown {
    /// Of which kind it is.
    const KIND: Kind;
}

/// A column.
pub struct Column<T: 'static> {
    /// Its head.
    pub header: &'static str,
    /// When it is there.
    pub when: When,
    /// What stands in it.
    pub cell: fn(&T, Timestamp) -> String,
}

/// When a column is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum When {
    /// Always.
    Always,
    /// Where things of all namespaces are shown.
    AllNamespaces,
    /// Where all columns are asked for.
    Wide,
}

/// Which columns are wanted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Breadth {
    /// Whether things of several namespaces are shown.
    pub all_namespaces: bool,
    /// Whether all columns are asked for.
    pub wide: bool,
}

impl Breadth {
    fn has(self, when: When) -> bool {
        match when {
            When::Always => true,
            When::AllNamespaces => self.all_namespaces,
            When::Wide => self.wide,
        }
    }
}

/// A table of things of one kind.
pub struct Listing {
    sheet: Sheet,
    breadth: Breadth,
}

impl Listing {
    /// One with these columns.
    pub fn new<T: Shown>(breadth: Breadth) -> Self {
        Self::after::<T>(&[], breadth)
    }

    /// One with other columns before.
    pub fn after<T: Shown>(first: &[&'static str], breadth: Breadth) -> Self {
        let columns = T::COLUMNS.iter().filter(|column| breadth.has(column.when)).map(|column| column.header);
        Self { sheet: Sheet::new(first.iter().copied().chain(columns).collect()), breadth }
    }

    /// Writes rows.
    pub fn write<T: Shown>(&mut self, out: &mut impl Write, items: &[T]) -> io::Result<()> {
        let now = Timestamp::now();
        let breadth = self.breadth;
        self.sheet.write(out, items.iter().map(|item| cells(item, breadth, now)))
    }

    /// Writes a row with other cells before.
    pub fn write_after<T: Shown>(&mut self, out: &mut impl Write, first: Vec<String>, item: &T) -> io::Result<()> {
        let row = first.into_iter().chain(cells(item, self.breadth, Timestamp::now())).collect();
        self.sheet.write(out, [row])
    }
}

fn cells<T: Shown>(item: &T, breadth: Breadth, now: Timestamp) -> Vec<String> {
    T::COLUMNS.iter().filter(|column| breadth.has(column.when)).map(|column| (column.cell)(item, now)).collect()
}

/// One column that is always there.
const fn always<T>(header: &'static str, cell: fn(&T, Timestamp) -> String) -> Column<T> {
    Column { header, when: When::Always, cell }
}

/// One that is there where all are asked for.
const fn wide<T>(header: &'static str, cell: fn(&T, Timestamp) -> String) -> Column<T> {
    Column { header, when: When::Wide, cell }
}

/// The namespace's.
const fn namespace<T>(cell: fn(&T, Timestamp) -> String) -> Column<T> {
    Column { header: "NAMESPACE", when: When::AllNamespaces, cell }
}

/// How long ago it was.
fn age(now: Timestamp, then: Timestamp) -> String {
    Age::at(now, then).to_string()
}

/// It, or that there is nothing.
fn or_nothing(text: Option<impl ToString>) -> String {
    text.map_or_else(|| NOTHING.to_owned(), |text| text.to_string())
}

/// Yes or no.
pub fn yes(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
pub mod samples {
    //! Things as the orchestrator tells of them.

    use serde_json::{Value, json};

    pub const ID: &str = "00000000000000000000000000000001";

    pub fn pod() -> Value {
        json!({
            "podId": format!("pod_{ID}"), "name": "hello-7f9c-a1", "namespace": "default",
            "owner": {"kind": "deployment", "name": "hello", "revision": 2}, "workloadId": format!("dep_{ID}"),
            "image": "localhost:5000/hello:1", "node": "n1", "phase": "Running", "ready": true, "restarts": 0,
            "startedInMs": 412, "missingBytes": 0, "createdAt": "2026-06-01T12:00:00Z", "address": "10.0.0.7",
        })
    }

    pub fn deployment() -> Value {
        json!({
            "deploymentId": format!("dep_{ID}"), "revision": 4, "templateRevision": 2, "createdAt": "2026-06-01T12:00:00Z",
            "updatedAt": "2026-06-01T12:00:00Z", "image": "localhost:5000/hello:1",
            "status": {"observedRevision": 4, "state": "progressing", "wanted": 3, "pods": 3, "updated": 2, "ready": 2, "available": 1,
                "unplaced": 1},
            "spec": {"name": "hello", "image": "localhost:5000/hello:1", "replicas": 3},
        })
    }

    pub fn node() -> Value {
        json!({
            "nodeId": format!("node_{ID}"), "name": "n1", "labels": {"disk": "ssd"}, "taints": [], "platform": {"os": "linux", "architecture": "amd64"},
            "ready": true, "cordoned": true, "draining": false, "zone": "a", "cpu": {"free": "1500m", "all": "4"},
            "memory": {"free": "1Gi", "all": "8Gi"}, "pods": {"free": 108, "all": 110}, "diskFreeBytes": 1 << 30, "layers": 12,
            "runtime": "containerd 2.0", "version": "0.1.0", "joinedAt": "2026-06-01T12:00:00Z",
        })
    }
}

#[cfg(test)]
mod tests {
    use longshore_fleet::api::{DeploymentView, NodeView, PodView};
    use serde_json::{Value, json};

    use super::*;

    fn table<T: Shown>(items: Vec<Value>, breadth: Breadth) -> String {
        let items: Vec<T> = items.into_iter().map(|item| serde_json::from_value(item).expect("it is one")).collect();
        let mut out = Vec::new();
        Listing::new::<T>(breadth).write(&mut out, &items).expect("memory takes it");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn pods_are_shown_as_promised() {
        let mut waiting = samples::pod();
        waiting["name"] = "hello-7f9c-a3".into();
        waiting["phase"] = "Waiting".into();
        waiting["reason"] = "CrashLoopBackOff".into();
        waiting["ready"] = false.into();
        waiting["restarts"] = 12.into();
        let mut pending = samples::pod();
        for field in ["node", "startedInMs", "missingBytes"] {
            pending.as_object_mut().expect("an object").remove(field);
        }
        (pending["phase"], pending["ready"]) = ("Pending".into(), false.into());
        let lines = [
            "POD            NODE  PHASE                      READY  RESTARTS  MISSING WHEN PLACED  STARTED IN",
            "hello-7f9c-a1  n1    Running                    yes    0         0 B                  0.4 s",
            "hello-7f9c-a3  n1    Waiting: CrashLoopBackOff  no     12        0 B                  0.4 s",
            "hello-7f9c-a1  -     Pending                    no     0         -                    -",
        ];
        assert_eq!(table::<PodView>(vec![samples::pod(), waiting, pending], Breadth::default()), lines.join("\n") + "\n");
    }

    #[test]
    fn breadth_adds_columns() {
        let all = table::<PodView>(vec![samples::pod()], Breadth { all_namespaces: true, wide: true });
        assert!(
            all.starts_with("NAMESPACE  POD ") && all.contains("10.0.0.7") && all.contains("localhost:5000/hello:1"),
            "{all}"
        );
    }

    #[test]
    fn deployments_and_nodes_say_how_they_are() {
        let text = table::<DeploymentView>(vec![samples::deployment()], Breadth::default());
        assert!(
            text.contains("hello       2/3    2        1          Progressing, 1 unplaced  localhost:5000/hello:1"),
            "{text}"
        );
        let text = table::<NodeView>(vec![samples::node()], Breadth::default());
        assert!(text.contains("n1    ready, cordoned  a     2 of 110  1500m of 4"), "{text}");
        let mut gone = samples::node();
        (gone["ready"], gone["reason"], gone["cordoned"]) = (false.into(), "not heard of for 40 s".into(), false.into());
        assert!(table::<NodeView>(vec![gone], Breadth::default()).contains("not heard of for 40 s"));
    }

    #[test]
    fn what_moves_a_cursor_is_not_printed() {
        let mut pod = samples::pod();
        pod["reason"] = json!("\u{1b}[2J");
        (pod["phase"], pod["ready"]) = ("Waiting".into(), false.into());
        assert!(table::<PodView>(vec![pod], Breadth::default()).contains("Waiting: \u{fffd}[2J"));
    }
}
