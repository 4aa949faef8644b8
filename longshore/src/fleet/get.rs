use std::io::{BufWriter, Write as _, stdout};

use clap::Args;
use longshore_client::{FleetClient, FleetPages, PodFilter, WorkloadFilter};
use longshore_fleet::{
    Name,
    api::{DeploymentView, Event, JobView, NamespaceView, OperationView},
};

use super::{
    audit,
    connection::{FleetConnection, NamespaceArguments, told},
    find, holders,
    kind::{Kind, Target},
    output::{FleetFormat, OutputArguments, Values, print},
    shown::{Breadth, Listing, Named, Shown},
    watch,
};
use crate::failure::Failure;

/// How many events are listed.
const MOST_EVENTS: u32 = 500;

/// `longshore get`.
#[derive(Args)]
pub struct GetArguments {
    /// What: deployments, jobs, pods, nodes, namespaces, operations or events, and perhaps names: `pods`, `pod NAME`, `pod/NAME`;
    /// or `holders IMAGE`: which nodes have what of an image, by its name or by a digest; or `audit`: who asked for what
    #[arg(required = true, value_name = "KIND [NAME]")]
    what: Vec<String>,
    #[command(flatten)]
    place: PlaceArguments,
    /// Go on showing what changes, until somebody interrupts
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    connection: FleetConnection,
}

/// In which namespace, or in all.
#[derive(Args, Clone, Debug)]
pub struct PlaceArguments {
    #[command(flatten)]
    place: NamespaceArguments,
    /// All namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
}

impl PlaceArguments {
    /// The one that is meant; none where all are.
    pub fn namespace(&self) -> Option<Name> {
        (!self.all_namespaces).then(|| self.one().clone())
    }

    /// The one in which something is that is named.
    pub fn one(&self) -> &Name {
        &self.place.namespace
    }
}

/// How it is asked for, and printed.
struct Get<'a> {
    client: &'a FleetClient,
    namespace: Option<Name>,
    format: FleetFormat,
    breadth: Breadth,
    watch: bool,
}

impl GetArguments {
    /// Those of a list of nodes.
    pub fn nodes(watch: bool, output: OutputArguments, connection: FleetConnection) -> Self {
        let place = PlaceArguments { place: NamespaceArguments::default(), all_namespaces: true };
        Self { what: vec![Kind::Node.to_string()], place, watch, output, connection }
    }

    pub async fn run(self) -> Result<(), Failure> {
        if self.watch && (holders::asked(&self.what).is_some() || audit::is_asked(&self.what)) {
            return Err(Failure::Usage("--watch is for what there is in the fleet, not for this".to_owned()));
        }
        if audit::is_asked(&self.what) {
            return audit::get(&self.connection.client()?, self.output.output).await;
        }
        if let Some(image) = holders::asked(&self.what) {
            let image = image?;
            return holders::get(&self.connection.client()?, image, self.output.output).await;
        }
        let (kind, targets) = Target::read(&self.what).map_err(Failure::Usage)?;
        if self.watch && !targets.is_empty() {
            return Err(Failure::Usage(
                "--watch is for lists; `longshore events KIND NAME --follow` follows one thing".to_owned(),
            ));
        }
        let client = self.connection.client()?;
        let format = self.output.output;
        let breadth =
            Breadth { all_namespaces: self.place.all_namespaces && kind.is_in_namespaces(), wide: format == FleetFormat::Wide };
        let get = Get { client: &client, namespace: self.place.namespace(), format, breadth, watch: self.watch };
        if targets.is_empty() {
            return get.all_of(kind).await;
        }
        let is_of_one_kind = targets.iter().all(|target| target.kind == kind);
        if !is_of_one_kind {
            return Err(Failure::Usage("things of one kind are shown at a time".to_owned()));
        }
        let names: Vec<String> = targets.into_iter().map(|target| target.name).collect();
        get.named(kind, self.place.one(), &names).await
    }
}

impl Get<'_> {
    async fn all_of(&self, kind: Kind) -> Result<(), Failure> {
        let client = self.client;
        let workloads = WorkloadFilter { namespace: self.namespace.clone(), name: None };
        match kind {
            Kind::Deployment => self.list(client.workloads::<DeploymentView>(&workloads)).await,
            Kind::Job => self.list(client.workloads::<JobView>(&workloads)).await,
            Kind::Pod => self.list(client.pods(&PodFilter { namespace: self.namespace.clone(), ..PodFilter::default() })).await,
            Kind::Node => self.list(client.nodes()).await,
            Kind::Namespace => self.list(client.namespaces()).await,
            Kind::Operation => self.list(client.operations()).await,
            Kind::Event => self.events().await,
        }
    }

    async fn named(&self, kind: Kind, namespace: &Name, names: &[String]) -> Result<(), Failure> {
        match kind {
            Kind::Deployment => {
                self.each(names, async |name| find::workload::<DeploymentView>(self.client, namespace, name).await).await
            }
            Kind::Job => self.each(names, async |name| find::workload::<JobView>(self.client, namespace, name).await).await,
            Kind::Pod => self.each(names, async |name| find::pod(self.client, namespace, name).await).await,
            Kind::Node => self.each(names, async |name| find::node(self.client, name).await).await,
            Kind::Namespace => {
                let get = async |name: &str| {
                    let name = find::name(name)?;
                    self.client.namespace(&name).await.map_err(|error| told(&error))
                };
                self.each::<NamespaceView>(names, get).await
            }
            Kind::Operation => self.each::<OperationView>(names, async |name| find::operation(self.client, name).await).await,
            Kind::Event => {
                Err(Failure::Usage("an event has no name; `longshore events KIND NAME` shows those of something".to_owned()))
            }
        }
    }

    /// What has these names: one alone as it is, several as a list.
    async fn each<T: Shown>(&self, names: &[String], get: impl AsyncFn(&str) -> Result<T, Failure>) -> Result<(), Failure> {
        let mut found = Vec::new();
        for name in names {
            found.push(get(name).await?);
        }
        let table = |out: &mut _| Listing::new::<T>(self.breadth).write(out, &found);
        match found.as_slice() {
            [one] => print(self.format, one, table),
            all => print(self.format, &all, table),
        }
    }

    /// All of a list, page by page.
    async fn list<T: Named>(&self, mut pages: FleetPages<'_, T>) -> Result<(), Failure> {
        if self.watch {
            return watch::changing(self.client, self.namespace.as_ref(), self.format, self.breadth, pages).await;
        }
        let mut out = BufWriter::new(stdout());
        let mut listing = Listing::new::<T>(self.breadth);
        let mut values = Values::of(self.format);
        while let Some(page) = pages.next_page().await.map_err(|error| told(&error))? {
            match &mut values {
                Some(values) => values.write(&mut out, &page.items)?,
                None => listing.write(&mut out, &page.items)?,
            }
            out.flush()?;
        }
        if let Some(values) = values {
            values.finish(&mut out)?;
        }
        Ok(out.flush()?)
    }

    async fn events(&self) -> Result<(), Failure> {
        let events = self.client.events(self.namespace.as_ref(), None, MOST_EVENTS).await.map_err(|error| told(&error))?;
        print(self.format, &events, |out| Listing::new::<Event>(self.breadth).write(out, &events))?;
        if !self.watch {
            return Ok(());
        }
        let last = events.last().map(|event| event.position);
        watch::events(self.client, self.namespace.clone(), None, last, self.format, self.breadth).await
    }
}
