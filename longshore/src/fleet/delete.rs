use std::io::{Write as _, stdout};

use clap::Args;
use longshore_client::{FleetClient, FleetError, Workload};
use longshore_fleet::{
    DeploymentId, JobId, Name, NodeName, PodId,
    api::{Code, DeploymentView, JobView},
};
use longshore_service::config::Duration as Period;

use super::{
    connection::{FleetConnection, NamespaceArguments, told},
    find,
    kind::{Kind, Target},
    manifest::{self, Source, Wish},
    progress::Progress,
    waiting::{self, Patience},
};
use crate::failure::{Failure, tell};

/// `longshore delete`.
#[derive(Args)]
pub struct DeleteArguments {
    /// What: `deployment NAME`, `pod/NAME`; jobs, nodes, namespaces and operations, which are cancelled by that
    #[arg(required_unless_present = "files", value_name = "KIND NAME")]
    what: Vec<String>,
    /// All that is in a file, a folder of files, or - for what is written to us; can be given more than once
    #[arg(short, long = "file", conflicts_with = "what", value_name = "FILE", value_parser = |text: &str| Ok::<_, String>(Source::from(text.to_owned())))]
    files: Vec<Source>,
    /// Wait until it is gone, with all of its pods
    #[arg(long)]
    wait: bool,
    /// How long to wait; of files, also before their namespaces are deleted, until what they have there is gone
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    timeout: Period,
    /// Where something is not there, go on, and don't fail for it
    #[arg(long)]
    ignore_not_found: bool,
    /// Take a node out of the fleet though pods run there; they are made anew elsewhere
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    place: NamespaceArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

/// What is to go, and where it is.
struct Doomed {
    target: Target,
    namespace: Name,
}

/// What was told to go, and how it is seen that it has.
struct Going<'a> {
    doomed: &'a Doomed,
    thing: Thing,
}

enum Thing {
    Deployment(DeploymentId),
    Job(JobId),
    Pod(PodId),
    Node(NodeName),
    /// It stays to be looked at, and ends by itself.
    Operation,
}

/// What could not be deleted.
struct Tally {
    count: usize,
    forgives_missing: bool,
    failures: Vec<Failure>,
}

impl DeleteArguments {
    /// Deletes in the order of the arguments; of files, in the opposite one: what was made last goes first. All are told to go before any
    /// is waited for, so that whoever waits no longer has asked for all; but for namespaces, which go once nothing is in them.
    pub async fn run(self) -> Result<(), Failure> {
        let doomed = self.doomed()?;
        let client = self.connection.client()?;
        let mut tally = Tally { count: doomed.len(), forgives_missing: self.ignore_not_found, failures: Vec::new() };
        let (namespaces, others): (Vec<_>, Vec<_>) = doomed.iter().partition(|doomed| doomed.target.kind == Kind::Namespace);
        let mut going = Vec::new();
        for doomed in others {
            going.extend(tally.take(self.send(&client, doomed).await)?);
        }
        let then = afterwards(&namespaces);
        let patience = Patience::from(self.timeout);
        for going in &going {
            let is_in_the_way = !self.files.is_empty() && namespaces.iter().any(|namespace| going.is_in(namespace));
            if self.wait || is_in_the_way {
                tally.take(self.wait_for(&client, going, patience, &then).await)?;
            }
        }
        for namespace in namespaces {
            tally.take(self.namespace(&client, &namespace.target, patience).await)?;
        }
        tally.outcome()
    }

    fn doomed(&self) -> Result<Vec<Doomed>, Failure> {
        let here = &self.place.namespace;
        if self.files.is_empty() {
            let (kind, targets) = Target::read(&self.what).map_err(Failure::Usage)?;
            if targets.is_empty() {
                return Err(Failure::Usage(format!("which {kind}? `longshore delete {kind} NAME`")));
            }
            return Ok(targets.into_iter().map(|target| Doomed { target, namespace: here.clone() }).collect());
        }
        let manifests = manifest::read(&self.files, Some(here))?;
        let doomed = manifests.iter().rev().map(|manifest| {
            let namespace = match &manifest.wish {
                Wish::Deployment(spec) => &spec.upkeep.namespace,
                Wish::Job(spec) => &spec.work.namespace,
                Wish::Namespace(_) => here,
            };
            let target = Target { kind: manifest.wish.kind(), name: manifest.wish.name().to_string() };
            Doomed { target, namespace: namespace.clone() }
        });
        Ok(doomed.collect())
    }

    /// Has one go that is no namespace.
    async fn send<'a>(&self, client: &FleetClient, doomed: &'a Doomed) -> Result<Going<'a>, Failure> {
        let Doomed { target, namespace } = doomed;
        let name = target.name.as_str();
        let (thing, word) = match target.kind {
            Kind::Deployment => (Thing::Deployment(workload::<DeploymentView>(client, namespace, name).await?), "deleted"),
            Kind::Job => (Thing::Job(workload::<JobView>(client, namespace, name).await?), "deleted"),
            Kind::Pod => {
                let id = find::pod(client, namespace, name).await?.pod_id;
                client.delete_pod(id).await.map_err(|error| told(&error))?;
                (Thing::Pod(id), "ends")
            }
            Kind::Node => {
                let node = find::node(client, name).await?;
                client.remove_node(node.node_id, self.force).await.map_err(|error| told(&error))?;
                (Thing::Node(node.name), "is of the fleet no more")
            }
            Kind::Operation => {
                let id = find::operation_id(name)?;
                client.cancel_operation(id).await.map_err(|error| told(&error))?;
                (Thing::Operation, "is told to end")
            }
            kind @ (Kind::Event | Kind::Namespace) => return Err(find::unfit("delete", kind, "what they are of")),
        };
        if !self.wait || matches!(thing, Thing::Operation) {
            writeln!(stdout().lock(), "{target} {word}")?;
        }
        Ok(Going { doomed, thing })
    }

    /// Waits until it is gone, and says so where that is asked for.
    async fn wait_for(&self, client: &FleetClient, going: &Going<'_>, patience: Patience, then: &str) -> Result<(), Failure> {
        if matches!(going.thing, Thing::Operation) {
            return Ok(());
        }
        let what = going.doomed.target.to_string();
        waiting::until_gone(&what, patience, then, async || going.look(client).await).await?;
        if self.wait {
            writeln!(stdout().lock(), "{what} is gone")?;
        }
        Ok(())
    }

    /// Takes a namespace away; who waits for that waits until nothing is in it.
    async fn namespace(&self, client: &FleetClient, target: &Target, patience: Patience) -> Result<(), Failure> {
        let name = &find::name(&target.name)?;
        let attempt = async || {
            let seen = client.namespace(name).await?;
            client.delete_namespace(name, seen.revision).await
        };
        let is_busy = |error: &FleetError| matches!(error.code(), Some(Code::InUse | Code::WorkloadVersionConflict));
        if !self.wait {
            attempt().await.map_err(|error| match told(&error) {
                failure if error.code() == Some(Code::InUse) => {
                    let text = format!("{failure}; --wait waits until those that are being deleted are gone");
                    failure.with_text(text)
                }
                failure => failure,
            })?;
            return Ok(writeln!(stdout().lock(), "{target} deleted")?);
        }
        let mut progress = Progress::begin();
        let otherwise = format!("the namespace {name} is still in use");
        let gone = waiting::within(patience, &otherwise, "it was not deleted", async {
            loop {
                match attempt().await {
                    Ok(()) => return Ok(()),
                    Err(error) if is_busy(&error) => progress.show(&error.to_string()),
                    Err(error) => return Err(told(&error)),
                }
                tokio::time::sleep(waiting::PAUSE).await;
            }
        })
        .await;
        progress.end();
        gone?;
        Ok(writeln!(stdout().lock(), "{target} is gone")?)
    }
}

impl Going<'_> {
    /// Whether it is in a namespace that is to go.
    fn is_in(&self, namespace: &Doomed) -> bool {
        matches!(self.thing, Thing::Deployment(_) | Thing::Job(_)) && namespace.target.name == self.doomed.namespace.as_str()
    }

    /// Looks at it; a refusal where it is gone.
    async fn look(&self, client: &FleetClient) -> Result<(), FleetError> {
        match &self.thing {
            Thing::Deployment(id) => client.workload::<DeploymentView>(*id).await.map(drop),
            Thing::Job(id) => client.workload::<JobView>(*id).await.map(drop),
            Thing::Pod(id) => client.pod(*id).await.map(drop),
            Thing::Node(name) => client.node(name).await.map(drop),
            Thing::Operation => Ok(()),
        }
    }
}

impl Tally {
    /// What was done, if it was; an error where there is no use in going on.
    fn take<T>(&mut self, outcome: Result<T, Failure>) -> Result<Option<T>, Failure> {
        match outcome {
            Ok(done) => Ok(Some(done)),
            Err(Failure::NotFound(_)) if self.forgives_missing => Ok(None),
            Err(failure) if self.count == 1 => Err(failure),
            Err(failure @ (Failure::OutputClosed | Failure::Interrupted(_))) => Err(failure),
            Err(failure) => {
                tell(&failure);
                self.failures.push(failure);
                Ok(None)
            }
        }
    }

    fn outcome(mut self) -> Result<(), Failure> {
        let Some(first) = self.failures.first() else { return Ok(()) };
        let text = format!("{} of {} were not deleted", self.failures.len(), self.count);
        let is_same = self.failures.iter().all(|failure| failure.code() == first.code());
        Err(if is_same { self.failures.remove(0).with_text(text) } else { Failure::Failed(text) })
    }
}

async fn workload<W: Workload>(client: &FleetClient, namespace: &Name, name: &str) -> Result<W::Id, Failure> {
    let seen: W = find::workload(client, namespace, name).await?;
    client.delete::<W>(seen.id(), seen.revision()).await.map_err(|error| told(&error))?;
    Ok(seen.id())
}

/// What becomes of all that was asked for where nobody waits any more: what is told to go goes, and namespaces were not told yet.
fn afterwards(namespaces: &[&Doomed]) -> String {
    let left: Vec<String> = namespaces.iter().map(|namespace| namespace.target.to_string()).collect();
    match left.as_slice() {
        [] => waiting::GOES_ON.to_owned(),
        [one] => format!("{}, but {one} is not deleted", waiting::GOES_ON),
        several => format!("{}, but {} are not deleted", waiting::GOES_ON, several.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;
    use crate::fleet::{
        played::{Played, refusal},
        shown::samples,
    };

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        delete: DeleteArguments,
    }

    async fn delete(played: &Played, words: &[&str]) -> Result<(), Failure> {
        let words = [&["delete"], words, &["--orchestrator", played.url.as_str()]].concat();
        Program::try_parse_from(words).expect("well-formed arguments").delete.run().await
    }

    /// A deployment whose id ends with the sign that it is called.
    fn deployment(name: char) -> Value {
        let mut view = samples::deployment();
        (view["deploymentId"], view["spec"]["name"]) = (json!(id(name)), json!(name.to_string()));
        view
    }

    fn id(name: char) -> String {
        format!("dep_0000000000000000000000000000000{name}")
    }

    /// The name that is asked for, or that an id ends with.
    fn name(line: &str) -> char {
        let (_, asked) = line.split_once("&name=").unwrap_or(("", line));
        asked.split('&').next().and_then(|name| name.chars().last()).expect("something is named")
    }

    #[tokio::test]
    async fn all_are_told_to_go_before_any_is_waited_for() {
        let played = Played::new(|line, _| match line {
            line if line.starts_with("DELETE") => (202, json!({})),
            line if line.contains('?') => (200, json!({"items": [deployment(name(line))]})),
            line => (200, deployment(name(line))),
        })
        .await;
        let words = ["deployment", "a", "b", "c", "--wait", "--timeout", "300ms"];
        let failure = delete(&played, &words).await.expect_err("they don't go");
        assert_eq!(failure.to_string(), "3 of 3 were not deleted");
        let deletions = ['a', 'b', 'c'].map(|name| format!("DELETE /api/v1/workloads/deployments/{}", id(name)));
        assert_eq!(played.changes(), deletions);
    }

    #[tokio::test]
    async fn a_file_s_namespace_goes_once_what_the_file_had_there_is_gone() {
        let at = format!("/api/v1/workloads/deployments/{}", id('a'));
        let gone = format!("GET {at}");
        let played = Played::new(move |line, before| match line {
            line if line.starts_with("DELETE /api/v1/namespaces") => (204, Value::Null),
            line if line.starts_with("DELETE") => (202, json!({})),
            line if line.contains('?') => (200, json!({"items": [deployment('a')]})),
            line if line == gone && before == 0 => (200, deployment('a')),
            line if line == gone => refusal("404_NOT_FOUND"),
            _ => (200, json!({"name": "team", "revision": 3, "asked": {}, "pods": 0})),
        })
        .await;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("a.yaml");
        let text =
            "{kind: Namespace, name: team}\n---\n{kind: Deployment, namespace: team, name: a, image: 'localhost:5000/a:1'}\n";
        std::fs::write(&file, text).expect("it can be written");
        delete(&played, &["-f", &file.display().to_string()]).await.expect("all goes");
        assert_eq!(played.changes(), [format!("DELETE {at}"), "DELETE /api/v1/namespaces/team".to_owned()]);
        let lines: Vec<String> = played.asked().into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines.iter().filter(|line| **line == format!("GET {at}")).count(), 2, "it was waited for: {lines:?}");
    }

    #[test]
    fn whoever_waits_no_longer_is_told_what_was_not_asked_for() {
        let namespace = |name: &str| Doomed {
            target: Target { kind: Kind::Namespace, name: name.to_owned() },
            namespace: "default".parse().expect("a name"),
        };
        let (a, b) = (namespace("a"), namespace("b"));
        assert_eq!(afterwards(&[]), waiting::GOES_ON);
        assert!(afterwards(&[&a]).ends_with(", but namespace/a is not deleted"));
        assert!(afterwards(&[&a, &b]).ends_with(", but namespace/a, namespace/b are not deleted"));
    }
}
