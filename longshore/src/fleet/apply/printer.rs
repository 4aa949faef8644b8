use std::io::{BufWriter, Write as _, stdout};

use longshore_fleet::{Name, api::Plan};
use serde::Serialize;

use super::doing::{Came, Done};
use crate::{
    failure::{Failure, tell},
    fleet::{
        manifest::{Manifest, Wish},
        output::{FleetFormat, Values},
        paint::Paint,
        plan,
    },
};

/// What came of a document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    file: String,
    document: usize,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<Name>,
    name: Name,
    #[serde(rename = "result")]
    came: Came,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Plan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Prints what came of each document as soon as it is known.
pub struct Printer {
    format: FleetFormat,
    out: BufWriter<std::io::Stdout>,
    values: Option<Values>,
    paint: Paint,
    /// Whether there are others, so that what went wrong with one is told in its place.
    has_others: bool,
}

impl Printer {
    /// For one document, or for several.
    pub fn new(format: FleetFormat, has_others: bool) -> Self {
        let (values, paint) = (Values::of(format), Paint::of_stdout());
        Self { format, out: BufWriter::new(stdout()), values, paint, has_others }
    }

    /// Prints what came of the next one.
    pub fn print(&mut self, manifest: &Manifest, done: Result<Done, &Failure>) -> Result<(), Failure> {
        let wish = &manifest.wish;
        let what = format!("{}/{}", wish.kind(), wish.name());
        if self.format.is_for_people() {
            match done {
                Ok(Done { plan: Some(plan), .. }) => plan::write(&mut self.out, &what, &plan, self.paint)?,
                Ok(done) => writeln!(self.out, "{what} {}{}", words(&done), revision(&done))?,
                // What went wrong is for stderr, in its order among the rest.
                Err(failure) if self.has_others => {
                    self.out.flush()?;
                    tell(failure);
                }
                // It is all there is to tell at the end.
                Err(_) => {}
            }
            return Ok(self.out.flush()?);
        }
        let Some(values) = &mut self.values else { return Ok(()) };
        let (done, error) = match done {
            Ok(done) => (done, None),
            Err(failure) => (Done { came: Came::Refused, revision: None, plan: None }, Some(failure.to_string())),
        };
        let namespace = match wish {
            Wish::Deployment(spec) => Some(spec.upkeep.namespace.clone()),
            Wish::Job(spec) => Some(spec.work.namespace.clone()),
            Wish::Namespace(_) => None,
        };
        let (file, document) = (manifest.place.file.clone(), manifest.place.number);
        let (kind, name) = (wish.kind().to_string(), wish.name().clone());
        let Done { came, revision, plan } = done;
        values.write(&mut self.out, &[Outcome { file, document, kind, namespace, name, came, revision, plan, error }])?;
        Ok(self.out.flush()?)
    }

    /// Ends it.
    pub fn finish(mut self) -> Result<(), Failure> {
        if let Some(values) = self.values.take() {
            values.finish(&mut self.out)?;
        }
        Ok(self.out.flush()?)
    }
}

fn words(done: &Done) -> &'static str {
    match done.came {
        Came::Created => "created",
        Came::Changed => "changed",
        Came::Unchanged => "unchanged",
        Came::Planned if done.revision.is_some() => "would be changed",
        Came::Planned => "would be new",
        Came::Refused => "refused",
    }
}

fn revision(done: &Done) -> String {
    done.revision.map(|revision| format!(", revision {revision}")).unwrap_or_default()
}
