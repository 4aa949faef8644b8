use std::io::{Write as _, stdout};

use clap::Args;
use longshore_client::{FleetClient, FleetError, Workload};
use longshore_fleet::{
    Name,
    api::{Code, DeploymentView, JobView},
};
use longshore_service::config::Duration as Period;

use super::{
    connection::{FleetConnection, NamespaceArguments, told},
    find,
    kind::{Kind, Target},
    manifest::{self, Source, Wish},
    progress::Progress,
    waiting,
};
use crate::failure::Failure;

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
    /// How long to wait
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

impl DeleteArguments {
    /// Deletes one after the other, in the order of the arguments; of files, in the opposite one: what was made last goes first.
    pub async fn run(self) -> Result<(), Failure> {
        let doomed = self.doomed()?;
        let client = self.connection.client()?;
        let count = doomed.len();
        let mut failures: Vec<Failure> = Vec::new();
        for doomed in &doomed {
            match self.delete(&client, doomed).await {
                Ok(()) => {}
                Err(Failure::NotFound(_)) if self.ignore_not_found => {}
                Err(failure) if count == 1 => return Err(failure),
                Err(failure @ (Failure::OutputClosed | Failure::Interrupted(_))) => return Err(failure),
                Err(failure) => {
                    eprintln!("longshore: {failure}");
                    failures.push(failure);
                }
            }
        }
        let Some(first) = failures.first() else { return Ok(()) };
        let text = format!("{} of {count} were not deleted", failures.len());
        let is_same = failures.iter().all(|failure| failure.code() == first.code());
        Err(if is_same { failures.remove(0).with_text(text) } else { Failure::Failed(text) })
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

    async fn delete(&self, client: &FleetClient, Doomed { target, namespace }: &Doomed) -> Result<(), Failure> {
        let name = target.name.as_str();
        match target.kind {
            Kind::Deployment => self.workload::<DeploymentView>(client, namespace, target).await,
            Kind::Job => self.workload::<JobView>(client, namespace, target).await,
            Kind::Pod => {
                let id = find::pod(client, namespace, name).await?.pod_id;
                client.delete_pod(id).await.map_err(|error| told(&error))?;
                self.done(target, "ends", || client.pod(id)).await
            }
            Kind::Node => {
                let node = find::node(client, name).await?;
                client.remove_node(node.node_id, self.force).await.map_err(|error| told(&error))?;
                self.done(target, "is of the fleet no more", || client.node(&node.name)).await
            }
            Kind::Namespace => {
                let name = find::name(name)?;
                self.namespace(client, &name).await?;
                self.done(target, "deleted", || client.namespace(&name)).await
            }
            Kind::Operation => {
                let id = find::operation_id(name)?;
                client.cancel_operation(id).await.map_err(|error| told(&error))?;
                Ok(writeln!(stdout().lock(), "{}/{name} is told to end", target.kind)?)
            }
            Kind::Event => Err(find::unfit("delete", Kind::Event, "what they are of")),
        }
    }

    /// Takes a namespace away; who waits for that waits until nothing is in it.
    async fn namespace(&self, client: &FleetClient, name: &Name) -> Result<(), Failure> {
        let attempt = async || {
            let seen = client.namespace(name).await?;
            client.delete_namespace(name, seen.revision).await
        };
        let is_busy = |error: &FleetError| matches!(error.code(), Some(Code::InUse | Code::WorkloadVersionConflict));
        if !self.wait {
            return attempt().await.map_err(|error| match told(&error) {
                failure if error.code() == Some(Code::InUse) => {
                    let text = format!("{failure}; --wait waits until those that are being deleted are gone");
                    failure.with_text(text)
                }
                failure => failure,
            });
        }
        let mut progress = Progress::begin();
        let otherwise = format!("the namespace {name} is still in use");
        let gone = waiting::within(self.timeout, &otherwise, "it was not deleted", async {
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
        gone
    }

    async fn workload<W: Workload>(&self, client: &FleetClient, namespace: &Name, target: &Target) -> Result<(), Failure> {
        let seen: W = find::workload(client, namespace, &target.name).await?;
        let id = seen.id();
        client.delete::<W>(id, seen.revision()).await.map_err(|error| told(&error))?;
        self.done(target, "deleted", || client.workload::<W>(id)).await
    }

    /// Says so, once it is so.
    async fn done<T, F>(&self, target: &Target, word: &str, look: impl Fn() -> F) -> Result<(), Failure>
    where
        F: Future<Output = Result<T, FleetError>>,
    {
        let what = format!("{}/{}", target.kind, target.name);
        let word = if self.wait {
            waiting::until_gone(&what, self.timeout, look).await?;
            "is gone"
        } else {
            word
        };
        Ok(writeln!(stdout().lock(), "{what} {word}")?)
    }
}
