//! What is measured: a registry with a few images, and an orchestrator, or two where the database lets them be.

use std::collections::{BTreeMap, HashMap};

use longshore_oci::Digest;
use longshore_tests::{Image, Orchestrator, Postgres, Registry, digest_of};
use serde_json::{Value, json};

use super::FleetDatabase;
use crate::candidate::usage::cpu_seconds;

/// By which name nodes know the registry.
pub(super) const HOST: &str = "images.bench";
/// How many images there are.
pub(super) const IMAGES: usize = 10;
/// How long layers are, in bytes: nobody fetches them, but the scheduler counts them.
const LAYERS: [usize; 3] = [40_000, 20_000, 5_000];

/// What is measured.
pub(super) struct Ground {
    _registry: Registry,
    postgres: Option<Postgres>,
    /// Those that run, the leader among them.
    pub(super) orchestrators: Vec<Orchestrator>,
    images: Vec<Image>,
}

impl Ground {
    pub(super) async fn new(database: FleetDatabase) -> Self {
        let registry = Registry::embedded().await;
        let images: Vec<Image> = (0..IMAGES).map(|number| Image::random(number as u64, &LAYERS)).collect();
        for (number, image) in images.iter().enumerate() {
            registry.client().push_image(&repository(number), "v1", image).await;
        }
        // The admin door is not asked, and what each request was is not what is measured.
        let mut values = vec![("log.filter", json!("warn,longshore_orchestrator::lead=info"))];
        let postgres = match database {
            FleetDatabase::Sqlite => None,
            FleetDatabase::Postgresql => Some(Postgres::own().await),
        };
        if let Some(postgres) = &postgres {
            let database = postgres.create_database().await;
            values.push(("database.kind", json!("postgres")));
            values.push(("database.url", json!(database.url_at(&postgres.address()))));
        }
        let mut orchestrators = Vec::new();
        for _ in 0..=usize::from(postgres.is_some()) {
            orchestrators.push(Orchestrator::start(&registry, &[HOST], &values).await);
        }
        Self { _registry: registry, postgres, orchestrators, images }
    }

    /// Where the orchestrators are reached.
    pub(super) fn urls(&self) -> Vec<&str> {
        self.orchestrators.iter().map(Orchestrator::url).collect()
    }

    /// Their processes.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.orchestrators.iter().map(Orchestrator::pid).collect()
    }

    /// The processor time that the database's server has used; what is within the orchestrator counts there.
    pub(super) fn database_cpu_seconds(&self) -> f64 {
        self.postgres.as_ref().map_or(0.0, |postgres| cpu_seconds(postgres.pid()))
    }

    /// The layers of each image, as nodes are told of it.
    pub(super) fn images(&self) -> HashMap<longshore_fleet::Image, BTreeMap<Digest, u64>> {
        let named = self.images.iter().enumerate().map(|(number, image)| {
            let name = format!("{HOST}/{}@{}", repository(number), image.digest);
            let layers = image.blobs.iter().skip(1).map(|layer| (digest_of(layer), layer.len() as u64)).collect();
            (name.parse().unwrap_or_else(|_| unreachable!("it is an image's name")), layers)
        });
        named.collect()
    }

    /// What asks for a deployment.
    pub(super) fn deployment(number: usize, replicas: u32) -> Value {
        json!({
            "name": name(number), "image": format!("{HOST}/{}:v1", repository(number % IMAGES)), "replicas": replicas,
            "resources": {"requests": {"cpu": "100m", "memory": "100Mi"}},
        })
    }
}

/// What the deployment of this number is called.
pub(super) fn name(number: usize) -> String {
    format!("app-{number}")
}

fn repository(number: usize) -> String {
    format!("bench/app-{number}")
}
